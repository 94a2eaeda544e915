import type { Frame } from "./frames.ts";

/** What an outbox must know of a message. */
export type Note = Pick<Frame, "id" | "isProgress" | "size">;

/** Where frames go: a byte stream or a socket. */
export interface Sink<N extends Note = Frame> {
  /** Sends one frame; false when the reader should get no more until it has taken what there is. */
  send(frame: N): boolean;
  /** Ends the connection of a reader that is stuck. */
  cut(): void;
}

/** Beyond this much waiting, a reader gets the newest state of each download instead of every change. */
const FULL_BYTES = 64 * 1024;
/** A reader that takes nothing for so long while more than that is waiting is cut; a reconnect catches up (F214). */
const STUCK_FULL_MS = 5_000;
/** A reader that takes nothing for so long is cut in any case. */
const STUCK_MS = 20_000;

/**
 * What waits for one reader. A reader that keeps up gets every frame. For a slow one the newest progress replaces the
 * one before it; when even so too much waits, the newest frame of each download replaces all before it.
 */
export class Outbox<N extends Note = Frame> {
  readonly #sink: Sink<N>;
  readonly #now: () => number;
  #waiting = new Map<string | number, N>();
  /** Counts what is kept for its own sake, not as the newest of its download. */
  #kept = 0;
  #bytes = 0;
  #isOpen = true;
  /** Monotonic time since which the reader takes nothing; null while it takes everything. */
  #blockedSince: number | null = null;
  #isConflated = false;

  /** `now` is monotonic milliseconds. */
  constructor(sink: Sink<N>, now: () => number) {
    this.#sink = sink;
    this.#now = now;
  }

  /** Bytes of text that wait here. */
  get bytes(): number {
    return this.#bytes;
  }

  push(frame: N): void {
    if (!this.#isOpen) return;
    if (this.#blockedSince === null) {
      if (!this.#sink.send(frame)) this.#blockedSince = this.#now();
      return;
    }
    this.#keep(frame);
    if (this.#bytes > FULL_BYTES && !this.#isConflated) this.#conflate();
    this.checkStuck();
  }

  /** The reader takes more: sends what waits, until it is full again. */
  drained(): void {
    if (!this.#isOpen || this.#blockedSince === null) return;
    this.#blockedSince = null;
    for (const [key, frame] of this.#waiting) {
      this.#waiting.delete(key);
      this.#bytes -= frame.size;
      if (this.#sink.send(frame)) continue;
      this.#blockedSince = this.#now();
      return;
    }
    this.#isConflated = false;
  }

  /** Cuts a reader that has taken nothing for too long. Called with every frame and every heartbeat. */
  checkStuck(): void {
    if (!this.#isOpen || this.#blockedSince === null) return;
    const silence = this.#now() - this.#blockedSince;
    if (silence < STUCK_FULL_MS || (silence < STUCK_MS && this.#bytes <= FULL_BYTES)) return;
    this.close();
    this.#sink.cut();
  }

  close(): void {
    this.#isOpen = false;
    this.#waiting.clear();
    this.#bytes = 0;
  }

  /** Whether the reader takes everything at the moment. */
  get isFlowing(): boolean {
    return this.#isOpen && this.#blockedSince === null;
  }

  #keep(frame: N): void {
    const replaces = frame.id !== null && (frame.isProgress || this.#isConflated);
    const key = replaces ? `newest ${frame.id}` : ++this.#kept;
    const old = this.#waiting.get(key);
    if (old) {
      this.#waiting.delete(key);
      this.#bytes -= old.size;
    }
    this.#waiting.set(key, frame);
    this.#bytes += frame.size;
  }

  #conflate(): void {
    this.#isConflated = true;
    const all = this.#waiting;
    this.#waiting = new Map();
    this.#bytes = 0;
    for (const frame of all.values()) this.#keep(frame);
  }
}
