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
/** So much less than what was learnt means that the line has changed, or that it had begun with a burst. */
const FALLEN = 0.6;
/** Refusals this close together are one. */
const BURST_MS = 500;

/** Looks in which nothing came are telling from this rate on, bytes per millisecond: below it, chunks are rare by nature. */
const FLOWING = (6 << 20) / 1000;
/** A line that is idle for such a part of the time is not full. */
const IDLE_SHARE = 0.4;

interface Window {
  at: number;
  received: number;
  looks: number;
  /** Of which so many found nothing new. */
  empty: number;
}

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
  private window: Window | undefined;
  private last = 0;
  private changedAt: number | undefined;
  private settled = false;
  private doubts = 0;
  private nextProbeAt = 0;
  /** Doubling begins again no sooner. */
  private restartAt = 0;
  private restartMs: number;
  /** The number that doubling began from. */
  private startedFrom = 1;
  private refusedAt = Number.NEGATIVE_INFINITY;
  private probeMs: number;

  constructor(private readonly times: ScaleTimes = DEFAULTS) {
    this.probeMs = times.probeMs;
    this.restartMs = times.probeMs;
  }

  /** Looks at the counters, every 10 to 50 ms; returns the number of connections wanted. */
  observe(input: ScaleInput): number {
    if (this.target > input.most) this.retreat(input.most, input.now);
    this.changedAt ??= input.now;
    const patience = PATIENCE_MS + 2 * input.latencyMs;
    // Once all have been seen to deliver, a gap between two requests of one of them is part of what is measured.
    this.settled ||= input.receiving >= this.target || input.now - this.changedAt >= patience;
    const { window } = this;
    if (input.held || !this.settled) this.window = undefined;
    else if (!window) this.open(input);
    else {
      window.looks++;
      if (input.received === this.last) window.empty++;
      const span = input.now - window.at;
      const length = this.phase === "startup" ? this.times.startMs : this.times.steadyMs;
      if (span >= Math.max(length, input.latencyMs))
        this.decide(input, (input.received - window.received) / span);
    }
    this.last = input.received;
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

  private open({ now, received }: ScaleInput): void {
    this.window = { at: now, received, looks: 0, empty: 0 };
  }

  /** The line was idle for much of the window, though we would have taken more: the server gives each so much. */
  private idle(rate: number): boolean {
    const { window, base } = this;
    const flowing = Math.max(rate, base?.rate ?? 0) >= FLOWING;
    return window !== undefined && flowing && window.empty >= window.looks * IDLE_SHARE;
  }

  private decide(input: ScaleInput, rate: number): void {
    if (this.phase === "startup") this.double(input, rate);
    else if (this.phase === "probing") this.judgeProbe(input, rate);
    else this.rest(input, rate);
  }

  private double(input: ScaleInput, rate: number): void {
    const { base } = this;
    if (
      base &&
      !this.idle(rate) &&
      rate < base.rate * (1 + (STARTUP_GAIN - 1) * (this.target / base.count - 1))
    ) {
      // One bad measurement proves nothing; the next one goes on from here and counts both.
      if (++this.doubts < 2) return;
      const better = rate >= base.rate * (1 + KEEP_GAIN);
      this.settle(better ? this.target : base.count, better ? rate : base.rate, input.now);
      return;
    }
    this.base = { count: this.target, rate: Math.max(rate, this.idle(rate) && base ? base.rate : 0) };
    const next = this.doubled(input.most);
    if (next > this.target) this.move(next, input.now);
    else this.settle(this.target, rate, input.now);
  }

  /** Doubles again from here: what was learnt before the rate fell says nothing about more connections. */
  private restart(input: ScaleInput): void {
    this.restartMs = Math.min(this.restartMs * 2, this.times.maxProbeMs);
    this.restartAt = input.now + this.restartMs;
    this.startedFrom = this.target;
    this.phase = "startup";
    this.move(this.doubled(input.most), input.now);
  }

  private doubled(most: number): number {
    return Math.min(this.target === 1 ? FIRST_STEP : this.target * 2, most);
  }

  private settle(count: number, rate: number, now: number): void {
    if (this.phase === "startup" && count > this.startedFrom) this.restartMs = this.times.probeMs;
    this.phase = "steady";
    this.base = { count, rate };
    this.nextProbeAt = now + this.probeMs;
    this.move(count, now);
  }

  private rest(input: ScaleInput, rate: number): void {
    const fallen = this.base !== undefined && rate < this.base.rate * FALLEN;
    const idle = this.idle(rate);
    this.base = { count: this.target, rate };
    this.open(input);
    if ((fallen || idle) && input.now >= this.restartAt && this.target < input.most) {
      this.restart(input);
      return;
    }
    // What was learnt at another rate is void.
    if (fallen) this.probeMs = this.times.probeMs;
    if (input.now < this.nextProbeAt || this.target >= input.most) return;
    this.phase = "probing";
    this.move(Math.min(input.most, this.target + Math.max(1, this.target >> 2)), input.now);
  }

  private judgeProbe(input: ScaleInput, rate: number): void {
    const { base } = this;
    const share = base ? (this.target - base.count) / base.count : 0;
    const gain = Math.min(KEEP_GAIN, share / 2);
    if (!base || rate >= base.rate * (1 + gain) || this.idle(rate)) {
      this.probeMs = this.times.probeMs;
      this.settle(this.target, rate, input.now);
      return;
    }
    this.probeMs = Math.min(this.probeMs * 2, this.times.maxProbeMs);
    this.settle(base.count, base.rate, input.now);
  }
}
