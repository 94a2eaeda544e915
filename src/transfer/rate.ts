import type { Clock } from "../core/ports.ts";

/** Tokens for this long may be saved up; a pause is followed by no longer burst than that. */
const BURST_MS = 50;
/** Portions are this short in time, within {@link MIN_QUANTUM} and {@link MAX_QUANTUM}, so that bytes flow evenly. */
const QUANTUM_MS = 25;
const MIN_QUANTUM = 2 << 10;
const MAX_QUANTUM = 64 << 10;
const TICK_MS = 5;

/** Bytes per second, with what has been saved or is owed. */
class Bucket {
  private tokens = 0;
  private at: number;

  constructor(
    private bps: number,
    now: number,
  ) {
    this.at = now;
  }

  get quantum(): number {
    return Math.max(MIN_QUANTUM, Math.min(MAX_QUANTUM, (this.bps * QUANTUM_MS) / 1000));
  }

  setRate(bps: number, now: number): void {
    this.refill(now);
    this.bps = bps;
    this.tokens = Math.min(this.tokens, this.capacity);
  }

  get capacity(): number {
    return Math.max(this.quantum, (this.bps * BURST_MS) / 1000);
  }

  refill(now: number): number {
    this.tokens = Math.min(this.capacity, this.tokens + (this.bps * (now - this.at)) / 1000);
    this.at = now;
    return this.tokens;
  }

  take(bytes: number): void {
    this.tokens -= bytes;
  }

  /** Milliseconds until `bytes` are there. */
  wait(bytes: number): number {
    return ((bytes - this.tokens) / this.bps) * 1000;
  }
}

interface Waiter {
  download: string;
  want: number;
  resolve: (bytes: number) => void;
}

/**
 * Rate limits for all downloads together and for each of them; changes are in force at once. All connections that
 * wait share what comes in small portions, in turns.
 */
export class Shaper {
  private total: Bucket | undefined;
  private readonly own = new Map<string, Bucket>();
  private readonly waiters = new Set<Waiter>();
  private readonly closing = new AbortController();
  /** When `pump` runs again by itself. */
  private wakesAt = Number.POSITIVE_INFINITY;

  constructor(private readonly clock: Clock) {}

  /** 0 = no limit. */
  setGlobal(bps: number): void {
    const now = this.clock.monotonic();
    if (bps <= 0) this.total = undefined;
    else if (this.total) this.total.setRate(bps, now);
    else this.total = new Bucket(bps, now);
    this.pump();
  }

  setDownload(download: string, bps: number): void {
    const now = this.clock.monotonic();
    const bucket = this.own.get(download);
    if (bps <= 0) this.own.delete(download);
    else if (bucket) bucket.setRate(bps, now);
    else this.own.set(download, new Bucket(bps, now));
    this.pump();
  }

  limits(download: string): boolean {
    return this.total !== undefined || this.own.has(download);
  }

  /**
   * How many of `want` bytes may be used now: all of them where there is no limit, otherwise a portion, once there is
   * one. Rejects with the signal's reason.
   */
  grant(download: string, want: number, signal: AbortSignal): number | Promise<number> {
    if (!this.limits(download)) return want;
    if (signal.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.waiters.delete(waiter);
        reject(signal.reason);
      };
      const settle = (bytes: number): void => {
        signal.removeEventListener("abort", leave);
        resolve(bytes);
      };
      const waiter: Waiter = { download, want, resolve: settle };
      signal.addEventListener("abort", leave, { once: true });
      this.waiters.add(waiter);
      this.pump();
    });
  }

  close(): void {
    this.closing.abort();
  }

  /** Serves in the order of arrival; who has to wait is not overtaken by others of the same limit. */
  private pump(): void {
    const now = this.clock.monotonic();
    const short = new Set<Bucket>();
    let next = Number.POSITIVE_INFINITY;
    for (const waiter of this.waiters) {
      const buckets = [this.total, this.own.get(waiter.download)].filter((bucket) => bucket !== undefined);
      if (buckets.some((bucket) => short.has(bucket))) continue;
      const bytes = Math.floor(Math.min(waiter.want, ...buckets.map((bucket) => bucket.quantum)));
      const lacking = buckets.filter((bucket) => bucket.refill(now) < bytes);
      if (lacking.length === 0) {
        for (const bucket of buckets) bucket.take(bytes);
        this.waiters.delete(waiter);
        waiter.resolve(bytes);
      }
      for (const bucket of lacking) {
        short.add(bucket);
        next = Math.min(next, bucket.wait(bytes));
      }
    }
    if (this.waiters.size > 0) this.wakeAt(now + Math.max(TICK_MS, Math.ceil(next)));
  }

  private wakeAt(at: number): void {
    if (at >= this.wakesAt) return;
    this.wakesAt = at;
    const wake = (): void => {
      if (this.wakesAt === at) this.wakesAt = Number.POSITIVE_INFINITY;
      this.pump();
    };
    this.clock.sleep(at - this.clock.monotonic(), this.closing.signal).then(wake, () => {});
  }
}
