import { Database as Sqlite } from "bun:sqlite";

declare const self: Worker;

/** Longest wait for a writer that is in the way. */
const BUSY_TIMEOUT_MS = 2000;

/**
 * Checkpoints the database named in the message, in a thread of its own because it syncs. First what can be copied
 * without being in anyone's way, then the short rest with writers held off, so that the log starts over; the write
 * at the end makes this thread pay for the sync of the new log's header.
 */
function checkpoint(path: string): void {
  const db = new Sqlite(path, { readwrite: true, create: false });
  try {
    db.run(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    db.run("PRAGMA synchronous = NORMAL");
    db.query("PRAGMA wal_checkpoint(PASSIVE)").get();
    const result = db.query("PRAGMA wal_checkpoint(RESTART)").get() as { busy: number };
    if (result.busy !== 0) throw new Error("a reader or writer is in the way");
    db.run("INSERT INTO meta VALUES ('checkpoints', '1') ON CONFLICT DO UPDATE SET value = value + 1");
  } finally {
    db.close();
  }
}

self.onmessage = (event: MessageEvent<{ path: string }>) => {
  try {
    checkpoint(event.data.path);
    self.postMessage({ ok: true });
  } catch (error) {
    self.postMessage({ ok: false, message: error instanceof Error ? error.message : String(error) });
  }
};
