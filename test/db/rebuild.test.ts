import { Database as Sqlite } from "bun:sqlite";
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type SystemCalls, systemCalls } from "../../src/db/system.ts";
import { damageIndex } from "./damage.ts";
import { insert, recordingLog } from "./rows.ts";
import { cleanUpAfterEach, open, tempDir } from "./support.ts";

cleanUpAfterEach();

const ROWS = 40;

/** A damaged database with so many downloads that can all be read. */
async function damaged(): Promise<string> {
  const dataDir = tempDir();
  const db = await open({ dataDir });
  for (let i = 0; i < ROWS; i++) await insert(db, { labels: { text: "x".repeat(3000) } });
  await db.close();
  damageIndex(join(dataDir, "state.db"), "downloads_model");
  return dataDir;
}

const namesIn = (dataDir: string, part: string): string[] =>
  readdirSync(dataDir).filter((name) => name.includes(part));

/** Everything that was acknowledged is there, one copy of the damaged one beside it, and nothing half-done. */
async function expectWhole(dataDir: string): Promise<void> {
  const db = await open({ dataDir });
  expect((await db.list({}, { limit: 2 * ROWS })).items).toHaveLength(ROWS);
  expect(namesIn(dataDir, "damaged").filter((name) => !/-(wal|shm)$/.test(name))).toHaveLength(1);
  expect(namesIn(dataDir, "rebu")).toEqual([]);
}

/** The system's calls, of which the `nth` that changes a name or opens a database does not come about: killed there. */
function killedAt(nth: number): { calls: SystemCalls; reached: () => boolean } {
  let count = 0;
  const counted =
    <A extends unknown[], R>(call: (...args: A) => R) =>
    (...args: A): R => {
      if (++count >= nth) throw new Error("killed");
      return call(...args);
    };
  const calls: SystemCalls = {
    ...systemCalls,
    renameSync: counted(systemCalls.renameSync),
    unlinkSync: counted(systemCalls.unlinkSync),
    sqlite: counted(systemCalls.sqlite),
  };
  return { calls, reached: () => count >= nth };
}

test("F103 I2 killed before any step of setting a damaged one aside and saving what is in it, nothing is lost", async () => {
  let steps = 0;
  for (let isOver = false; !isOver; steps++) {
    const dataDir = await damaged();
    const { calls, reached } = killedAt(steps + 1);
    const opening = open({ dataDir, calls });
    await opening.then(
      (db) => db.close(),
      (error) => expect(String(error)).toContain("killed"),
    );
    isOver = !reached();
    await expectWhole(dataDir);
  }
  expect(steps).toBeGreaterThan(6);
});

test("F103 F80 a volume that is full while it is saved is told, and what can be read stays where it is", async () => {
  const dataDir = await damaged();
  const before = readFileSync(join(dataDir, "state.db"));
  const sqlite: SystemCalls["sqlite"] = (path, options) => {
    const db = systemCalls.sqlite(path, options);
    // SQLite's own way to be full.
    if (path.endsWith("rebuilding")) db.run("PRAGMA max_page_count = 60");
    return db;
  };
  await expect(open({ dataDir, calls: { ...systemCalls, sqlite } })).rejects.toMatchObject({
    code: "no_space",
  });
  expect(readFileSync(join(dataDir, "state.db")).equals(before)).toBe(true);
  await expectWhole(dataDir);
});

test("F103 F116 told to stop while it is saved, it ends at once, holds nothing and loses nothing", async () => {
  const dataDir = await damaged();
  const controller = new AbortController();
  const sqlite: SystemCalls["sqlite"] = (path, options) => {
    if (path.endsWith("rebuilding")) controller.abort("SIGTERM");
    return systemCalls.sqlite(path, options);
  };
  const opening = open({ dataDir, calls: { ...systemCalls, sqlite }, signal: controller.signal });
  await expect(opening).rejects.toMatchObject({ name: "AbortError" });
  await expectWhole(dataDir);
});

test("F103 one that an earlier version wrote is saved as far as it goes", async () => {
  const dataDir = await damaged();
  const raw = new Sqlite(join(dataDir, "state.db"));
  raw.run("ALTER TABLE engines DROP COLUMN runtime");
  raw.run(
    "INSERT INTO engines VALUES ('e', NULL, '/m', 'llm', 'x', 0, 0, '{}', 'created', NULL, NULL, NULL, 1)",
  );
  raw.run("UPDATE meta SET value = '0' WHERE key = 'clean'");
  raw.close();
  const log = recordingLog();
  const db = await open({ dataDir, log });
  expect(log.lines.map(({ fields }) => fields?.downloads)).toEqual([ROWS]);
  expect((await db.engines()).map(({ engineId }) => engineId)).toEqual(["e"]);
});
