import type { Downloads } from "../core/downloads.ts";
import type { FeedEvent, Snapshot } from "../core/feed.ts";
import type { Clock } from "../core/ports.ts";
import { withPlaces } from "./downloads/list.ts";
import { type Frame, frameOf, snapshotFrames } from "./frames.ts";
import { Problem } from "./problem.ts";

/** One connection that watches. */
export interface Reader {
  /** Session it was opened by, if any. */
  readonly owner: string | null;
  /** Whether it watches this download. */
  wants(id: string): boolean;
  push(frame: Frame): void;
  /** Called every few seconds: shows life, and finds out whether the other side still takes it. */
  heartbeat(): void;
  /** The server ends the connection. */
  end(): void;
}

export interface BroadcastOptions {
  heartbeatMs?: number;
  /** Most readers at once (F213). */
  maxReaders?: number;
}

/** A snapshot of everything, shared by those who come one soon after another. */
interface Shared {
  seq: number;
  /** Monotonic. */
  until: number;
  shot: Promise<Shot>;
}

interface Shot {
  seq: number;
  frames: readonly Frame[];
  /** Row and bytes it shows of a download. */
  row(id: string): Pick<Snapshot, "seq" | "bytes"> | undefined;
}

export const HEARTBEAT_MS = 5_000;
const MAX_READERS = 20_000;
/** Newest frames kept for whoever joins or comes back; what is older is asked of the feed. */
const RECENT = 512;
/** Readers who join within this time of one another get the same snapshot (F218). */
const SHARE_MS = 250;
/** One that took long to make is shared for so many times that. */
const SHARE_TIMES = 4;

/** The feed, fanned out to all readers of this server: one subscription, each event encoded once. */
export class Broadcast {
  readonly #downloads: Pick<Downloads, "feed" | "active" | "find">;
  readonly #clock: Clock;
  readonly #heartbeatMs: number;
  readonly #maxReaders: number;
  readonly #readers = new Set<Reader>();
  /** Those who are about to join: while there are any, no recent frame is forgotten. */
  #joining = 0;
  #recent: Frame[] = [];
  /** Every event after this number is among the recent ones. */
  #floor = 0;
  /** The newest snapshots, by how long finished downloads are shown in them. */
  readonly #shared = new Map<number | undefined, Shared>();
  #unsubscribe: (() => void) | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(
    downloads: Pick<Downloads, "feed" | "active" | "find">,
    clock: Clock,
    options: BroadcastOptions = {},
  ) {
    this.#downloads = downloads;
    this.#clock = clock;
    this.#heartbeatMs = options.heartbeatMs ?? HEARTBEAT_MS;
    this.#maxReaders = options.maxReaders ?? MAX_READERS;
  }

  get readers(): number {
    return this.#readers.size;
  }

  get heartbeatSeconds(): number {
    return this.#heartbeatMs / 1000;
  }

  get seq(): number {
    return this.#downloads.feed.seq;
  }

  /** Throws `too_many_streams` when there is no room for one more. */
  checkRoom(): void {
    if (this.#readers.size < this.#maxReaders) return;
    throw new Problem("too_many_streams", "Too many live connections; poll GET /v1/downloads instead", {
      headers: { "Retry-After": "10" },
    });
  }

  /** From now on the reader gets what it wants. Answers how to leave. */
  add(reader: Reader): () => void {
    this.#readers.add(reader);
    this.#watch();
    this.#timer ??= setInterval(() => {
      this.#forgetShared();
      for (const each of this.#readers) each.heartbeat();
    }, this.#heartbeatMs);
    return () => {
      this.#readers.delete(reader);
      this.#rest();
    };
  }

  /**
   * Gathers what somebody must be told to be up to date about `ids` (null = all): what happened after `since`, or a
   * snapshot. `deliver` is called synchronously with the frames: whoever starts to want these ids inside it misses
   * nothing and gets nothing twice. `lingerMs`: how long finished downloads are in a snapshot of all, if not as long
   * as in the list of active ones.
   */
  async catchUp(
    ids: ReadonlySet<string> | null,
    since: number | undefined,
    deliver: (frames: Frame[]) => void,
    lingerMs?: number,
  ): Promise<void> {
    this.#joining++;
    this.#watch();
    try {
      const select = (frames: Frame[]) =>
        ids === null ? frames : frames.filter((frame) => frame.id === null || ids.has(frame.id));
      const missed = since === undefined ? undefined : await this.#missed(since);
      if (missed) return deliver(select(missed()));
      const shot = await this.#snapshot(ids, lingerMs);
      deliver(select([...shot.frames, ...this.#recent.filter((frame) => isNews(frame, shot))]));
    } finally {
      this.#joining--;
      this.#rest();
    }
  }

  /** Ends the readers that belong to a session, or all. */
  end(owner?: string): void {
    for (const reader of this.#readers) if (owner === undefined || reader.owner === owner) reader.end();
  }

  #publish(event: FeedEvent): void {
    const frame = frameOf(event, () => this.#clock.now());
    this.#recent.push(frame);
    if (this.#joining === 0 && this.#recent.length > 2 * RECENT) {
      this.#recent = this.#recent.slice(-RECENT);
      this.#floor = (this.#recent[0]?.seq ?? event.seq) - 1;
    }
    for (const reader of this.#readers) if (frame.id === null || reader.wants(frame.id)) reader.push(frame);
  }

  /** Frames after `since`, as a function to call when they are delivered; undefined when the feed has forgotten. */
  async #missed(since: number): Promise<(() => Frame[]) | undefined> {
    const { feed } = this.#downloads;
    if (since > feed.seq) return undefined;
    if (since >= this.#floor) return () => this.#recent.filter((frame) => frame.seq > since);
    const mark = feed.seq;
    const { events, gap } = await feed.since(since);
    if (gap) return undefined;
    const told = new Map(events.map((e) => [e.type === "removed" ? e.id : e.download.id, e.seq]));
    const older = events.map((event) => frameOf(event, () => this.#clock.now()));
    const isNewer = (frame: Frame) => frame.seq > mark && frame.seq > (told.get(frame.id ?? "") ?? 0);
    return () => [...older, ...this.#recent.filter(isNewer)];
  }

  #snapshot(ids: ReadonlySet<string> | null, lingerMs?: number): Promise<Shot> {
    if (ids !== null) {
      const found = () => Promise.all([...ids].map((id) => this.#downloads.find(id)));
      return this.#shoot(async () => (await found()).filter((download) => download !== undefined));
    }
    const known = this.#shared.get(lingerMs);
    if (known && this.#clock.monotonic() < known.until && known.seq >= this.#floor) return known.shot;
    const shared: Shared = {
      seq: this.seq,
      until: Number.POSITIVE_INFINITY,
      shot: this.#shoot(async () => withPlaces(await this.#downloads.active(lingerMs))),
    };
    this.#shared.set(lingerMs, shared);
    const asked = this.#clock.monotonic();
    const expire = (until: (now: number) => number) => () => {
      shared.until = until(this.#clock.monotonic());
    };
    shared.shot.then(
      expire((now) => now + Math.max(SHARE_MS, SHARE_TIMES * (now - asked))),
      expire((now) => now),
    );
    return shared.shot;
  }

  /** A snapshot is as large as the queue is long: nobody is to keep it who sends it no more. */
  #forgetShared(): void {
    for (const [lingerMs, { until }] of this.#shared)
      if (until <= this.#clock.monotonic()) this.#shared.delete(lingerMs);
  }

  async #shoot(read: () => Promise<Snapshot[]>): Promise<Shot> {
    const { seq } = this;
    const downloads = await read();
    let rows: Map<string, Snapshot> | undefined;
    const row = (id: string) => {
      rows ??= new Map(downloads.map((download) => [download.id, download]));
      return rows.get(id);
    };
    return { seq, frames: snapshotFrames(seq, downloads, this.#clock.now()), row };
  }

  #watch(): void {
    if (this.#unsubscribe) return;
    this.#floor = this.seq;
    this.#unsubscribe = this.#downloads.feed.subscribe((event) => this.#publish(event));
  }

  /** With nobody left, nothing is kept and the feed is let go of. */
  #rest(): void {
    if (this.#readers.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
    if (this.#readers.size > 0 || this.#joining > 0) return;
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
    this.#recent = [];
    this.#shared.clear();
  }
}

/** Whether the frame tells more than the snapshot: its row or its bytes are newer. */
function isNews(frame: Frame, shot: Shot): boolean {
  if (frame.seq <= shot.seq) return false;
  const row = frame.id === null ? undefined : shot.row(frame.id);
  if (!row || !frame.shows) return true;
  return frame.shows.rowSeq > row.seq || (frame.shows.rowSeq === row.seq && frame.shows.bytes > row.bytes);
}
