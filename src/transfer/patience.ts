import type { Patience } from "./options.ts";

const MOST_DOUBLINGS = 5;

/**
 * Counts consecutive failures that brought no new byte (F47). Several connections that fail together count once.
 * Pure: time, counters and chance are arguments.
 */
export class PatienceCounter {
  private failures = 0;
  /** Failures of requests that brought nothing themselves, whatever others brought: these pause longer and longer. */
  private fruitless = 0;
  private gained = 0;
  private failedAt = Number.NEGATIVE_INFINITY;
  private waitedMs = 0;

  constructor(private readonly rules: Patience) {}

  /**
   * A request that began at `askedAt` failed after `brought` bytes; `gained` have come in all. Milliseconds to wait
   * before the next, or undefined: this is to be told. The first try again is free and at once (F62).
   */
  failed(brought: number, gained: number, askedAt: number, now: number, random: number): number | undefined {
    this.credit(gained);
    if (brought > 0) this.fruitless = 0;
    if (askedAt >= this.failedAt) {
      this.failures++;
      this.fruitless++;
      this.failedAt = now;
    }
    if (this.failures > this.rules.tries) return undefined;
    const count = Math.min(Math.max(this.failures, this.fruitless), MOST_DOUBLINGS);
    const pause = count <= 1 ? this.rules.baseMs / 8 : this.rules.baseMs * 2 ** (count - 2);
    return pause * (0.5 + random / 2);
  }

  /** The host asks for `waitMs`. False when that is longer than is waited here. */
  mayWait(waitMs: number, gained: number): boolean {
    this.credit(gained);
    this.waitedMs += waitMs;
    return this.waitedMs <= this.rules.hostMs;
  }

  private credit(gained: number): void {
    if (gained <= this.gained) return;
    this.gained = gained;
    this.failures = 0;
    this.waitedMs = 0;
  }
}
