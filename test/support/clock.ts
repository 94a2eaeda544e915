interface Sleeper {
  at: number;
  wake: () => void;
}

/** Start of the wall clock, so that dates in expectations can be written down. */
export const EPOCH = Date.UTC(2026, 0, 1);

/**
 * Time that moves only when a test says so. It has the methods that the product asks of a clock: `now` (epoch
 * milliseconds), `monotonic` (milliseconds) and `sleep`.
 */
export class TestClock {
  private elapsed = 0;
  private offset: number;
  private readonly sleepers = new Set<Sleeper>();
  private readonly watchers = new Set<() => void>();

  constructor(epoch = EPOCH) {
    this.offset = epoch;
  }

  now = (): number => this.offset + this.elapsed;

  monotonic = (): number => this.elapsed;

  /** Resolves once the clock has been advanced by `ms`; rejects with the signal's reason when aborted. */
  sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const end = (settle: () => void) => () => {
        this.sleepers.delete(sleeper);
        signal?.removeEventListener("abort", abort);
        settle();
      };
      const abort = end(() => reject(signal?.reason));
      const sleeper: Sleeper = { at: this.elapsed + Math.max(0, ms), wake: end(resolve) };
      signal?.addEventListener("abort", abort, { once: true });
      this.sleepers.add(sleeper);
      for (const look of [...this.watchers]) look();
    });

  /** How long each sleeper still has to wait, the next one first. */
  get pending(): number[] {
    return [...this.sleepers].map(({ at }) => at - this.elapsed).sort((a, b) => a - b);
  }

  /**
   * Moves time forward. Sleepers wake in the order of their times, those of one time in the order in which they fell
   * asleep; whoever sleeps again within the span wakes again.
   */
  async advance(ms: number): Promise<void> {
    const end = this.elapsed + ms;
    await settled();
    for (let next = this.next(end); next; next = this.next(end)) {
      this.elapsed = Math.max(this.elapsed, next.at);
      next.wake();
      await settled();
    }
    this.elapsed = end;
  }

  /** Sets the wall clock forward or back, as a time server or a user does; monotonic time is not touched (F111). */
  jump(ms: number): void {
    this.offset += ms;
  }

  /** Resolves when at least `count` are asleep: then `advance` reaches them all. */
  async asleep(count = 1, timeoutMs = 10_000): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const settle = (end: () => void): void => {
        clearTimeout(timer);
        this.watchers.delete(look);
        end();
      };
      const look = (): void => {
        if (this.sleepers.size >= count) settle(resolve);
      };
      const late = (): Error => new Error(`${this.sleepers.size} of ${count} asleep after ${timeoutMs} ms`);
      const timer = setTimeout(() => settle(() => reject(late())), timeoutMs);
      this.watchers.add(look);
      look();
    });
  }

  private next(end: number): Sleeper | undefined {
    let first: Sleeper | undefined;
    for (const sleeper of this.sleepers)
      if (sleeper.at <= end && (!first || sleeper.at < first.at)) first = sleeper;
    return first;
  }
}

/** Lets everything run that does not wait for time or for a socket. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
