import type { Download, File } from "./download.ts";
import { Feed, type Snapshot } from "./feed.ts";
import { Meter } from "./meter.ts";
import type { Clock, Database, DownloadPatch, Guard, NewDownload } from "./ports.ts";

/**
 * Where rows are written and shown: each successful write is published with its number, each row is dressed with what
 * its meter knows. Writing rows only through here keeps the order of events the order of the writes.
 */
export class Board {
  readonly db: Database;
  readonly clock: Clock;
  readonly feed: Feed;
  readonly #isAllPaused: () => boolean;
  readonly #meters = new Map<string, Meter>();

  /** `isAllPaused`: no download is led at the moment. */
  constructor(db: Database, clock: Clock, isAllPaused: () => boolean) {
    this.db = db;
    this.clock = clock;
    this.#isAllPaused = isAllPaused;
    this.feed = new Feed(db, (row) => Promise.resolve(this.snapshot(row)));
  }

  /** Guarded write; undefined when somebody else has moved the row. */
  async write(id: string, guard: Guard, patch: DownloadPatch): Promise<Download | undefined> {
    const row = await this.#telling(id, () => this.db.update(id, guard, patch));
    if (row) this.feed.changed(this.snapshot(row), patch.state !== undefined);
    return row;
  }

  async insert(draft: NewDownload): Promise<Download | { conflict: Download }> {
    const row = await this.#telling(draft.id, () => this.db.insert(draft));
    if (!("conflict" in row)) this.feed.changed(this.snapshot(row), true);
    return row;
  }

  async claim(...which: Parameters<Database["claim"]>): Promise<Download | undefined> {
    const row = await this.db.claim(...which);
    if (row) this.feed.changed(this.snapshot(row), true);
    return row;
  }

  async remove(row: Download): Promise<void> {
    try {
      const seq = await this.db.remove(row.id);
      if (seq !== undefined) this.feed.removed(row.id, row.modelId, seq);
    } catch (error) {
      const there = await this.db.get(row.id).catch(() => row);
      if (!there) this.feed.removed(row.id, row.modelId, 0);
      throw error;
    }
    this.#meters.delete(row.id);
  }

  /**
   * A write whose sync failed is an error to whoever asked for it, and stands in the row all the same (F85): those who
   * watch are told what is there now.
   */
  async #telling<T>(id: string, write: () => Promise<T>): Promise<T> {
    const before = this.feed.seq;
    try {
      return await write();
    } catch (error) {
      const row = await this.db.get(id).catch(() => undefined);
      if (row && row.seq > before) this.feed.changed(this.snapshot(row), true);
      throw error;
    }
  }

  meter(id: string): Meter {
    const known = this.#meters.get(id);
    if (known) return known;
    const meter = new Meter();
    this.#meters.set(id, meter);
    return meter;
  }

  /** The download has ended; its row says the rest. */
  forgetMeter(id: string): void {
    this.#meters.delete(id);
  }

  /** The row with what is only known while it moves; `place` is left to those who show single records. */
  snapshot(row: Download): Snapshot {
    const meter = row.owner === null ? undefined : this.#meters.get(row.id);
    if (!meter) {
      const waiting = this.#waitingOf(row);
      return { ...row, waiting, speed: 0, connections: 0, bottleneck: null, place: null };
    }
    const total = meter.total ?? row.total;
    const bytes = Math.max(0, total === null ? meter.bytes : Math.min(meter.bytes, total));
    return {
      ...row,
      bytes,
      total,
      filesDone: meter.filesDone,
      averageBps: meter.average(this.clock.monotonic()),
      waiting: null,
      speed: meter.speed,
      connections: meter.connections,
      bottleneck: meter.bottleneck,
      ...(meter.statusLine === null ? {} : { statusLine: meter.statusLine }),
      place: null,
    };
  }

  /** A file with the bytes that have arrived of it by now. */
  file({ id, owner }: Download, file: File): File {
    const now = owner === null ? undefined : this.#meters.get(id)?.moving.get(file.id);
    return now && file.state === "pending" ? { ...file, bytes: now.bytes, size: now.size } : file;
  }

  #waitingOf(row: Download): Download["waiting"] {
    if (row.state === "paused") return { reason: "user" };
    if (row.state !== "queued") return null;
    return this.#isAllPaused() ? { reason: "all_paused" } : (row.waiting ?? { reason: "queue" });
  }
}
