import { describe, expect, test } from "bun:test";
import { present, presentOne, STATUS } from "../../src/api/downloads/present.ts";
import { DownloadSchema } from "../../src/api/downloads/schemas.ts";
import { names } from "../../src/api/names.ts";
import type { State } from "../../src/core/download.ts";
import type { Snapshot } from "../../src/core/feed.ts";
import { blocks, seed } from "./seeds.ts";
import { mismatches } from "./shapes.ts";
import { engine, START, snapshot } from "./snapshots.ts";

const now = START + 10_400;

describe("the kolosal object", () => {
  test("R29 R30 R31 A8 has seed 001's values for seed 001's download", () => {
    expect(present(snapshot(), now)).toMatchObject({
      model_id: "my-model",
      status: "downloading",
      url: "https://huggingface.co/model/file.gguf",
      local_path: "./models/file.gguf",
      progress: {
        downloaded_bytes: 1_048_576,
        total_bytes: 10_485_760,
        percentage: 10,
        download_speed_bps: 524_288,
      },
      timing: { start_time: START, elapsed_seconds: 10, estimated_remaining_seconds: 18 },
    });
  });

  test("R61 R62 R63 R64 R65 R68 R69 R70 R71 has every key of seed 002 with its type", () => {
    const text = seed("002");
    if (text === undefined) return;
    const examples = blocks(text, "json").map((block) => JSON.parse(block));
    const one = examples.find((it) => it.engine_creation?.embedding_features);
    const list = examples.find((it) => it.active_downloads);
    const failed = { state: "failed" as const, endedAt: START + 5000, engine };
    const ended = snapshot({ ...failed, error: { code: "not_found", message: "gone" } });
    const running = snapshot({ engine: { ...engine, modelType: "embedding" } });
    const llm = { ...one.engine_creation };
    delete llm.embedding_features;
    delete llm.recommended_usage;
    const embedding = { ...one.engine_creation };
    delete embedding.llm_features;
    const whileRunning = ["end_time", "error_message"];
    expect(
      mismatches({ ...one, engine_creation: llm }, presentOne(ended, now), ["estimated_remaining_seconds"]),
    ).toEqual([]);
    expect(
      mismatches({ ...one, engine_creation: embedding }, presentOne(running, now), whileRunning),
    ).toEqual([]);
    expect(mismatches(list.active_downloads[0], present(running, now), whileRunning)).toEqual([]);
  });

  test("A4 R80 speaks only the seed's six status words, and ours beside them", () => {
    const words: Record<State, string> = {
      queued: "downloading",
      downloading: "downloading",
      paused: "paused",
      verifying: "downloading",
      creating_engine: "creating_engine",
      completed: "completed",
      failed: "failed",
      cancelled: "cancelled",
    };
    expect(STATUS).toEqual(words);
    for (const state of Object.keys(words) as State[])
      expect(present(snapshot({ state }), now)).toMatchObject({ status: words[state], state });
  });

  test("R88 the percentage is a number whatever is known", () => {
    const percent = (bytes: number, total: number | null) =>
      present(snapshot({ bytes, total }), now).progress.percentage;
    expect([
      percent(0, null),
      percent(5, null),
      percent(0, 0),
      percent(1, 4),
      percent(3, 3),
      percent(4, 3),
    ]).toEqual([0, 0, 0, 25, 100, 100]);
  });

  test("R90 the remaining time is told only while bytes move and their number is known", () => {
    const remaining = (changes: Partial<Snapshot>) =>
      present(snapshot(changes), now).timing.estimated_remaining_seconds;
    expect(remaining({ speed: 1_048_576 })).toBe(9);
    expect(remaining({ speed: 0, averageBps: 0 })).toBeUndefined();
    expect(remaining({ total: null })).toBeUndefined();
    expect(remaining({ bytes: 0 })).toBeUndefined();
    expect(remaining({ state: "paused" })).toBeUndefined();
    expect(remaining({ state: "completed" })).toBeUndefined();
  });

  test("A9 R63 R64 leaves out what is unknown, and tells the end and its error", () => {
    const fresh = present(snapshot({ localPath: null, total: null }), now);
    for (const key of ["error_message", "error_code", "position", "waiting", "bottleneck", "commit", "retry"])
      expect(fresh).not.toHaveProperty(key);
    expect(fresh.timing).not.toHaveProperty("end_time");
    expect(fresh).toMatchObject({ local_path: "", progress: { total_bytes: 0 } });
    const error = { code: "gated", message: "Accept the licence first" } as const;
    expect(present(snapshot({ state: "failed", error, endedAt: START + 61_000 }), now)).toMatchObject({
      error_message: "Accept the licence first",
      error_code: "gated",
      timing: { end_time: START + 61_000, elapsed_seconds: 61 },
    });
  });

  test("R106 what is only tried again has no error_message: the seed's clients give up on one", () => {
    const error = { code: "server_error", message: "503" } as const;
    const waiting = { reason: "retry", until: now + 1000 } as const;
    const shown = present(snapshot({ state: "queued", error, waiting, attempt: 2, place: 4 }), now);
    expect(shown).not.toHaveProperty("error_message");
    expect(shown).toMatchObject({ last_error: error, waiting, attempts: 2, position: 4 });
  });

  test("A24 repository and file are strings for every download", () => {
    const of = (changes: Partial<Snapshot>) => names(snapshot(changes));
    const hub = { provider: "huggingface", key: "k", url: "https://hub/acme/tiny", repo: "acme/tiny" };
    expect(of({ repo: "Acme/Tiny", source: { ...hub, files: ["a/b.gguf"] } })).toEqual({
      repo: "Acme/Tiny",
      file: "a/b.gguf",
    });
    expect(of({ source: hub })).toEqual({ repo: "acme/tiny", file: "" });
    expect(of({ source: { ...hub, files: ["a", "b"] } })).toEqual({ repo: "acme/tiny", file: "" });
    expect(of({ localPath: "/models/x-2.gguf" })).toEqual({ repo: "my-model", file: "x-2.gguf" });
    expect(of({ localPath: null })).toEqual({ repo: "my-model", file: "file.gguf" });
  });

  test("R103 speeds are 0 or at least 1, times whole and never negative", () => {
    const shown = present(snapshot({ averageBps: 0.4, speed: 0.3, createdAt: now + 5000 }), now);
    expect(shown.progress.download_speed_bps).toBe(0);
    expect(shown.speed).toBe(0);
    expect(shown.timing.elapsed_seconds).toBe(0);
  });

  test("the documented object has every member that is ever shown", () => {
    const error = { code: "gated", message: "no" } as const;
    const all = snapshot({
      state: "failed",
      engine,
      error,
      place: 1,
      bottleneck: "disk",
      waiting: { reason: "disk", until: 5 },
      retry: { maxAttempts: 1, baseMs: 1, maxMs: 1, jitter: 0 },
      source: { provider: "url", key: "k", url: "http://x/y", revision: "main" },
      commit: "abc",
      labels: { a: "b" },
      endedAt: START,
    });
    const documented = Object.keys(DownloadSchema.properties);
    for (const key of Object.keys(presentOne(all, now, []))) expect(documented).toContain(key);
  });
});
