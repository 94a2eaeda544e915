import type { Connection } from "./connection.ts";

/** Bytes are let through in portions of about this many milliseconds, which keeps a slow stream smooth. */
const QUANTUM_MS = 10;
/** What was not used is kept for at most this long, to make up for timers that fire late. */
const CREDIT_MS = 100;

/** A token bucket; several answers may share one. */
export class Bucket {
  private tokens = 0;
  private filledAt = performance.now();

  /** `rate` in bytes per second, asked each time, so that it can change while bytes flow; undefined is no limit. */
  constructor(private readonly rate: () => number | undefined) {}

  get unlimited(): boolean {
    return this.rate() === undefined;
  }

  /** How many of `want` bytes may go now; with 0, `waitMs` says how long to wait before asking again. */
  take(want: number): { bytes: number; waitMs: number } {
    const rate = this.rate();
    const now = performance.now();
    const elapsed = now - this.filledAt;
    this.filledAt = now;
    if (rate === undefined) return { bytes: want, waitMs: 0 };
    const perMs = rate / 1000;
    this.tokens = Math.min(this.tokens + elapsed * perMs, Math.max(1, perMs * CREDIT_MS));
    const portion = Math.min(want, Math.max(1, perMs * QUANTUM_MS));
    if (this.tokens < portion) return { bytes: 0, waitMs: Math.max(1, (portion - this.tokens) / perMs) };
    const bytes = Math.min(want, Math.floor(this.tokens));
    this.tokens -= bytes;
    return { bytes, waitMs: 0 };
  }

  /** Gives back what another bucket did not let through. */
  giveBack(bytes: number): void {
    this.tokens += bytes;
  }
}

/** Waits until every bucket lets something through and returns how much, at most `want`. */
export async function paced(
  connection: Connection,
  buckets: readonly Bucket[],
  want: number,
): Promise<number> {
  for (;;) {
    let allowed = want;
    let waitMs = 0;
    const taken: [Bucket, number][] = [];
    for (const bucket of buckets) {
      const share = bucket.take(allowed);
      if (share.bytes > 0) taken.push([bucket, share.bytes]);
      allowed = share.bytes;
      waitMs = share.waitMs;
      if (allowed === 0) break;
    }
    for (const [bucket, bytes] of taken) if (bytes > allowed) bucket.giveBack(bytes - allowed);
    if (allowed > 0) return allowed;
    await connection.sleep(waitMs);
  }
}
