import { type Bottleneck, type Download, isFinished, isRunning, type State } from "./download.ts";
import type { Database } from "./ports.ts";

/** A row with what is only known while it moves. */
export interface Snapshot extends Download {
  /** Smoothed bytes per second; 0 within 2 s of silence. */
  speed: number;
  connections: number;
  bottleneck: Bottleneck | null;
  /** Last line of status of the program that fetches for us, in its own words; while it does so only. */
  statusLine?: string;
  /** 1-based place in the queue, null when not queued. */
  place: number | null;
}

export interface DownloadEvent {
  type: "download";
  seq: number;
  /** True for a change of state, false for progress. */
  stateChanged: boolean;
  /** The state before, when it changed. */
  previousState: State | null;
  download: Snapshot;
}

export interface RemovedEvent {
  type: "removed";
  seq: number;
  id: string;
  modelId: string;
}

export type FeedEvent = DownloadEvent | RemovedEvent;

const CATCH_UP_LIMIT = 5000;
/** So many that have ended are remembered, the newest ones: a write acknowledged later than that there is not. */
const ENDED_REMEMBERED = 4096;

/** What is remembered of the newest row told of a download. */
interface Told {
  seq: number;
  state: State;
  /** While it runs, for progress needs it; of a long queue or history only the above is kept (F226). */
  row: Snapshot | undefined;
}

/**
 * Numbered snapshots for everyone who watches. Numbers grow across restarts; a watcher that was away asks `since`
 * and gets the newest state of whatever has changed, never every step (DESIGN §5).
 */
export class Feed {
  readonly #db: Pick<Database, "changes" | "get" | "nextSeq">;
  readonly #present: (row: Download) => Promise<Snapshot>;
  readonly #listeners = new Set<(event: FeedEvent) => void>();
  /** Newest number of downloads whose last event is newer than their row. */
  readonly #ahead = new Map<string, number>();
  /** Of each unfinished download that has changed since the start, and of the newest finished ones. */
  readonly #told = new Map<string, Told>();
  readonly #ended = new Set<string>();
  #seq: number;

  constructor(
    db: Pick<Database, "changes" | "get" | "nextSeq">,
    present: (row: Download) => Promise<Snapshot>,
  ) {
    this.#db = db;
    this.#present = present;
    this.#seq = db.nextSeq();
  }

  /** Number of the newest event. */
  get seq(): number {
    return this.#seq;
  }

  get subscribers(): number {
    return this.#listeners.size;
  }

  /** Downloads of which something is remembered. */
  get remembered(): number {
    return this.#told.size;
  }

  /** Called synchronously for each event, in order; must not throw or block. Returns the unsubscribe. */
  subscribe(listener: (event: FeedEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * A row was written: the event carries the row's own number, or a fresh one when another write overtook it. A row
   * older than what was told of it already is not told: an insert is acknowledged after its sync, by when the row may
   * have been claimed. So no watcher sees a download go back in time, and each change follows from the state before.
   */
  changed(download: Snapshot, stateChanged: boolean): void {
    const told = this.#told.get(download.id);
    if (told && download.seq < told.seq) return;
    this.#remember(download);
    const seq = download.seq > this.#seq ? download.seq : this.#db.nextSeq();
    if (seq === download.seq) this.#ahead.delete(download.id);
    else this.#ahead.set(download.id, seq);
    const isChange = told ? told.state !== download.state : stateChanged;
    const previousState = isChange ? (told?.state ?? download.previousState) : null;
    this.#emit({ type: "download", seq, stateChanged: isChange, previousState, download });
  }

  /** Bytes moved; nothing was written to the row. What others have written to it meanwhile is shown as they wrote it. */
  progressed(progress: Snapshot): void {
    const told = this.#told.get(progress.id);
    const isOld = told !== undefined && told.seq > progress.seq;
    if (isOld && told.state !== progress.state) return;
    const { bytes, total, filesDone, averageBps, speed, connections, bottleneck } = progress;
    const download = isOld
      ? { ...(told.row ?? progress), bytes, total, filesDone, averageBps, speed, connections, bottleneck }
      : progress;
    const seq = this.#db.nextSeq();
    this.#ahead.set(download.id, seq);
    this.#emit({ type: "download", seq, stateChanged: false, previousState: null, download });
  }

  /** A record is gone; 0 for a number that nobody has learnt. */
  removed(id: string, modelId: string, seq: number): void {
    this.#ahead.delete(id);
    this.#forget(id);
    this.#emit({ type: "removed", seq: seq > this.#seq ? seq : this.#db.nextSeq(), id, modelId });
  }

  /** What changed after `seq`, newest state of each, in order. `gap`: too long ago or not ours, take a fresh snapshot. */
  async since(seq: number): Promise<{ events: FeedEvent[]; gap: boolean }> {
    if (seq > this.#seq) return { events: [], gap: true };
    const { downloads, removed, gap } = await this.#db.changes(seq, CATCH_UP_LIMIT);
    if (gap || downloads.length >= CATCH_UP_LIMIT) return { events: [], gap: true };
    const events: FeedEvent[] = removed.map((r) => ({
      type: "removed",
      seq: r.seq,
      id: r.id,
      modelId: r.modelId,
    }));
    const rows = new Map(downloads.map((d) => [d.id, d]));
    for (const [id, ahead] of this.#ahead) {
      if (ahead <= seq || rows.has(id)) continue;
      const row = await this.#db.get(id);
      if (row) rows.set(id, row);
    }
    for (const row of rows.values()) {
      const download = await this.#present(row);
      const stateChanged = row.seq > seq;
      const previousState = stateChanged ? row.previousState : null;
      const newest = Math.max(row.seq, this.#ahead.get(row.id) ?? 0);
      events.push({ type: "download", seq: newest, stateChanged, previousState, download });
    }
    return { events: events.sort((a, b) => a.seq - b.seq), gap: false };
  }

  #remember(download: Snapshot): void {
    const { id, seq, state } = download;
    this.#told.set(id, { seq, state, row: isRunning(state) ? download : undefined });
    this.#ended.delete(id);
    if (!isFinished(state)) return;
    this.#ended.add(id);
    const [oldest] = this.#ended;
    if (this.#ended.size > ENDED_REMEMBERED && oldest !== undefined) this.#forget(oldest);
  }

  #forget(id: string): void {
    this.#told.delete(id);
    this.#ended.delete(id);
  }

  #emit(event: FeedEvent): void {
    this.#seq = event.seq;
    for (const listener of this.#listeners) listener(event);
  }
}
