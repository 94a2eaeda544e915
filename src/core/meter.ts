import type { Bottleneck } from "./download.ts";

/** Bytes that arrive no more for this long show as speed 0 (DESIGN §5). */
const SILENCE_MS = 1500;
/** Time constant of the smoothing. */
const SMOOTHING_MS = 2000;

/**
 * What is only known while a download moves. Lives as long as the process knows the download, so that the average
 * counts neither paused time nor bytes of an earlier run (A8). All times are monotonic milliseconds.
 */
export class Meter {
  bytes = 0;
  /** Most bytes there ever were: what a file started again brings up to here is nothing new. */
  peak = 0;
  /** Files that are complete, those of earlier attempts included. */
  filesDone = 0;
  connections = 0;
  bottleneck: Bottleneck | null = null;
  /** Shown instead of the row's total while that is still being learnt: it belongs to `bytes`. */
  total: number | null = null;
  /** What the program that fetches for us says it is doing. */
  statusLine: string | null = null;
  /** Files that are being fetched, by number: what has arrived of each is in the database only afterwards. */
  readonly moving = new Map<number, Readonly<{ bytes: number; size: number | null }>>();
  /** Bytes fetched in this run of the process. */
  gained = 0;
  #speed = 0;
  #activeMs = 0;
  #startedAt: number | undefined;
  #sampledAt = 0;
  #sampledGained = 0;
  #lastByteAt = 0;

  /** An attempt begins. */
  start(now: number): void {
    this.#startedAt = now;
    this.#sampledAt = now;
    this.#lastByteAt = now;
    this.#sampledGained = this.gained;
  }

  /** The attempt has ended. */
  stop(now: number): void {
    if (this.#startedAt !== undefined) this.#activeMs += now - this.#startedAt;
    this.peak = Math.max(this.peak, this.bytes);
    this.#startedAt = undefined;
    this.#speed = 0;
    this.connections = 0;
    this.bottleneck = null;
    this.total = null;
    this.statusLine = null;
  }

  /** Takes a sample for the smoothed speed; call on a clock, a few times a second. */
  sample(now: number): void {
    const elapsed = now - this.#sampledAt;
    if (elapsed <= 0) return;
    this.peak = Math.max(this.peak, this.bytes);
    const delta = this.gained - this.#sampledGained;
    if (delta > 0) this.#lastByteAt = now;
    const weight = 1 - Math.exp(-elapsed / SMOOTHING_MS);
    const rate = (delta * 1000) / elapsed;
    this.#speed = this.#speed === 0 ? rate : this.#speed + (rate - this.#speed) * weight;
    if (now - this.#lastByteAt >= SILENCE_MS) this.#speed = 0;
    this.#sampledAt = now;
    this.#sampledGained = this.gained;
  }

  /** Smoothed bytes per second. */
  get speed(): number {
    return Math.round(this.#speed);
  }

  /** Average bytes per second over the active time of this run. */
  average(now: number): number {
    const active = this.#activeMs + (this.#startedAt === undefined ? 0 : now - this.#startedAt);
    return active > 0 ? Math.round((this.gained * 1000) / active) : 0;
  }
}
