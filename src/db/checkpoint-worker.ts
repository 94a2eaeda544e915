import { Database as Sqlite } from "bun:sqlite";

declare const self: Worker;

/** Longest wait for a reader or a writer that is in the way. */
const BUSY_TIMEOUT_MS = 2000;
/** How soon it is looked whether a reader has gone. */
const LOOK_MS = 20;

/**
 * Copies what is in nobody's way until that is all there is. As long as a reader needs what was there before, anything
 * more would only hold writers off (F231).
 */
function copyAll(db: Sqlite): void {
  for (const began = performance.now(); ; Bun.sleepSync(LOOK_MS)) {
    const { log, checkpointed } = db.query("PRAGMA wal_checkpoint(PASSIVE)").get() as {
      log: number;
      checkpointed: number;
    };
    if (checkpointed >= log) return;
    if (performance.now() - began > BUSY_TIMEOUT_MS) throw new Error("a reader is in the way");
  }
}

/**
 * Checkpoints the database named in the message, in a thread of its own because it syncs. First what can be copied
 * without being in anyone's way, then the short rest with writers held off, so that the log starts over; the write
 * at the end makes this thread pay for the sync of the new log's header. Then the log's file is no larger than `size`.
 */
function checkpoint(path: string, size: number): void {
  const db = new Sqlite(path, { readwrite: true, create: false });
  try {
    db.run(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    db.run("PRAGMA synchronous = NORMAL");
    db.run(`PRAGMA journal_size_limit = ${size}`);
    copyAll(db);
    const result = db.query("PRAGMA wal_checkpoint(RESTART)").get() as { busy: number };
    if (result.busy !== 0) throw new Error("a reader or writer is in the way");
    db.run("INSERT INTO meta VALUES ('checkpoints', '1') ON CONFLICT DO UPDATE SET value = value + 1");
  } finally {
    db.close();
  }
}

self.onmessage = (event: MessageEvent<{ path: string; size: number }>) => {
  try {
    checkpoint(event.data.path, event.data.size);
    self.postMessage({ ok: true });
  } catch (error) {
    self.postMessage({ ok: false, message: error instanceof Error ? error.message : String(error) });
  }
};
