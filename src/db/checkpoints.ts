import type { Database as Sqlite } from "bun:sqlite";
import type { Log } from "../core/ports.ts";

/** A commit writes a few pages: this keeps the log at some ten megabytes (F231). */
const COMMITS = 1000;
/** The log shrinks to this when it starts over. */
const LOG_BYTES = 32 * 1024 * 1024;
/** What it may grow to while a reader keeps it from starting over: then only what has been promised is written. */
const MOST_LOG_BYTES = 2 * LOG_BYTES;
/** Where the worker cannot do it, SQLite does it itself, on the thread of whoever commits, at this many pages. */
const OWN_PAGES = 1000;
const BACKSTOP_PAGES = 16_384;

/** In the executable all modules are one, and the worker lies where `build.ts` puts this entry point. */
const WORKER = import.meta.url.endsWith("/db/checkpoints.ts")
  ? new URL("./checkpoint-worker.ts", import.meta.url)
  : new URL("./src/db/checkpoint-worker.js", import.meta.url);

/** Keeps the write-ahead log short, from a worker, because a checkpoint waits for the disk. */
export class Checkpoints {
  readonly #db: Sqlite;
  readonly #path: string;
  readonly #log: Log;
  #shared: boolean;
  #commits = 0;
  #running: Promise<void> | undefined;
  /** The last one was kept from it, by a reader that stays, say. */
  #stuck = false;
  /** That the log cannot start over has been told. */
  #isTold = false;

  constructor(db: Sqlite, path: string, shared: boolean, log: Log) {
    this.#db = db;
    this.#path = path;
    this.#shared = shared;
    this.#log = log;
    db.run(`PRAGMA wal_autocheckpoint = ${shared ? BACKSTOP_PAGES : OWN_PAGES}`);
    db.run(`PRAGMA journal_size_limit = ${LOG_BYTES}`);
  }

  /** Call after each commit. */
  committed(): void {
    if (++this.#commits >= COMMITS) this.begin();
  }

  /**
   * The checkpoint to wait for before writing on, when so much has been written since it began that the log would
   * outgrow its bounds; a writer without a pause would also keep it from starting the log over.
   */
  get overdue(): Promise<void> | undefined {
    return this.#commits >= COMMITS && !this.#stuck ? this.#running : undefined;
  }

  /**
   * Whether what may be lost in a crash is better not written: another program has been reading for so long that the log
   * has outgrown its bounds (F231). `logBytes` is asked when that may be. Counts as a commit, so that it is tried again.
   */
  holdsBack(logBytes: () => number): boolean {
    if (!this.#stuck || logBytes() < MOST_LOG_BYTES) return false;
    if (!this.#isTold)
      this.#log.warn(
        "The log of the database cannot be cut back, because another program has been reading the database for long: progress is recorded every few seconds only until it has ended.",
        { log: `${this.#path}-wal` },
      );
    this.#isTold = true;
    this.committed();
    return true;
  }

  /** Starts one in the background, unless one is under way. */
  begin(): void {
    if (!this.#shared || this.#running) return;
    this.#commits = 0;
    this.#running = this.#inWorker()
      .then(
        () => {
          this.#stuck = false;
          this.#isTold = false;
        },
        (error) => {
          this.#stuck = true;
          this.#log.debug("checkpoint put off", { error: String(error) });
        },
      )
      .finally(() => {
        this.#running = undefined;
      });
  }

  /** Writes the whole log into the database and syncs that; rejects when it could not. */
  async complete(): Promise<void> {
    await this.#running;
    if (this.#shared) return this.#inWorker();
    const result = this.#db.query("PRAGMA wal_checkpoint(RESTART)").get() as { busy: number };
    if (result.busy !== 0) throw new Error("a reader or writer is in the way");
  }

  /** Resolves when none is under way. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #inWorker(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const worker = new Worker(WORKER);
    worker.onmessage = (event: MessageEvent<{ ok: boolean; message?: string }>) =>
      event.data.ok ? resolve() : reject(new Error(event.data.message));
    worker.onerror = (event) => {
      // No worker to be had: SQLite does without, at the price of a pause now and then.
      this.#shared = false;
      this.#db.run(`PRAGMA wal_autocheckpoint = ${OWN_PAGES}`);
      this.#log.warn("checkpoints run on the main thread", { error: event.message });
      reject(new Error(event.message));
    };
    worker.postMessage({ path: this.#path, size: LOG_BYTES });
    try {
      await promise;
    } finally {
      worker.terminate();
    }
  }
}
