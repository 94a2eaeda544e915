import type { File, Receipt } from "./download.ts";
import type { Clock, Database, FileReceipts, Log, PartFile } from "./ports.ts";

/** With the 10 ms that bytes wait to be written, written watermarks are at most 25 ms old while bytes move (DESIGN §3). */
const WRITTEN_EVERY_MS = 15;
/** A power cut costs at most this much time or this many bytes of a file. */
const DURABLE_EVERY_MS = 5000;
const DURABLE_EVERY_BYTES = 256 * 1024 * 1024;

/** A file up to this size costs less to fetch again than to keep account of. */
const BRIEF_BYTES = 1024 * 1024;

type FilePatch = Partial<Omit<File, "id" | "downloadId" | "path">>;

interface Progress {
  id: string;
  bytes: number;
  averageBps: number;
}

/** What one open partial file has on disk. */
export class FileJournal {
  /** Bytes written since the last sync. */
  unsynced = 0;
  syncedAt: number;
  syncing = false;
  /** Grows when all bytes become void, so that a sync begun before does not vouch for them. */
  generation = 0;
  /** Sooner fetched anew than continued: nothing is recorded while it moves, only when that is asked for. */
  brief = false;
  /** Some receipts have been saved, so there is something to forget at the end. */
  saved = false;
  /** A sync has failed: only what is in the database may be trusted (F85). */
  isBroken = false;
  /** What the last successful sync vouches for. */
  durable: FileReceipts | undefined;
  readonly ranges = new Map<number, number>();
  readonly dirty = new Set<number>();
  readonly fileId: number;
  readonly part: PartFile;

  constructor(fileId: number, part: PartFile, receipts: readonly Receipt[], now: number) {
    this.fileId = fileId;
    this.part = part;
    this.syncedAt = now;
    for (const r of receipts) this.ranges.set(r.start, r.length);
  }

  written(start: number, length: number): void {
    this.unsynced += Math.max(0, length - (this.ranges.get(start) ?? 0));
    this.ranges.set(start, length);
    this.dirty.add(start);
  }

  /** Takes back what could not be saved. */
  giveBack({ receipts }: FileReceipts): void {
    for (const { start } of receipts) if (this.ranges.has(start)) this.dirty.add(start);
  }

  takeDirty(): FileReceipts {
    const receipts = [...this.dirty].map((start) => ({ start, length: this.ranges.get(start) ?? 0 }));
    this.dirty.clear();
    this.saved = true;
    return { fileId: this.fileId, receipts };
  }

  all(): FileReceipts {
    const receipts = [...this.ranges].map(([start, length]) => ({ start, length }));
    return { fileId: this.fileId, receipts };
  }
}

/**
 * Keeps the two watermarks of every open partial file: *written* every 15 ms in one unsynced transaction for all,
 * *durable* after `fdatasync` every 5 s or 256 MiB. Finished files are marked in the same rhythm.
 */
export class Journal {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #open = new Map<number, FileJournal>();
  readonly #progress = new Map<string, () => Progress>();
  #notes = new Map<number, FilePatch>();
  #flushing: Promise<void> | undefined;
  #timer: Timer | undefined;

  constructor(db: Database, clock: Clock, log: Log) {
    this.#db = db;
    this.#clock = clock;
    this.#log = log;
  }

  start(): void {
    this.#timer ??= setInterval(() => void this.#tick(), WRITTEN_EVERY_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.flush();
  }

  /** Watches a partial file until `close`. */
  open(fileId: number, part: PartFile, receipts: readonly Receipt[], size: number | null): FileJournal {
    const journal = new FileJournal(fileId, part, receipts, this.#clock.monotonic());
    journal.brief = size !== null && size <= BRIEF_BYTES && receipts.length === 0;
    this.#open.set(fileId, journal);
    return journal;
  }

  /** The download's progress is written along with its watermarks. */
  report(id: string, progress: () => Progress): void {
    this.#progress.set(id, progress);
  }

  silence(id: string): void {
    this.#progress.delete(id);
  }

  /** The bytes are void: forgets the receipts, here and in the database. */
  async reset(journal: FileJournal): Promise<void> {
    journal.ranges.clear();
    journal.dirty.clear();
    journal.unsynced = 0;
    journal.durable = undefined;
    journal.generation++;
    // A flush under way may bring some of them once more; whether it succeeds is for its own caller.
    await this.#flushing?.catch(() => {});
    await this.#db.dropReceipts([journal.fileId]);
  }

  /** Brings the receipts to disk, durable ones included. */
  async settle(journal: FileJournal): Promise<void> {
    if (journal.ranges.size === 0) return;
    journal.brief = false;
    await this.flush();
    await this.#sync(journal);
  }

  /** Stops watching. */
  close(journal: FileJournal): void {
    this.#open.delete(journal.fileId);
  }

  /** Something learnt of a file that may be lost in a crash and learnt again: recorded with the next flush. */
  note(id: number, patch: FilePatch): void {
    this.#notes.set(id, { ...this.#notes.get(id), ...patch });
  }

  /** Everything known up to now is in the database when this resolves. */
  async flush(): Promise<void> {
    while (this.#flushing) await this.#flushing;
    this.#flushing = this.#write();
    try {
      await this.#flushing;
    } finally {
      this.#flushing = undefined;
    }
  }

  async #write(): Promise<void> {
    const batch = this.#moved().map((j) => j.takeDirty());
    const notes = this.#notes;
    this.#notes = new Map();
    const progress = [...this.#progress.values()].map((p) => p());
    try {
      // What a file is known by first: receipts belong to it.
      if (notes.size > 0) await this.#db.updateFiles([...notes].map(([id, patch]) => ({ id, patch })));
      notes.clear();
      if (batch.length > 0) await this.#db.saveWritten(batch, progress);
    } catch (error) {
      for (const taken of batch) this.#open.get(taken.fileId)?.giveBack(taken);
      for (const [id, patch] of notes) this.#notes.set(id, { ...patch, ...this.#notes.get(id) });
      throw error;
    }
  }

  /** Open files with something to record. */
  #moved(): FileJournal[] {
    return [...this.#open.values()].filter((j) => j.dirty.size > 0 && !j.brief);
  }

  async #tick(): Promise<void> {
    if (this.#flushing) return;
    try {
      if (this.#notes.size > 0 || this.#moved().length > 0) await this.flush();
      const now = this.#clock.monotonic();
      for (const journal of this.#open.values()) {
        const due = now - journal.syncedAt >= DURABLE_EVERY_MS || journal.unsynced >= DURABLE_EVERY_BYTES;
        if (due && journal.unsynced > 0 && !journal.syncing && !journal.brief)
          void this.#sync(journal).catch((error) =>
            this.#log.error("could not record what is on disk", { error: String(error) }),
          );
      }
    } catch (error) {
      this.#log.error("could not write watermarks", { error: String(error) });
    }
  }

  /** After a failed sync only what an earlier one vouched for may be trusted (F85). */
  async #sync(journal: FileJournal): Promise<void> {
    const receipts = journal.all();
    const { unsynced: before, generation } = journal;
    journal.syncing = true;
    journal.syncedAt = this.#clock.monotonic();
    try {
      await journal.part.sync();
      if (this.#open.get(journal.fileId) !== journal || journal.generation !== generation) return;
      journal.unsynced -= before;
      journal.durable = receipts;
      await this.#db.saveDurable([receipts]);
    } catch (error) {
      this.#log.warn("could not sync a partial file", { file: journal.part.path, error: String(error) });
      journal.isBroken = true;
      journal.dirty.clear();
      await this.#db.dropReceipts([journal.fileId]);
      if (journal.durable) await this.#db.saveDurable([journal.durable]);
    } finally {
      journal.syncing = false;
    }
  }
}
