import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { LOCAL, present, STATUS } from "../../src/api/local/present.ts";
import { STATUS_WORDS } from "../../src/api/local/schemas.ts";
import { STATES } from "../../src/core/download.ts";
import { getText } from "../support/raw.ts";
import { until } from "../support/until.ts";
import { Contract } from "./contract.ts";
import { EventClient } from "./event-client.ts";
import { blocks, seed } from "./seeds.ts";
import { mismatches } from "./shapes.ts";
import { START, snapshot } from "./snapshots.ts";
import { stalledClient } from "./stalled.ts";
import { type Body, type Served, serve } from "./support.ts";

/** The machine may be busy. */
setDefaultTimeout(30_000);

const HOLD = { product: { settings: { paused: true } } };

describe("the local object", () => {
  test("R17 A4 each state has its word, and no other word is ever said", () => {
    expect(STATUS).toEqual({
      queued: "pending",
      downloading: "downloading",
      paused: "pending",
      verifying: "downloading",
      creating_engine: "downloading",
      completed: "completed",
      failed: "failed",
      cancelled: "cancelled",
    });
    expect([...new Set(Object.values(STATUS))].sort()).toEqual([...STATUS_WORDS].sort());
    for (const state of STATES) {
      const shown = present(snapshot({ state }));
      expect([shown.state, shown.status]).toEqual([state, STATUS[state]]);
    }
  });

  test("R10 R11 R12 R13 R14 R15 R16 A9 all keys in every state, null where nothing is known", () => {
    for (const state of STATES) {
      const bare = { state, bytes: 0, total: null, averageBps: 0, startedAt: null, localPath: null };
      const shown: Body = present(snapshot({ ...bare, endedAt: null, error: null }));
      expect(Object.keys(shown).length).toBe(14);
      expect(Object.values(shown)).not.toContain(undefined);
      for (const key of ["download_id", "repo_id", "filename", "status"]) expect(shown[key]).toBeString();
      expect(shown.progress_percent.toFixed(1)).toBe(state === "completed" ? "100.0" : "0.0");
      for (const key of ["total_bytes", "download_speed_mbps", "eta_seconds", "started_at", "completed_at"])
        expect(shown[key]).toBeNull();
      expect(shown.error_message === null).toBe(state !== "failed");
    }
  });

  test("R13 A8 speed is in megabits per second, the time left in whole seconds, both only while bytes move", () => {
    const moving = snapshot({ bytes: 1_000_000, total: 4_000_000, speed: 1_250_000 });
    expect(present(moving)).toMatchObject({ download_speed_mbps: 10, eta_seconds: 3, progress_percent: 25 });
    const silent = { ...moving, speed: 0, averageBps: 500_000 };
    expect(present(silent)).toMatchObject({ download_speed_mbps: 0, eta_seconds: 6 });
    for (const state of STATES.filter((one) => one !== "downloading"))
      expect(present({ ...moving, state })).toMatchObject({ download_speed_mbps: null, eta_seconds: null });
    expect(present({ ...moving, total: null })).toMatchObject({ eta_seconds: null, progress_percent: 0 });
  });

  test("R11 never more than a hundred, and a complete file without a byte is a whole one", () => {
    expect(present(snapshot({ bytes: 11, total: 10 })).progress_percent).toBe(100);
    expect(present(snapshot({ bytes: 0, total: 0 })).progress_percent).toBe(0);
    expect(present(snapshot({ state: "completed", bytes: 0, total: 0 })).progress_percent).toBe(100);
  });

  test("R15 A8 A23 times are UTC as the seed writes them: begun, and complete", () => {
    const times = { startedAt: START + 999, endedAt: START + 60_000 };
    expect(present(snapshot({ state: "completed", ...times }))).toMatchObject({
      started_at: "2023-12-20T18:40:00Z",
      completed_at: "2023-12-20T18:41:00Z",
    });
    for (const state of ["failed", "cancelled"] as const)
      expect(present(snapshot({ state, ...times })).completed_at).toBeNull();
    expect(present(snapshot({ state: "queued", startedAt: null })).started_at).toBeNull();
  });

  test("R14 R16 an error is that of a failed one, a path that of a complete one", () => {
    const error = { code: "network" as const, message: "host.example hung up" };
    for (const state of STATES) {
      const shown = present(snapshot({ state, error, localPath: "/m/file.gguf" }));
      expect(shown.error_message).toBe(state === "failed" ? error.message : null);
      expect(shown.local_file_path).toBe(state === "completed" ? "/m/file.gguf" : null);
    }
  });

  test("A24 repository and file are text for every download", () => {
    const names = (changes: Parameters<typeof snapshot>[0]) => {
      const { repo_id, filename } = present(snapshot(changes));
      return [repo_id, filename];
    };
    const hub = { provider: "huggingface", key: "k", url: "https://huggingface.co/a/b", repo: "a/b" };
    expect(names({})).toEqual(["my-model", "file.gguf"]);
    expect(names({ source: { ...hub, files: ["sub/c.gguf"] } })).toEqual(["a/b", "sub/c.gguf"]);
    expect(names({ source: hub })).toEqual(["a/b", ""]);
    const pull = { provider: "ollama", key: "k", url: "https://registry.ollama.ai/x", repo: "llama3:8b" };
    expect(names({ source: pull })).toEqual(["llama3:8b", ""]);
  });

  test("R7 one unnamed event for each download, and none for a record that is removed", () => {
    const downloads = [snapshot({ id: "1" }), snapshot({ id: "2" })];
    const events = LOCAL.say({ type: "snapshot", seq: 9, downloads }).split("\n\n");
    expect(events.pop()).toBe("");
    for (const event of events) expect(event).toMatch(/^data: \{[^\n]+\}$/);
    expect(events.map((event) => JSON.parse(event.slice(6)).download_id)).toEqual(["1", "2"]);
    expect(LOCAL.say({ type: "snapshot", seq: 9, downloads: [] })).toBe("");
    expect(LOCAL.say({ type: "removed", seq: 9, id: "1", modelId: "m" })).toBe("");
  });
});

const text = seed("000");

describe.skipIf(text === undefined)("golden: the seed's own JSON", () => {
  const [request, started, event, cancelled] = blocks(text ?? "", "json").map((it) => JSON.parse(it));
  let served: Served;
  beforeAll(async () => {
    served = await serve(HOLD);
  });
  afterAll(() => served[Symbol.asyncDispose]());

  test("R1 R2 R4 R18 its request is answered with its keys and its sentences", async () => {
    const answer = await served.call("POST", "/local/download", request);
    expect(Object.keys(answer.body)).toEqual(Object.keys(started));
    expect(answer.body.message).toBe(started.message);
    const { body } = await served.call("DELETE", `/local/download/${answer.body.download_id}`);
    expect(body).toEqual(cancelled);
  });

  test("R10 R11 R12 R13 R14 R15 R16 its event has the keys and types of ours", () => {
    const source = {
      provider: "huggingface",
      key: "k",
      url: "",
      repo: request.repo_id,
      files: [request.filename],
    };
    const moving = { bytes: 2_000_000_000, total: 4_400_000_000, speed: 20_000_000 };
    const shown: Body = present(snapshot({ source, startedAt: START, ...moving }));
    expect(Object.keys(shown)).toEqual([...Object.keys(event), "state"]);
    const nulls = Object.keys(event).filter((key) => event[key] === null);
    expect(nulls.map((key) => shown[key])).toEqual(nulls.map(() => null));
    const { error_message, completed_at, local_file_path, ...known } = event;
    expect(
      mismatches({ ...known, progress_percent: "number", download_speed_mbps: "number" }, shown),
    ).toEqual([]);
    expect(shown).toMatchObject({ repo_id: event.repo_id, filename: event.filename, eta_seconds: 120 });
    expect(shown.started_at.length).toBe(event.started_at.length);
  });

  test("R1 R2 R6 R18 A5 the document has the seed's examples, and they are what it describes", async () => {
    const contract = await Contract.of(served);
    const { components }: Body = await served.api.openapi();
    const example = (name: string) => components.schemas[name].example;
    expect(example("LocalDownloadRequest")).toEqual(request);
    expect(example("LocalDownloadResponse")).toEqual(started);
    expect(example("LocalDownloadStatus")).toEqual({ ...event, state: "downloading" });
    expect(example("LocalCancellation")).toEqual(cancelled);
    for (const name of Object.keys(components.schemas).filter((it) => it.startsWith("Local")))
      expect(contract.misfits(name, example(name))).toEqual([]);
    const mine = contract.operations.filter(({ path }) => path.startsWith("/local"));
    expect(mine.map(({ operation }) => [operation.operationId, operation.tags])).toEqual([
      ["startLocalDownload", ["local"]],
      ["watchLocalDownloads", ["local"]],
      ["cancelLocalDownload", ["local"]],
    ]);
    for (const { operation } of mine)
      for (const [status, response] of Object.entries<Body>(operation.responses))
        if (!status.startsWith("2"))
          expect(response.content["application/json"].schema.$ref).toEndWith("/LocalError");
  });
});

/** Together more than the buffers of the kernel hold. */
const LONG = "x".repeat(12_000);
const ROUNDS = 1500;

test("F214 a reader of this stream that does not read costs a bounded buffer and gets the newest state", async () => {
  await using served = await serve(HOLD);
  const path = "/local/download/status";
  const { body } = await served.call("POST", "/local/download", { repo_id: "a/b", filename: "c.gguf" });
  const { downloads } = served.product;
  const base = await downloads.get(body.download_id);
  const stalled = await stalledClient(served.port, getText(path, { Host: "localhost" }));
  const healthy = await EventClient.open(served.base + path);
  await healthy.waitFor(({ data }) => data.download_id === body.download_id);
  const last = `${LONG}${ROUNDS}`;
  for (let i = 1; i <= ROUNDS; i++) {
    const error = { code: "internal" as const, message: `${LONG}${i}` };
    downloads.feed.changed({ ...base, state: "failed", error, seq: base.seq + i }, false);
    await healthy.waitFor(() => healthy.messages.length > i);
  }
  expect(healthy.messages.length).toBe(ROUNDS + 1);
  const taken = await stalled.take(last);
  expect(taken).toContain(last);
  expect(taken.split("data: ").length - 1).toBeLessThan(ROUNDS);
  healthy.close();
  stalled.close();
  await until(() => downloads.feed.subscribers === 0, "the feed to be let go of");
});
