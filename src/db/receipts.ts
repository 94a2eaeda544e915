import type { Database, FileReceipts } from "../core/database.ts";
import type { Receipt } from "../core/download.ts";
import type { Store } from "./store.ts";

/** Files whose ranges are kept in memory; the others are read again when they are needed. */
const KEPT = 4096;

type Watermark = "written" | "durable";
type Spans = Map<number, Receipt[]>;

interface ReceiptRow {
  written: string;
  written_boot: string | null;
  durable: string;
}

/** What the rows of `receipts` say, so that a save is a merge in memory and one write. */
export class Ranges {
  readonly #spans: Record<Watermark, Spans> = { written: new Map(), durable: new Map() };

  get(watermark: Watermark, fileId: number): Receipt[] | undefined {
    return this.#spans[watermark].get(fileId);
  }

  keep(watermark: Watermark, fileId: number, spans: Receipt[]): void {
    const kept = this.#spans[watermark];
    kept.delete(fileId);
    kept.set(fileId, spans);
    if (kept.size > KEPT) kept.delete(kept.keys().next().value!);
  }

  forget(fileId: number): void {
    this.#spans.written.delete(fileId);
    this.#spans.durable.delete(fileId);
  }
}

export function receipts(store: Store, ranges: Ranges) {
  return {
    saveWritten: (batch, progress) => saveWritten(store, ranges, batch, progress),
    saveDurable: (batch) => store.write(() => save(store, ranges, "durable", batch)),
    receipts: (fileId) => store.read(() => union(trusted(store, fileId))),
    dropReceipts: async (fileIds) => {
      const forget = () => {
        for (const id of fileIds) ranges.forget(id);
      };
      const sql = "DELETE FROM receipts WHERE file_id IN (SELECT value FROM json_each(?))";
      forget();
      await store.write(() => store.run(sql, JSON.stringify(fileIds)));
      forget();
    },
  } satisfies Partial<Database>;
}

/** The union of ranges that may touch or overlap: sorted, none touching another. */
export function union(spans: readonly Receipt[]): Receipt[] {
  const merged: Receipt[] = [];
  for (const { start, length } of spans.filter((s) => s.length > 0).sort((a, b) => a.start - b.start)) {
    const last = merged.at(-1);
    if (last && start <= last.start + last.length)
      last.length = Math.max(last.length, start + length - last.start);
    else merged.push({ start, length });
  }
  return merged;
}

const pack = (spans: readonly Receipt[]): string => JSON.stringify(spans.flatMap((s) => [s.start, s.length]));

function unpack(text: string): Receipt[] {
  const flat = JSON.parse(text) as number[];
  return Array.from({ length: flat.length / 2 }, (_, i) => ({
    start: flat[2 * i]!,
    length: flat[2 * i + 1]!,
  }));
}

/** Under another boot the page cache is gone, and with it whatever was only written (F99). */
function trusted(store: Store, fileId: number): Receipt[] {
  const row = rowOf(store, fileId);
  if (!row) return [];
  const durable = unpack(row.durable);
  return row.written_boot === store.boot ? [...durable, ...unpack(row.written)] : durable;
}

function rowOf(store: Store, fileId: number): ReceiptRow | undefined {
  return store.get<ReceiptRow>(
    "SELECT written, written_boot, durable FROM receipts WHERE file_id = ?",
    fileId,
  );
}

async function saveWritten(
  store: Store,
  ranges: Ranges,
  batch: readonly FileReceipts[],
  progress: readonly { id: string; bytes: number; averageBps: number }[],
): Promise<void> {
  // The next durable ones have all of it.
  if (store.holdsBack) return;
  await store.write(
    () => {
      save(store, ranges, "written", batch);
      for (const { id, bytes, averageBps } of progress)
        store.run(
          `UPDATE downloads SET bytes = min(?, ifnull(total, ?)), average_bps = ?
            WHERE id = ? AND state NOT IN ('completed', 'failed', 'cancelled')`,
          Math.round(bytes),
          Math.round(bytes),
          averageBps,
          id,
        );
    },
    { sync: false },
  );
}

const SAVE: Record<Watermark, string> = {
  written: `INSERT INTO receipts (file_id, written, written_boot) SELECT id, ?, ? FROM files WHERE id = ?
    ON CONFLICT (file_id) DO UPDATE SET written = excluded.written, written_boot = excluded.written_boot`,
  durable: `INSERT INTO receipts (file_id, durable) SELECT id, ? FROM files WHERE id = ?
    ON CONFLICT (file_id) DO UPDATE SET durable = excluded.durable`,
};

/** Adds to what is recorded; a file that has gone meanwhile is passed over. */
function save(store: Store, ranges: Ranges, watermark: Watermark, batch: readonly FileReceipts[]): void {
  for (const { fileId, receipts } of batch) {
    const known = ranges.get(watermark, fileId) ?? recorded(store, watermark, fileId);
    const spans = union([...known, ...receipts]);
    const boot = watermark === "written" ? [store.boot] : [];
    if (store.run(SAVE[watermark], pack(spans), ...boot, fileId) > 0) ranges.keep(watermark, fileId, spans);
  }
}

function recorded(store: Store, watermark: Watermark, fileId: number): Receipt[] {
  const row = rowOf(store, fileId);
  if (!row) return [];
  if (watermark === "durable") return unpack(row.durable);
  return row.written_boot === store.boot ? unpack(row.written) : [];
}

/**
 * After a restart of the machine: what was only written is void, and the progress of unfinished downloads goes back
 * to what has survived (I3). Call once, in a transaction, before anything reads.
 */
export function voidOtherBoots(store: Store): void {
  const stale = "written_boot IS NOT NULL AND written_boot <> ?";
  const touched = store.all<{ download_id: string }>(
    `SELECT DISTINCT f.download_id FROM receipts r CROSS JOIN files f ON f.id = r.file_id WHERE r.${stale}`,
    store.boot,
  );
  store.run(`UPDATE receipts SET written = '[]', written_boot = NULL WHERE ${stale}`, store.boot);
  for (const { download_id } of touched) measureAgain(store, download_id);
}

function measureAgain(store: Store, downloadId: string): void {
  const partial = store.all<{ id: number; durable: string | null }>(
    `SELECT f.id, r.durable FROM files f LEFT JOIN receipts r ON r.file_id = f.id
      WHERE f.download_id = ? AND f.state <> 'done'`,
    downloadId,
  );
  for (const { id, durable } of partial) {
    const survived = union(unpack(durable ?? "[]")).reduce((sum, s) => sum + s.length, 0);
    store.run("UPDATE files SET bytes = ? WHERE id = ?", survived, id);
  }
  store.run(
    `UPDATE downloads SET bytes = min(bytes, (SELECT sum(bytes) FROM files WHERE download_id = downloads.id))
      WHERE id = ? AND state NOT IN ('completed', 'failed', 'cancelled')`,
    downloadId,
  );
}
