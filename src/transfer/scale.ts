/** How many connections one file is fetched with. Pure: time and counters are arguments. */

export interface ScaleInput {
  /** Monotonic milliseconds. */
  now: number;
  /** Bytes received so far, over all connections. */
  received: number;
  /** Connections that are receiving. */
  receiving: number;
  /** Most connections allowed now. */
  most: number;
  /** Time from a request to its answer, milliseconds. */
  latencyMs: number;
  /** True while it is us who hold the bytes back, or there is no work for more: nothing can be learnt then. */
  held: boolean;
}

export interface ScaleTimes {
  /** Length of a measurement while doubling. */
  startMs: number;
  /** Length of a measurement afterwards. */
  steadyMs: number;
  /** First and longest pause between two tries to add connections. */
  probeMs: number;
  maxProbeMs: number;
}

const DEFAULTS: ScaleTimes = { startMs: 25, steadyMs: 200, probeMs: 400, maxProbeMs: 6_000 };

/** What one connection brings is measured alone, then that of so many. */
const FIRST_STEP = 4;
/** Doubling goes on while each doubling brings at least this much. */
const STARTUP_GAIN = 1.25;
/** An added connection stays when it brings 5 %, or half of its fair share where that is less. */
const KEEP_GAIN = 0.05;
/** A connection that was asked for and does not deliver within this time counts as there. */
const PATIENCE_MS = 400;
/** Refusals this close together are one. */
const BURST_MS = 500;

type Phase =
  /** Doubling from one. */
  | "startup"
  /** Measuring what the present number brings. */
  | "steady"
  /** Measuring what a larger number brings. */
  | "probing";

/**
 * Slow start, then small steps: a larger number is kept only while the sum of all rates rises with it. One connection
 * is enough for a fast server, a server that caps each connection gets all that are allowed.
 */
export class Scale {
  /** Connections wanted now. */
  target = 1;
  private phase: Phase = "startup";
  /** What `base.count` connections brought, bytes per millisecond. */
  private base: { count: number; rate: number } | undefined;
  private window: { at: number; received: number } | undefined;
  private changedAt: number | undefined;
  private settled = false;
  private doubts = 0;
  private nextProbeAt = 0;
  private refusedAt = Number.NEGATIVE_INFINITY;
  private probeMs: number;

  constructor(private readonly times: ScaleTimes = DEFAULTS) {
    this.probeMs = times.probeMs;
  }

  /** Looks at the counters, every 10 to 50 ms; returns the number of connections wanted. */
  observe(input: ScaleInput): number {
    if (this.target > input.most) this.retreat(input.most, input.now);
    this.changedAt ??= input.now;
    const patience = PATIENCE_MS + 2 * input.latencyMs;
    // Once all have been seen to deliver, a gap between two requests of one of them is part of what is measured.
    this.settled ||= input.receiving >= this.target || input.now - this.changedAt >= patience;
    if (input.held || !this.settled) this.window = undefined;
    else if (!this.window) this.window = { at: input.now, received: input.received };
    else {
      const span = input.now - this.window.at;
      const length = this.phase === "startup" ? this.times.startMs : this.times.steadyMs;
      if (span >= Math.max(length, input.latencyMs))
        this.decide(input, (input.received - this.window.received) / span);
    }
    return this.target;
  }

  /** The server refused a connection while `active` others delivered: half, once per burst, and slowly up (F71). */
  refused(active: number, now: number): void {
    const half = now - this.refusedAt < BURST_MS ? this.target : this.target >> 1;
    this.refusedAt = now;
    this.retreat(Math.max(1, Math.min(active, half)), now);
    this.probeMs = this.times.maxProbeMs;
    this.nextProbeAt = now + this.probeMs;
  }

  private retreat(count: number, now: number): void {
    this.phase = "steady";
    this.base = undefined;
    this.move(count, now);
  }

  private move(count: number, now: number): void {
    this.target = count;
    this.changedAt = now;
    this.settled = false;
    this.window = undefined;
    this.doubts = 0;
  }

  private decide(input: ScaleInput, rate: number): void {
    if (this.phase === "startup") this.double(input, rate);
    else if (this.phase === "probing") this.judgeProbe(input, rate);
    else this.rest(input, rate);
  }

  private double(input: ScaleInput, rate: number): void {
    const { base } = this;
    if (base && rate < base.rate * (1 + (STARTUP_GAIN - 1) * (this.target / base.count - 1))) {
      // One bad measurement proves nothing; the next one goes on from here and counts both.
      if (++this.doubts < 2) return;
      const better = rate >= base.rate * (1 + KEEP_GAIN);
      this.settle(better ? this.target : base.count, better ? rate : base.rate, input.now);
      return;
    }
    this.base = { count: this.target, rate };
    const next = Math.min(this.target === 1 ? FIRST_STEP : this.target * 2, input.most);
    if (next > this.target) this.move(next, input.now);
    else this.settle(this.target, rate, input.now);
  }

  private settle(count: number, rate: number, now: number): void {
    this.phase = "steady";
    this.base = { count, rate };
    this.nextProbeAt = now + this.probeMs;
    this.move(count, now);
  }

  private rest(input: ScaleInput, rate: number): void {
    // What was learnt at another rate is void: the line has changed.
    if (this.base && rate < this.base.rate * 0.7) this.probeMs = this.times.probeMs;
    this.base = { count: this.target, rate };
    this.window = { at: input.now, received: input.received };
    if (input.now < this.nextProbeAt || this.target >= input.most) return;
    this.phase = "probing";
    this.move(Math.min(input.most, this.target + Math.max(1, this.target >> 2)), input.now);
  }

  private judgeProbe(input: ScaleInput, rate: number): void {
    const { base } = this;
    const share = base ? (this.target - base.count) / base.count : 0;
    const gain = Math.min(KEEP_GAIN, share / 2);
    if (!base || rate >= base.rate * (1 + gain)) {
      this.probeMs = this.times.probeMs;
      this.settle(this.target, rate, input.now);
      return;
    }
    this.probeMs = Math.min(this.probeMs * 2, this.times.maxProbeMs);
    this.settle(base.count, base.rate, input.now);
  }
}
