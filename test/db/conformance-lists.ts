import { describe, expect, test } from "bun:test";
import type { Database, DownloadFilter } from "../../src/core/database.ts";
import { knownTarget } from "../../src/core/target-path.ts";
import type { Open } from "./conformance.ts";
import { fileDraft, insert } from "./rows.ts";

async function names(db: Database, filter: DownloadFilter): Promise<string[]> {
  return (await db.list(filter, { limit: 100 })).items.map((row) => row.modelId);
}

async function allPages(db: Database, filter: DownloadFilter, limit: number): Promise<string[][]> {
  const pages: string[][] = [];
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page = await db.list(filter, { limit, ...(cursor ? { cursor } : {}) });
    pages.push(page.items.map((row) => row.modelId));
    cursor = page.nextCursor;
  }
  return pages;
}

export function listsSuite(open: Open): void {
  describe("list", () => {
    test("is ordered by creation and read page by page without gap or repeat, rows coming and going", async () => {
      const db = await open();
      for (const modelId of "abcdefg") await insert(db, { modelId });
      expect(await allPages(db, {}, 3)).toEqual([["a", "b", "c"], ["d", "e", "f"], ["g"]]);
      expect(await allPages(db, {}, 7)).toEqual([[..."abcdefg"]]);
      const first = await db.list({}, { limit: 3 });
      await db.update((await db.byModelId("b"))!.id, {}, { state: "cancelled" });
      await db.remove((await db.byModelId("b"))!.id);
      await insert(db, { modelId: "h" });
      const rest = await db.list({}, { limit: 10, cursor: first.nextCursor! });
      expect(rest.items.map((row) => row.modelId)).toEqual([..."defgh"]);
      expect(rest.nextCursor).toBeNull();
    });

    test("filters by states, provider, source, end and labels, and by all of them together", async () => {
      const db = await open();
      const hf = (key: string) => ({ provider: "hf", key, url: "https://hub.example/x" });
      await insert(db, { modelId: "a", source: hf("k1"), labels: { family: "wingman", repo: "x/y" } });
      await insert(db, { modelId: "b", labels: { family: "wingman" } });
      await insert(db, { modelId: "c", state: "completed", endedAt: 100, source: hf("k1") });
      await insert(db, {
        modelId: "d",
        state: "failed",
        endedAt: 200,
        labels: { family: "local", repo: "x/y" },
      });
      await insert(db, { modelId: "e" });
      await db.update((await db.byModelId("e"))!.id, {}, { state: "paused" });
      const cases: [DownloadFilter, string][] = [
        [{}, "abcde"],
        [{ states: ["queued"] }, "ab"],
        [{ states: ["failed", "completed", "failed"] }, "cd"],
        [{ states: [] }, ""],
        [{ provider: "hf" }, "ac"],
        [{ provider: "hf", states: ["queued", "paused"] }, "a"],
        [{ sourceKey: "k1" }, "ac"],
        [{ sourceKey: "k1", states: ["completed"] }, "c"],
        [{ endedAfter: 99 }, "cd"],
        [{ endedAfter: 100 }, "d"],
        [{ endedAfter: 0, states: ["completed"] }, "c"],
        [{ labels: { family: "wingman" } }, "ab"],
        [{ labels: { family: "wingman", repo: "x/y" } }, "a"],
        [{ labels: { repo: "x/y" }, states: ["failed"] }, "d"],
        [{ labels: { family: "other" } }, ""],
      ];
      for (const [filter, expected] of cases) expect((await names(db, filter)).join("")).toBe(expected);
    });

    test("labels that change are found by what they are now", async () => {
      const db = await open();
      const row = await insert(db, { labels: { a: "1", b: "2" } });
      await db.update(row.id, {}, { labels: { a: "9" } });
      expect(await names(db, { labels: { a: "1" } })).toEqual([]);
      expect(await names(db, { labels: { b: "2" } })).toEqual([]);
      expect(await names(db, { labels: { a: "9" } })).toEqual([row.modelId]);
    });

    test("q finds text in model id, repository and file names, whatever its case, and nothing else", async () => {
      const db = await open();
      const source = { provider: "hf", key: "k", url: "https://hub.example/secretword", repo: "Org/Größe" };
      const row = await insert(db, {
        modelId: "100%_sure\\",
        source: { ...source, filename: "Weights.GGUF" },
      });
      await db.putFiles(row.id, [fileDraft(row.id, "sub/Tokenizer-Ä.json")]);
      await insert(db, { modelId: "other" });
      for (const q of ["org/GRÖSSE".replace("SS", "ß"), "weights.gguf", "0%_S", "SURE\\", "tokenizer-ä", ""])
        expect(await names(db, { q })).toContain(row.modelId);
      for (const q of ["%", "_", "\\"]) expect(await names(db, { q })).toEqual([row.modelId]);
      for (const q of ["100_", "sure%", "secretword", "zzz"]) expect(await names(db, { q })).toEqual([]);
      await db.update(row.id, {}, { modelId: "renamed" });
      expect(await names(db, { q: "sure" })).toEqual([]);
      expect(await names(db, { q: "RENAMED" })).toEqual(["renamed"]);
      expect(await names(db, { q: "größe" })).toEqual(["renamed"]);
    });

    test("F156 refuses a bad limit and a cursor that is none of its own", async () => {
      const db = await open();
      for (let i = 0; i < 3; i++) await insert(db);
      for (const limit of [0, -1, 1001, 1e9, 1.5, Number.NaN])
        await expect(db.list({}, { limit })).rejects.toMatchObject({
          code: "invalid_request",
          param: "limit",
        });
      const good = (await db.list({}, { limit: 1 })).nextCursor!;
      const forged = Buffer.from("d2").toString("base64url");
      for (const cursor of ["", "x", forged, good.slice(0, -1), `${good}A`, `${good}=`, good.toUpperCase()])
        await expect(db.list({}, { limit: 1, cursor })).rejects.toMatchObject({
          code: "invalid_request",
          param: "cursor",
        });
      await expect(db.doneFiles({ limit: 1, cursor: good })).rejects.toMatchObject({ param: "cursor" });
    });

    test("finished files are listed page by page", async () => {
      const db = await open();
      const row = await insert(db);
      await db.putFiles(
        row.id,
        // What another program keeps (f) has no path here.
        [..."abcdef"].map((path) =>
          fileDraft(row.id, path, {
            state: path === "c" ? "pending" : "done",
            target: path === "f" ? null : knownTarget(`/models/${path}`),
          }),
        ),
      );
      const first = await db.doneFiles({ limit: 3 });
      expect(first.items.map((f) => f.path)).toEqual(["a", "b", "d"]);
      const second = await db.doneFiles({ limit: 3, cursor: first.nextCursor! });
      expect(second.items.map((f) => f.path)).toEqual(["e"]);
      expect(second.nextCursor).toBeNull();
    });
  });

  describe("changes", () => {
    test("F221 names what was written and removed since, oldest first, each with its own number", async () => {
      const db = await open();
      const [a, b, c] = [await insert(db), await insert(db), await insert(db)];
      const since = c.seq;
      expect(await db.changes(since, 10)).toEqual({ downloads: [], removed: [], gap: false });
      const first = await db.update(b.id, {}, { state: "paused" });
      await db.update(c.id, {}, { state: "cancelled" });
      const removed = await db.remove(c.id);
      const second = await db.update(a.id, {}, { priority: 1 });
      expect(await db.changes(since, 10)).toEqual({
        downloads: [first!, second!],
        removed: [{ id: c.id, modelId: c.modelId, seq: removed! }],
        gap: false,
      });
    });

    test("a limit cuts both kinds at one number, so that asking on misses nothing", async () => {
      const db = await open();
      const rows = [await insert(db), await insert(db), await insert(db), await insert(db)];
      const gone = rows.slice(0, 2).map((row) => row.id);
      for (const id of gone) {
        await db.update(id, {}, { state: "cancelled" });
        await db.remove(id);
      }
      await db.update(rows[2]!.id, {}, { priority: 2 });
      const seen: string[] = [];
      for (let seq = 0, more = true; more; ) {
        const { downloads, removed } = await db.changes(seq, 1);
        const found = [...downloads, ...removed];
        expect(found.length).toBeLessThanOrEqual(1);
        seen.push(...found.map((f) => f.id));
        more = found.length > 0;
        seq = Math.max(seq, ...found.map((f) => f.seq));
      }
      expect(seen).toEqual([rows[3]!.id, ...gone, rows[2]!.id]);
    });

    test("a number never given, or older than the removals still known, is a gap", async () => {
      const db = await open();
      const row = await insert(db);
      expect((await db.changes(row.seq, 1)).gap).toBe(false);
      expect((await db.changes(row.seq + 1_000_000, 1)).gap).toBe(true);
    });

    test("numbers only grow", async () => {
      const db = await open();
      let last = 0;
      for (let i = 0; i < 40_000; i++) {
        const seq = db.nextSeq();
        if (seq <= last) throw new Error(`${seq} after ${last}`);
        last = seq;
      }
      expect((await insert(db)).seq).toBeGreaterThan(last);
    });
  });
}
