import { describe, expect, test } from "bun:test";
import { STATES } from "../../src/core/download.ts";
import { knownTarget } from "../../src/core/target-path.ts";
import type { Open } from "./conformance.ts";
import { draft, insert } from "./rows.ts";

export function downloadsSuite(open: Open): void {
  describe("rows", () => {
    test("come back as they were given, with a number, a position and no owner", async () => {
      const db = await open();
      const given = draft({
        source: {
          provider: "hf",
          key: "hf:a/b",
          url: "https://hub.example/a/b",
          repo: "a/b",
          include: ["*.gguf"],
        },
        waiting: { reason: "retry", until: 5 },
        notBefore: 5,
        bytes: 2 ** 40,
        total: 2 ** 41,
        averageBps: 1234.5,
        repo: "a/b",
        commit: "c0ffee",
        localPath: "/models/ä/b",
        labels: { "wingman.repo": "a/b", "": "empty key" },
        engine: {
          engineId: "e",
          modelType: "llm",
          inferenceEngine: "x",
          loadImmediately: true,
          mainGpuId: -1,
          parameters: { n: 1.5, s: "x", b: false },
        },
        error: { code: "network", message: "cut" },
        warnings: ["one", "two"],
        retry: { maxAttempts: 5, baseMs: 1, maxMs: 2, jitter: 0.5 },
        startedAt: 1_700_000_000_123,
      });
      const row = await db.insert(given);
      expect(row).toEqual({
        ...given,
        previousState: null,
        intent: null,
        owner: null,
        leaseUntil: null,
        position: expect.any(Number),
        seq: expect.any(Number),
      });
      expect(await db.get(given.id)).toEqual(row as never);
      expect(await db.get("nobody")).toBeUndefined();
    });

    test("A22 no two unfinished downloads become one engine, however many ask at once", async () => {
      const db = await open();
      const engine = {
        engineId: "chat",
        modelType: "llm" as const,
        inferenceEngine: "x",
        loadImmediately: true,
        mainGpuId: 0,
        parameters: {},
      };
      const asked = await Promise.all(Array.from({ length: 20 }, () => db.insert(draft({ engine }))));
      const [first] = asked.filter((row) => !("conflict" in row));
      expect(asked.filter((row) => "conflict" in row)).toHaveLength(19);
      if (!first || "conflict" in first) throw new Error("none was inserted");
      expect(await db.byEngineId("chat")).toEqual(first);
      expect(await db.byEngineId("Chat")).toBeUndefined();
      await db.update(first.id, {}, { state: "failed", endedAt: 1 });
      expect(await db.byEngineId("chat")).toBeUndefined();
      const second = await insert(db, { engine });
      const again = db.update(first.id, {}, { state: "queued", endedAt: null });
      expect(await again.catch(({ code, message }) => [code, message])).toEqual([
        "model_id_conflict",
        expect.stringContaining("its engine id"),
      ]);
      expect((await db.byEngineId("chat"))?.id).toBe(second.id);
    });

    test("A22 a model id or source that an unfinished download has is a conflict naming that one", async () => {
      const db = await open();
      const first = await insert(db);
      const sameModel = await db.insert(draft({ modelId: first.modelId }));
      const sameSource = await db.insert(draft({ source: first.source }));
      expect([sameModel, sameSource]).toEqual([{ conflict: first }, { conflict: first }]);
      await db.update(first.id, {}, { state: "cancelled", endedAt: 1 });
      const again = await insert(db, { modelId: first.modelId, source: first.source });
      expect(again.id).not.toBe(first.id);
    });

    test("A3 a model id names the unfinished download, else the newest; case and every character count", async () => {
      const db = await open();
      const id = "Org/Model%2F ü'\"";
      const old = await insert(db, { modelId: id });
      await db.update(old.id, {}, { state: "failed", error: { code: "gone", message: "x" } });
      const newer = await insert(db, { modelId: id });
      expect((await db.byModelId(id))?.id).toBe(newer.id);
      await db.update(newer.id, {}, { state: "cancelled" });
      expect((await db.byModelId(id))?.id).toBe(newer.id);
      await db.update(old.id, {}, { state: "queued", error: null });
      expect((await db.byModelId(id))?.id).toBe(old.id);
      expect(await db.byModelId(id.toLowerCase())).toBeUndefined();
    });

    test("a finished download cannot be queued again over an unfinished one with its model id or source", async () => {
      const db = await open();
      const first = await insert(db);
      await db.update(first.id, {}, { state: "cancelled" });
      await insert(db, { modelId: first.modelId });
      const back = db.update(first.id, {}, { state: "queued" });
      await expect(back).rejects.toMatchObject({ name: "DownloadError", code: "model_id_conflict" });
      expect((await db.get(first.id))?.state).toBe("cancelled");
    });
  });

  describe("guarded writes", () => {
    test("happen only in the states and for the owner named; a lost race is an answer", async () => {
      const db = await open();
      const row = await insert(db);
      const claimed = await db.claim("me", 0, 100);
      expect(claimed?.id).toBe(row.id);
      expect(await db.update(row.id, { states: ["queued"] }, { state: "paused" })).toBeUndefined();
      expect(await db.update(row.id, { owner: "you" }, { state: "paused" })).toBeUndefined();
      expect(await db.update("nobody", {}, { bytes: 1 })).toBeUndefined();
      expect(await db.get(row.id)).toEqual(claimed);
      const moved = await db.update(
        row.id,
        { states: ["downloading"], owner: "me" },
        { state: "verifying", total: 7 },
      );
      expect(moved).toMatchObject({
        state: "verifying",
        previousState: "downloading",
        owner: "me",
        total: 7,
      });
      expect(moved!.seq).toBeGreaterThan(claimed!.seq);
    });

    test("a state that nobody leads has no owner, an end has a time and no wish", async () => {
      const db = await open();
      const row = await insert(db);
      await db.claim("me", 0, 100);
      await db.setIntent(row.id, ["downloading"], "cancel");
      const ended = await db.update(row.id, {}, { state: "cancelled" });
      expect(ended).toMatchObject({
        owner: null,
        leaseUntil: null,
        intent: null,
        endedAt: expect.any(Number),
      });
      const back = await db.update(row.id, {}, { state: "queued" });
      expect(back).toMatchObject({ endedAt: null, previousState: "cancelled" });
    });

    test("a transition that the table does not have is refused and changes nothing", async () => {
      const db = await open();
      const row = await insert(db);
      await db.update(row.id, {}, { state: "paused" });
      const jump = db.update(row.id, {}, { state: "completed" });
      await expect(jump).rejects.toMatchObject({ name: "DownloadError", code: "invalid_state" });
      expect((await db.get(row.id))?.state).toBe("paused");
    });

    test("writing the same state again keeps the state before", async () => {
      const db = await open();
      const row = await insert(db);
      await db.update(row.id, {}, { state: "paused" });
      const again = await db.update(row.id, {}, { state: "paused", priority: 3 });
      expect(again).toMatchObject({ state: "paused", previousState: "queued", priority: 3 });
    });

    test("I3 bytes never pass the total, whichever is learnt first", async () => {
      const db = await open();
      const row = await insert(db, { bytes: 500 });
      expect(await db.update(row.id, {}, { total: 100 })).toMatchObject({ bytes: 100, total: 100 });
      expect(await db.update(row.id, {}, { bytes: 300 })).toMatchObject({ bytes: 100, total: 100 });
      expect(await db.update(row.id, {}, { bytes: 300, total: 400 })).toMatchObject({
        bytes: 300,
        total: 400,
      });
      expect(await db.update(row.id, {}, { bytes: 900, total: null })).toMatchObject({
        bytes: 900,
        total: null,
      });
    });

    test("a wish is written beside the state, and only in the states named", async () => {
      const db = await open();
      const row = await insert(db);
      expect(await db.setIntent(row.id, ["paused"], "cancel")).toBeUndefined();
      const wished = await db.setIntent(row.id, ["queued"], "pause");
      expect(wished).toMatchObject({ state: "queued", intent: "pause" });
      expect(wished!.seq).toBeGreaterThan(row.seq);
      expect(await db.setIntent(row.id, ["queued"], null)).toMatchObject({ intent: null });
    });

    test("values bind as values: text that looks like SQL stays text (F157)", async () => {
      const db = await open();
      const evil = "'; DROP TABLE downloads; --";
      const row = await insert(db, { modelId: evil, labels: { [evil]: evil } });
      expect((await db.byModelId(evil))?.id).toBe(row.id);
      expect(await db.update(evil, { owner: evil }, { localPath: evil })).toBeUndefined();
      expect((await db.list({ q: evil, labels: { [evil]: evil } }, { limit: 1 })).items[0]?.id).toBe(row.id);
    });
  });

  describe("counting and removing", () => {
    test("counts names every state", async () => {
      const db = await open();
      await insert(db);
      await insert(db);
      await insert(db);
      await db.claim("me", 0, 1);
      const zero = Object.fromEntries(STATES.map((s) => [s, 0]));
      expect(await db.counts()).toEqual({ ...zero, queued: 2, downloading: 1 } as never);
    });

    test("a removed row is gone with its files and leaves a number; removing twice is an answer", async () => {
      const db = await open();
      const row = await insert(db, { state: "completed" });
      const [file] = await db.putFiles(row.id, [
        {
          downloadId: row.id,
          path: "a",
          size: 1,
          digest: null,
          computed: null,
          verified: false,
          checked: null,
          locator: "",
          state: "done",
          target: knownTarget("/a"),
          validator: null,
          partial: null,
          bytes: 1,
          error: null,
          completedAt: 1,
        },
      ]);
      await db.saveDurable([{ fileId: file!.id, receipts: [{ start: 0, length: 1 }] }]);
      const seq = await db.remove(row.id);
      expect(seq).toBeGreaterThan(row.seq);
      expect(await db.get(row.id)).toBeUndefined();
      expect(await db.file(file!.id)).toBeUndefined();
      expect(await db.receipts(file!.id)).toEqual([]);
      expect(await db.remove(row.id)).toBeUndefined();
    });

    test("F232 expired names what ended before, oldest first, and no unfinished one", async () => {
      const db = await open();
      await insert(db);
      const late = await insert(db, { state: "completed", endedAt: 300 });
      const early = await insert(db, { state: "failed", endedAt: 100 });
      await insert(db, { state: "cancelled", endedAt: 900 });
      expect(await db.expired(900, 10)).toEqual([early.id, late.id]);
      expect(await db.expired(900, 1)).toEqual([early.id]);
    });
  });

  describe("settings and engines", () => {
    test("a setting is any JSON value, absent until saved", async () => {
      const db = await open();
      expect(await db.setting("x")).toBeUndefined();
      await db.saveSetting("x", { a: [1, null, "ü"] });
      expect(await db.setting("x")).toEqual({ a: [1, null, "ü"] });
      await db.saveSetting("x", null);
      expect(await db.setting("x")).toBeNull();
    });

    test("an engine is put, replaced, listed and deleted", async () => {
      const db = await open();
      const engine = {
        engineId: "e1",
        downloadId: null,
        path: "/m.gguf",
        modelType: "embedding" as const,
        inferenceEngine: "llama",
        runtime: "llama-server",
        loadImmediately: true,
        mainGpuId: -1,
        parameters: { a: 1, b: true, c: "x" },
        state: "created" as const,
        endpoint: null,
        error: null,
        details: null,
        createdAt: 5,
      };
      await db.putEngine(engine);
      await db.putEngine({ ...engine, engineId: "e0", createdAt: 6, loadImmediately: false });
      await db.putEngine({ ...engine, state: "loaded" });
      const details = { format: "gguf" as const, architecture: "llama", quantization: null };
      const more = { contextLength: 4096, parameterCount: null, memoryBytes: 9 };
      const running = { endpoint: "http://127.0.0.1:1", error: "x", details: { ...details, ...more } };
      await db.putEngine({ ...engine, ...running, state: "stopped" });
      expect(await db.engine("e1")).toEqual({ ...engine, ...running, state: "stopped" });
      expect((await db.engines()).map((e) => e.engineId)).toEqual(["e1", "e0"]);
      expect(await db.deleteEngine("e1")).toBe(true);
      expect(await db.deleteEngine("e1")).toBe(false);
      expect(await db.engine("e1")).toBeUndefined();
    });
  });
}
