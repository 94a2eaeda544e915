import { Database as Sqlite } from "bun:sqlite";
import { expect, test } from "bun:test";
import { join } from "node:path";
import { knownDigest } from "../../src/core/digest.ts";
import { knownTarget } from "../../src/core/target-path.ts";
import { codeOf } from "../core/support.ts";
import { fileDraft, insert } from "./rows.ts";
import { cleanUpAfterEach, open, tempDir } from "./support.ts";

cleanUpAfterEach();

const HEX = "0123456789abcdef".repeat(4);
const named = (hex: string): string => JSON.stringify({ algorithm: "sha256", hex });

const DONE = { state: "done", target: knownTarget("/models/m.gguf") } as const;

/** A download of one file that is on disk, with one column of the file's row overwritten from outside. */
async function withColumn(column: "digest" | "computed" | "target", value: string) {
  const dataDir = tempDir();
  const db = await open({ dataDir });
  const { id } = await insert(db);
  const digest = knownDigest({ algorithm: "sha256", hex: HEX });
  const [file] = await db.putFiles(id, [fileDraft(id, "m.gguf", { ...DONE, digest })]);
  await db.close();
  const outside = new Sqlite(join(dataDir, "state.db"));
  outside.run(`UPDATE files SET ${column} = ? WHERE id = ?`, [value, file!.id]);
  outside.close();
  return { db: await open({ dataDir }), id, fileId: file!.id };
}

test.each([`${"../".repeat(8)}etc/passwd`, HEX.slice(1), `${HEX}/`, ""])(
  "F135 a recorded digest that has become %j is an error, and names no file",
  async (text) => {
    for (const column of ["digest", "computed"] as const) {
      const { db, id, fileId } = await withColumn(column, named(text));
      expect(await codeOf(db.files(id))).toBe("internal");
      expect(await codeOf(db.file(fileId))).toBe("internal");
      const [whole] = await db.putFiles((await insert(db)).id, [fileDraft("", "w", DONE)]);
      expect((await db.doneFiles({ limit: 1 })).items).toEqual([]);
      const { items, nextCursor } = await db.doneFiles({ limit: 2 });
      expect([items.map((f) => f.id), nextCursor]).toEqual([[whole!.id], null]);
    }
  },
);

test("F135 nor is one of an algorithm that nobody knows", async () => {
  for (const algorithm of ["constructor", "sha1", 7, null, undefined]) {
    const { db, id } = await withColumn("digest", JSON.stringify({ algorithm, hex: HEX }));
    expect([algorithm, await codeOf(db.files(id))]).toEqual([algorithm, "internal"]);
  }
});

test.each([
  "",
  "m.gguf",
  "../m.gguf",
  "/models/../etc/passwd",
  "/models//m.gguf",
  "/models/./m",
  "/models/a\0b",
])("F124 F128 a recorded path that has become %j is an error, and no place on disk", async (text) => {
  const { db, id, fileId } = await withColumn("target", text);
  expect(await codeOf(db.files(id))).toBe("internal");
  expect(await codeOf(db.file(fileId))).toBe("internal");
  expect((await db.doneFiles({ limit: 1 })).items).toEqual([]);
});
