import { describe, expect, test } from "bun:test";
import { knownDigest } from "../../src/core/digest.ts";
import { knownTarget } from "../../src/core/target-path.ts";
import type { Open } from "./conformance.ts";
import { fileDraft, insert } from "./rows.ts";

const X = knownTarget("/m/x");
const sha = (hex: string) => knownDigest({ algorithm: "sha256", hex: hex.repeat(64) });

export function filesSuite(open: Open): void {
  describe("files", () => {
    test("come back as they were put, in order, and can be patched", async () => {
      const db = await open();
      const { id } = await insert(db);
      const drafts = [
        fileDraft(id, "b/model.gguf", {
          size: null,
          digest: sha("a"),
          target: knownTarget("/m/b"),
          validator: { etag: '"x"', lastModified: null, size: 5, origin: "https://h" },
        }),
        fileDraft(id, "a.json", { size: 2 ** 41 }),
      ];
      const saved = await db.putFiles(id, drafts);
      expect(saved).toEqual(drafts.map((d) => ({ ...d, id: expect.any(Number) })));
      expect(await db.files(id)).toEqual(saved);
      const patched = await db.updateFile(saved[0]!.id, {
        state: "done",
        verified: true,
        computed: sha("a"),
        bytes: 5,
      });
      expect(patched).toEqual({ ...saved[0]!, state: "done", verified: true, computed: sha("a"), bytes: 5 });
      expect(await db.file(saved[0]!.id)).toEqual(patched);
      expect(await db.updateFile(999_999, { bytes: 1 })).toBeUndefined();
      expect(await db.updateFile(saved[1]!.id, {})).toEqual(saved[1]);
      await db.updateFiles(saved.map((f) => ({ id: f.id, patch: { bytes: 77, validator: null } })));
      expect((await db.files(id)).map((f) => [f.bytes, f.validator])).toEqual([
        [77, null],
        [77, null],
      ]);
    });

    test("put again keeps the id and receipts of a known path and drops what is not listed any more", async () => {
      const db = await open();
      const { id } = await insert(db);
      const [keep, gone] = await db.putFiles(id, [fileDraft(id, "keep"), fileDraft(id, "gone")]);
      await db.saveDurable([{ fileId: keep!.id, receipts: [{ start: 0, length: 9 }] }]);
      const again = await db.putFiles(id, [fileDraft(id, "keep", { size: 5 }), fileDraft(id, "new")]);
      expect(again[0]).toEqual({ ...keep!, size: 5 });
      expect(await db.receipts(keep!.id)).toEqual([{ start: 0, length: 9 }]);
      expect(await db.file(gone!.id)).toBeUndefined();
      expect((await db.files(id)).map((f) => f.path).sort()).toEqual(["keep", "new"]);
    });

    test("are found by target while their download is unfinished, or when they are done", async () => {
      const db = await open();
      const [a, b] = [await insert(db), await insert(db)];
      const [planned] = await db.putFiles(a.id, [fileDraft(a.id, "x", { target: X })]);
      const [done] = await db.putFiles(b.id, [fileDraft(b.id, "x", { target: X, state: "done" })]);
      await db.update(b.id, {}, { state: "cancelled" });
      expect((await db.filesByTarget(X)).map((f) => f.id)).toEqual([planned!.id, done!.id]);
      await db.update(a.id, {}, { state: "cancelled" });
      expect((await db.filesByTarget(X)).map((f) => f.id)).toEqual([done!.id]);
      await db.deleteFile(done!.id);
      expect(await db.filesByTarget(X)).toEqual([]);
      await db.dropFiles(a.id);
      expect(await db.files(a.id)).toEqual([]);
    });
  });

  describe("receipts", () => {
    const at = (start: number, length: number) => ({ start, length });

    test("add up: the union is given back, sorted, whatever touched or overlapped", async () => {
      const db = await open();
      const { id } = await insert(db);
      const fileId = (await db.putFiles(id, [fileDraft(id, "x")]))[0]!.id;
      expect(await db.receipts(fileId)).toEqual([]);
      await db.saveWritten([{ fileId, receipts: [at(100, 50), at(0, 10)] }], []);
      await db.saveWritten([{ fileId, receipts: [at(100, 80), at(10, 5), at(500, 0)] }], []);
      expect(await db.receipts(fileId)).toEqual([at(0, 15), at(100, 80)]);
      await db.saveDurable([{ fileId, receipts: [at(0, 120)] }]);
      expect(await db.receipts(fileId)).toEqual([at(0, 180)]);
      await db.dropReceipts([fileId]);
      expect(await db.receipts(fileId)).toEqual([]);
      await db.saveWritten([{ fileId, receipts: [at(5, 5)] }], []);
      expect(await db.receipts(fileId)).toEqual([at(5, 5)]);
    });

    test("are saved together with progress, clamped to the total; what has gone or ended is passed over", async () => {
      const db = await open();
      const row = await insert(db, { total: 100 });
      const ended = await insert(db, { state: "completed", total: 100, bytes: 100 });
      const fileId = (await db.putFiles(row.id, [fileDraft(row.id, "x")]))[0]!.id;
      await db.saveWritten(
        [
          { fileId: 999_999, receipts: [at(0, 1)] },
          { fileId, receipts: [at(0, 40)] },
        ],
        [
          { id: row.id, bytes: 140, averageBps: 12.5 },
          { id: ended.id, bytes: 3, averageBps: 1 },
          { id: "nobody", bytes: 3, averageBps: 1 },
        ],
      );
      expect(await db.get(row.id)).toEqual({ ...row, bytes: 100, averageBps: 12.5 });
      expect(await db.get(ended.id)).toEqual(ended);
      expect(await db.receipts(fileId)).toEqual([at(0, 40)]);
    });
  });
}
