import { Database as Sqlite } from "bun:sqlite";
import { describe, expect, spyOn, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/core/clock.ts";
import type { Database, DownloadFilter } from "../../src/core/database.ts";
import { knownTarget } from "../../src/core/target-path.ts";
import { openDatabase } from "../../src/db/index.ts";
import { draft, fileDraft, insert, recordingLog } from "./rows.ts";

const ROWS = 100_000;

describe("F224 a hundred thousand queued downloads", () => {
  test("are started over, claimed, listed, counted, placed, moved and followed", async () => {
    const dataDir = mkdtempSync(join(tmpdir(), "modelhaul-db-scale-"));
    const open = () => openDatabase({ dataDir, clock: systemClock, log: recordingLog() });
    try {
      let db = await open();
      for (let done = 0; done < ROWS; done += 10_000)
        await Promise.all(Array.from({ length: 10_000 }, () => db.insert(draft())));
      await db.close();

      db = await open();
      expect((await db.counts()).queued).toBe(ROWS);
      const first = await db.list({ states: ["queued"] }, { limit: 1000 });
      const second = await db.list({ states: ["queued"] }, { limit: 1000, cursor: first.nextCursor! });
      expect(new Set([...first.items, ...second.items].map((row) => row.id)).size).toBe(2000);
      const last = await insert(db, { labels: { find: "me" } });
      expect(await db.place(last.id)).toBe(ROWS + 1);
      expect((await db.list({ labels: { find: "me" } }, { limit: 10 })).items).toEqual([last]);
      await db.move(last.id, { position: 2 });
      const claimed = [await db.claim("me", 0, 1), await db.claim("me", 0, 1)];
      expect(claimed.map((row) => row?.id)).toEqual([first.items[0]!.id, last.id]);
      const { downloads } = await db.changes(last.seq, 10);
      expect(downloads.map((row) => row.id)).toEqual(claimed.map((row) => row!.id));
      expect((await db.recover(Number.MAX_SAFE_INTEGER)).length).toBe(2);
      await db.close();
    } finally {
      rmSync(dataDir, { recursive: true, force: true });
    }
  }, 120_000);

  test("removals are remembered up to a bound, and beyond it there is a gap", async () => {
    const dataDir = mkdtempSync(join(tmpdir(), "modelhaul-db-scale-"));
    const db = await openDatabase({ dataDir, clock: systemClock, log: recordingLog() });
    try {
      const before = db.nextSeq();
      const rows = await Promise.all(
        Array.from({ length: 11_000 }, () => insert(db, { state: "completed" })),
      );
      await Promise.all(rows.map((row) => db.remove(row.id)));
      const all = await db.changes(before, 100_000);
      expect(all.removed.length).toBeGreaterThanOrEqual(10_000);
      expect(all.removed.length).toBeLessThan(10_600);
      expect(all.gap).toBe(true);
      expect((await db.changes(all.removed[0]!.seq, 100_000)).gap).toBe(false);
      expect((await db.putFiles((await insert(db)).id, [fileDraft("", "x")]))[0]?.path).toBe("x");
    } finally {
      await db.close();
      rmSync(dataDir, { recursive: true, force: true });
    }
  }, 120_000);
});

describe("no statement reads a whole table", () => {
  test("except counting, which reads an index", async () => {
    const dataDir = mkdtempSync(join(tmpdir(), "modelhaul-db-plan-"));
    const prepare = spyOn(Sqlite.prototype, "prepare");
    const db = await openDatabase({ dataDir, clock: systemClock, log: recordingLog() });
    try {
      await everyMethod(db);
      const statements = new Set(prepare.mock.calls.map(([sql]) => sql));
      prepare.mockRestore();
      const raw = new Sqlite(join(dataDir, "state.db"), { readonly: true });
      const slow: string[] = [];
      for (const sql of statements) {
        if (!/^\s*(SELECT|UPDATE|DELETE|INSERT)/.test(sql) || sql.includes("EXPLAIN")) continue;
        const plan = raw.prepare(`EXPLAIN QUERY PLAN ${sql}`).all() as { detail: string }[];
        const bad = plan.filter(({ detail }) => isWasteful(detail, sql));
        slow.push(...bad.map(({ detail }) => `${detail} in ${sql}`));
      }
      raw.close();
      expect(statements.size).toBeGreaterThan(50);
      expect(slow).toEqual([]);
    } finally {
      prepare.mockRestore();
      await db.close();
      rmSync(dataDir, { recursive: true, force: true });
    }
  });

  /** Reading a table from end to end, or sorting in memory what an index could give in order. */
  function isWasteful(detail: string, sql: string): boolean {
    const scan = /^SCAN (downloads|files|labels|removed|d|f)\b/.test(detail);
    // An index in the wanted order is read no further than the first hit.
    if (scan)
      return (
        !/count\(\*\)/.test(sql) &&
        !(/INDEX downloads_queue|SCAN removed/.test(detail) && sql.includes("LIMIT 1"))
      );
    const few = /labels|source_key|UNION|download_id = |target = |engines|intent IS NOT NULL/;
    return detail.startsWith("USE TEMP B-TREE FOR ORDER BY") && !few.test(sql);
  }
});

/** Each method of the port once, with every filter. */
async function everyMethod(db: Database): Promise<void> {
  const [a, b, c] = [await insert(db), await insert(db, { labels: { l: "x" } }), await insert(db)];
  const [file] = await db.putFiles(a.id, [fileDraft(a.id, "x", { target: knownTarget("/x") })]);
  await db.insert(draft({ modelId: a.modelId }));
  await db.get(a.id);
  await db.byModelId("none");
  const filters: DownloadFilter[] = [
    {},
    { states: ["queued"] },
    { states: ["queued", "paused"] },
    { sourceKey: "k" },
    { labels: { l: "x" } },
    { endedAfter: 1, states: ["completed"] },
  ];
  for (const filter of filters) await db.list(filter, { limit: 2 });
  for (const to of [{ before: b.id }, { after: b.id }, { position: 1 }, { position: 9 }])
    await db.move(c.id, to);
  await db.place(a.id);
  await db.places([a.id, b.id, c.id]);
  await db.update(b.id, {}, { priority: 1 });
  await db.places([a.id, b.id, c.id]);
  await db.setIntent(a.id, ["queued"], null);
  await db.update(a.id, { states: ["queued"] }, { priority: 1, total: 5, bytes: 1 });
  await db.claim("me", 0, 1);
  await db.heartbeat("me", 1);
  await db.recover(9);
  await db.nextDue(0);
  await db.counts();
  await db.files(a.id);
  await db.file(file!.id);
  await db.updateFile(file!.id, { bytes: 1 });
  await db.filesByTarget(knownTarget("/x"));
  await db.doneFiles({ limit: 1 });
  await db.saveWritten(
    [{ fileId: file!.id, receipts: [{ start: 0, length: 1 }] }],
    [{ id: a.id, bytes: 1, averageBps: 1 }],
  );
  await db.saveDurable([{ fileId: file!.id, receipts: [{ start: 0, length: 1 }] }]);
  await db.receipts(file!.id);
  await db.dropReceipts([file!.id]);
  await db.changes(0, 5);
  await db.expired(5, 5);
  await db.deleteFile(file!.id);
  await db.dropFiles(a.id);
  await db.update(a.id, {}, { state: "cancelled" });
  await db.remove(a.id);
}
