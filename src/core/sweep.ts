import type { Tools } from "./attempt.ts";
import type { Board } from "./board.ts";
import { removeFromDisk } from "./disk-files.ts";
import { type Download, isFinished } from "./download.ts";
import { DownloadError, toDownloadError } from "./errors.ts";
import type { FeedEvent } from "./feed.ts";
import type { KeyedLock } from "./keyed-lock.ts";
import { pagesOf } from "./pages.ts";
import { discardPartials, hasDiscardable } from "./settle.ts";

export interface SweepPolicy {
  /** How long a failed download keeps its partial data; 0 = not at all (A6). */
  keepPartialsMs: number;
  /** How long finished records are kept. */
  historyMs: number;
}

const EVERY_MS = 60_000;
const BATCH = 500;
/** An end is written a little later than it was. */
const SLACK_MS = 60_000;

/** Removes what has outlived its use: partial data of failed downloads, old records. */
export class Sweeper {
  readonly #tools: Tools;
  readonly #board: Board;
  readonly #policy: SweepPolicy;
  readonly #records: KeyedLock;
  #timer: Timer | undefined;
  #unsubscribe: (() => void) | undefined;
  #wanted: ReadonlySet<string> = new Set();
  /** Failed downloads without partial data by now, with the end that this is true of: their rows show how far they came. */
  readonly #swept = new Map<string, number | null>();
  /** Cancelled downloads that still have partial data, and up to when there are no others. */
  readonly #left = new Set<string>();
  #cancelledSince: number | undefined;

  /** `records`: who holds the lock of a download's id finds its record, if it has ended, neither removed nor tried again. */
  constructor(tools: Tools, board: Board, policy: SweepPolicy, records: KeyedLock) {
    this.#tools = tools;
    this.#board = board;
    this.#policy = policy;
    this.#records = records;
  }

  /** Completed records of the sources in `wanted` stay: they say that nothing need be fetched again. */
  start(wanted: ReadonlySet<string>): void {
    this.#wanted = wanted;
    this.#timer ??= setInterval(() => void this.sweep(), EVERY_MS);
    if (this.#policy.keepPartialsMs === 0)
      this.#unsubscribe ??= this.#board.feed.subscribe((e) => this.#atOnce(e));
    void this.sweep();
  }

  #atOnce(event: FeedEvent): void {
    if (event.type === "download" && event.download.state === "failed" && event.download.bytes > 0)
      void this.sweep();
  }

  /** Before anything is started: a process that died between keeping a token and its row left the token behind. */
  async forgetOrphans(): Promise<void> {
    const { db, secrets, log } = this.#tools;
    try {
      for (const id of await secrets.ids()) if (!(await db.get(id))) await secrets.delete(id);
    } catch (error) {
      log.warn("could not look through the secrets", { error: String(error) });
    }
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
  }

  /** One round; a failure is logged and tried again with the next. */
  async sweep(): Promise<void> {
    const { db, clock, log } = this.#tools;
    try {
      await this.#sweepPartials(clock.now() - this.#policy.keepPartialsMs);
      await this.#sweepCancelled();
      const before = clock.now() - this.#policy.historyMs;
      for (const id of await db.expired(before, BATCH + this.#wanted.size)) await this.#expire(id);
    } catch (error) {
      log.warn("could not sweep old records", { error: String(error) });
    }
  }

  /** One that cannot be removed is tried again with the next round, and keeps no other. */
  async #expire(id: string): Promise<void> {
    try {
      const row = await this.#tools.db.get(id);
      const stays = row?.state === "completed" && this.#wanted.has(row.source.key);
      if (row && !stays) await this.forget(id, false);
    } catch (error) {
      this.#tools.log.warn("could not remove an old record", { id, error: String(error) });
    }
  }

  /**
   * Deletes a finished record; with `files` also what it brought and no other download has. False when there is none, or
   * it is being tried again by now: then it stays as it is (I2).
   */
  forget(id: string, files: boolean): Promise<boolean> {
    const { db, secrets } = this.#tools;
    return this.#records.run(id, async () => {
      const row = await db.get(id);
      if (!row || !isFinished(row.state)) return false;
      await discardPartials(this.#tools, row);
      if (files) for (const file of await db.files(id)) await removeFromDisk(this.#tools, file);
      await secrets.delete(id);
      await this.#board.remove(row);
      this.#swept.delete(id);
      return true;
    });
  }

  /** The same for each of them; how many. One that cannot be removed keeps no other in the list, and is told at the end. */
  async forgetAll(rows: readonly Download[], files: boolean): Promise<number> {
    const failures: DownloadError[] = [];
    let count = 0;
    for (const { id } of rows) {
      try {
        count += Number(await this.forget(id, files));
      } catch (error) {
        failures.push(toDownloadError(error));
      }
    }
    const [first] = failures;
    if (!first) return count;
    const { code, message, cause } = first;
    const text = `${failures.length} of ${rows.length} could not be removed: ${message}`;
    throw new DownloadError(code, text, { cause });
  }

  async #sweepPartials(endedBefore: number): Promise<void> {
    const { db } = this.#tools;
    const isOver = ({ id, endedAt, bytes, filesDone, filesTotal }: Download): boolean =>
      (endedAt ?? 0) <= endedBefore && bytes > 0 && filesDone < filesTotal && this.#swept.get(id) !== endedAt;
    for await (const page of pagesOf(db, { states: ["failed"] }))
      for (const listed of page) {
        if (!isOver(listed)) continue;
        await this.#records.run(listed.id, async () => {
          // A page takes its time: one that is being tried again by now needs what it has.
          const row = await db.get(listed.id);
          if (row?.state !== "failed" || !isOver(row)) return;
          if (await discardPartials(this.#tools, row)) this.#swept.set(row.id, row.endedAt);
        });
      }
  }

  /** What could not be removed when it was cancelled (A6): its disk was away, or is failing. */
  async #sweepCancelled(): Promise<void> {
    const { db, clock } = this.#tools;
    const since = this.#cancelledSince;
    const filter = { states: ["cancelled"] as const, ...(since !== undefined && { endedAfter: since }) };
    this.#cancelledSince = clock.now() - SLACK_MS;
    for (const id of [...this.#left]) await this.#clear(id);
    for await (const page of pagesOf(db, filter))
      for (const row of page) {
        const isNew = row.bytes > 0 && !this.#left.has(row.id);
        if (isNew && (await hasDiscardable(this.#tools, row))) await this.#clear(row.id);
      }
  }

  #clear(id: string): Promise<void> {
    return this.#records.run(id, async () => {
      const row = await this.#tools.db.get(id);
      const isClear = row?.state !== "cancelled" || (await discardPartials(this.#tools, row));
      if (isClear) this.#left.delete(id);
      else this.#left.add(id);
    });
  }
}
