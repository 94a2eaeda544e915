import type { SQLQueryBindings, Database as Sqlite, Statement } from "bun:sqlite";
import { DownloadError } from "../core/errors.ts";
import type { Clock, Log } from "../core/ports.ts";
import { Checkpoints } from "./checkpoints.ts";
import { isBusy, isFull, toDatabaseError } from "./errors.ts";
import { Anchor } from "./places.ts";
import type { Reserve } from "./reserve.ts";
import { Sequence } from "./sequence.ts";
import { GroupSync } from "./sync.ts";
import type { SystemCalls } from "./system.ts";

/** How often, and how long between, a write tries while another program holds the lock: some five seconds (F102). */
const BUSY_TRIES = 500;
const BUSY_STEP_MS = 10;
/** How often a fact tries to find room on a full volume. */
const FULL_TRIES = 2;
const STATEMENTS = 200;

export interface StoreOptions {
  calls: SystemCalls;
  db: Sqlite;
  path: string;
  dataDir: string;
  clock: Clock;
  log: Log;
  /** Identifies the run of the machine; see receipts. */
  boot: string;
  /** Other connections may open the database; false on network file systems. */
  shared: boolean;
  /** Room for what must be recorded on a full disk. */
  reserve?: Reserve;
}

export interface WriteOptions {
  /** Resolve only when the change would survive a power loss; default true. */
  sync?: boolean;
  /** Sequence numbers the transaction will take; default 1. */
  seqs?: number;
}

/** One open database: statements, transactions, durability. What the tables mean is said in the files beside. */
export class Store {
  readonly clock: Clock;
  readonly log: Log;
  readonly boot: string;
  readonly anchor = new Anchor();
  readonly #calls: SystemCalls;
  readonly #db: Sqlite;
  readonly #dataDir: string;
  readonly #wal: number;
  readonly #walPath: string;
  readonly #statements = new Map<string, Statement>();
  readonly #checkpoints: Checkpoints;
  readonly #sync: GroupSync;
  readonly #sequence: Sequence;
  readonly #reserve: Reserve | undefined;
  #closed = false;

  constructor({ calls, db, path, dataDir, clock, log, boot, shared, reserve }: StoreOptions) {
    this.clock = clock;
    this.log = log;
    this.boot = boot;
    this.#calls = calls;
    this.#db = db;
    this.#dataDir = dataDir;
    this.#reserve = reserve;
    this.#checkpoints = new Checkpoints(db, path, shared, log);
    // A descriptor of our own, to sync by; SQLite keeps no lock on this file that closing it would drop.
    this.#walPath = `${path}-wal`;
    const wal = calls.openSync(this.#walPath, "r+");
    this.#wal = wal;
    this.#sync = new GroupSync(
      () =>
        new Promise((resolve, reject) =>
          calls.fdatasync(wal, (error) => (error ? reject(error) : resolve())),
        ),
      () => this.#checkpoints.complete(),
    );
    const sequenceStore = {
      save: (limit: number) => this.setMeta("seq_limit", String(limit)),
      sync: () => this.#sync.sync(),
      syncNow: () => calls.fdatasyncSync(wal),
      busy: () => db.inTransaction,
    };
    try {
      this.#sequence = new Sequence(sequenceStore, this.#highestSeq());
      this.#sequence.reserve(1);
    } catch (error) {
      this.#letGo();
      throw error;
    }
  }

  /** Rows are asked as well: what was saved from a damaged database may lack the bound. */
  #highestSeq(): number {
    const sql =
      "SELECT max((SELECT ifnull(max(seq), 0) FROM downloads), (SELECT ifnull(max(seq), 0) FROM removed)) AS seq";
    return Math.max(Number(this.meta("seq_limit") ?? 0), this.get<{ seq: number | null }>(sql)?.seq ?? 0);
  }

  /** First row of a query, or undefined. */
  get<Row>(sql: string, ...values: SQLQueryBindings[]): Row | undefined {
    return (this.#statement(sql).get(...values) as Row | null) ?? undefined;
  }

  all<Row>(sql: string, ...values: SQLQueryBindings[]): Row[] {
    return this.#statement(sql).all(...values) as Row[];
  }

  /** Runs a statement that changes rows; how many. */
  run(sql: string, ...values: SQLQueryBindings[]): number {
    return this.#statement(sql).run(...values).changes;
  }

  /** Answers a question. Short: a long reader keeps the log from starting over (F231). */
  async read<T>(work: () => T): Promise<T> {
    return this.#retrying(work, false);
  }

  /** One transaction. Throws DownloadError `no_space`, `read_only`, `locked`, `io`, or what `work` throws. */
  async write<T>(work: () => T, { sync = true, seqs = 1 }: WriteOptions = {}): Promise<T> {
    const overdue = this.#checkpoints.overdue;
    if (overdue) await overdue;
    const { result, changed } = await this.#retrying(() => {
      this.#sequence.reserve(seqs);
      return this.#transaction(work);
    }, sync);
    if (!changed) return result;
    this.#checkpoints.committed();
    this.#reserve?.keep();
    if (sync) await this.#sync.sync();
    return result;
  }

  /** Whether what may be lost in a crash is better not written now (F231). */
  get holdsBack(): boolean {
    return this.#checkpoints.holdsBack(() => this.#calls.statSync(this.#walPath).size);
  }

  /** A number greater than every one before. */
  seq(): number {
    return this.#sequence.next();
  }

  get lastSeq(): number {
    return this.#sequence.last;
  }

  meta(key: string): string | undefined {
    return this.get<{ value: string }>("SELECT value FROM meta WHERE key = ?", key)?.value;
  }

  setMeta(key: string, value: string): void {
    this.run(
      "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
      key,
      value,
    );
  }

  /** Closes what cannot be used, as it is. */
  abandon(): void {
    this.#closed = true;
    this.#letGo();
  }

  /** Leaves one complete file behind. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#sync.idle();
    await this.#checkpoints.idle();
    try {
      this.setMeta("clean", "1");
      this.#db.query("PRAGMA wal_checkpoint(TRUNCATE)").get();
    } catch (error) {
      this.log.warn("the database could not be closed cleanly", { error: String(error) });
    }
    this.#letGo();
  }

  /** Closes the files. What mattered has been synced before, so an error of that is only told. */
  #letGo(): void {
    for (const statement of this.#statements.values()) statement.finalize();
    try {
      this.#calls.closeSync(this.#wal);
    } catch (error) {
      this.log.warn("the database could not be closed cleanly", { error: String(error) });
    } finally {
      this.#db.close();
    }
  }

  #transaction<T>(work: () => T): { result: T; changed: boolean } {
    this.run("BEGIN IMMEDIATE");
    try {
      const before = this.#changes();
      const result = work();
      const changed = this.#changes() > before;
      this.run("COMMIT");
      return { result, changed };
    } catch (error) {
      if (this.#db.inTransaction) this.run("ROLLBACK");
      throw error;
    }
  }

  #changes(): number {
    return this.get<{ n: number }>("SELECT total_changes() AS n")!.n;
  }

  /** Waits for the lock without holding up the event loop, which a busy_timeout would do. */
  async #retrying<T>(work: () => T, isFact: boolean): Promise<T> {
    if (this.#closed) throw new DownloadError("internal", "The database has been closed.");
    for (let tries = 1; ; tries++) {
      try {
        return work();
      } catch (error) {
        if (isFull(error) && (await this.#madeRoom(isFact, tries))) continue;
        if (!isBusy(error) || tries >= BUSY_TRIES) throw toDatabaseError(error, this.#dataDir);
      }
      await this.clock.sleep(BUSY_STEP_MS);
      if (this.#closed) throw new DownloadError("internal", "The database has been closed.");
    }
  }

  /** A log that starts over needs no more room than it has. What it takes to get there has been kept for facts. */
  async #madeRoom(isFact: boolean, tries: number): Promise<boolean> {
    if (isFact) this.#reserve?.spend();
    this.#checkpoints.begin();
    if (!isFact || tries > FULL_TRIES) return false;
    await this.#checkpoints.idle();
    return !this.#closed;
  }

  /** Prepared once; the ones not used for longest go when there are too many. */
  #statement(sql: string): Statement {
    let statement = this.#statements.get(sql);
    if (statement) this.#statements.delete(sql);
    else statement = this.#db.prepare(sql);
    this.#statements.set(sql, statement);
    if (this.#statements.size > STATEMENTS) {
      const [oldest, dropped] = this.#statements.entries().next().value!;
      this.#statements.delete(oldest);
      dropped.finalize();
    }
    return statement;
  }
}
