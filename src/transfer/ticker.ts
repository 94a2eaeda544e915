import type { Clock, Log } from "../core/ports.ts";

const TICK_MS = 10;
/** The wall clock went so far ahead of the other one: the machine has slept, or the clock was set (F112). */
const SLEPT_MS = 10_000;

/** `woke`: the machine has slept, and its connections are not what they were. */
export type Tick = (now: number, woke: boolean) => void;

/** Calls everybody who watches, every few milliseconds, as long as there is somebody. */
export class Ticker {
  private readonly ticks = new Set<Tick>();
  private timer: Timer | undefined;
  /** Between the two clocks. */
  private offset = 0;

  constructor(
    private readonly clock: Clock,
    private readonly log: Log,
  ) {}

  /** Until the function it gives back is called. */
  watch(tick: Tick): () => void {
    this.ticks.add(tick);
    if (this.timer === undefined) {
      this.offset = this.clock.now() - this.clock.monotonic();
      this.timer = setInterval(() => this.tickAll(), TICK_MS);
    }
    return () => {
      this.ticks.delete(tick);
      if (this.ticks.size === 0) this.close();
    };
  }

  close(): void {
    clearInterval(this.timer);
    this.timer = undefined;
  }

  private tickAll(): void {
    const now = this.clock.monotonic();
    const ahead = this.clock.now() - now - this.offset;
    this.offset += ahead;
    for (const tick of this.ticks) {
      try {
        tick(now, ahead > SLEPT_MS);
      } catch (error) {
        // An observer's mistake costs its own file a look, not the process its life (F115).
        this.log.error("a transfer could not be looked after", { error: String(error) });
      }
    }
  }
}
