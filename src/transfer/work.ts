import type { Ask } from "./answer.ts";
import type { DigestSession } from "./digest.ts";
import type { Gauge } from "./gauge.ts";
import type { Engine } from "./options.ts";
import { claimEnd, claimLength, gaps, partLength, type Range, SHORT_CLAIM, splitPoint } from "./parts.ts";
import type { Claim, Puller } from "./puller.ts";
import type { FileState } from "./state.ts";

/** A rest is worth sharing when it would take its owner longer than that, and each has so much of it. */
const SHARE_AFTER_MS = 100;
const SHARE_BYTES = 128 << 10;
/** What a connection did in less time than that says little. */
const YOUNG_MS = 300;

const claimOf = (start: number, end: number): Claim => ({ start, end, at: start });

/** Who fetches what next: the missing bytes in order, and at the end the back of the slowest rest. */
export class Work {
  constructor(
    private readonly engine: Engine,
    private readonly state: FileState,
    private readonly pullers: ReadonlySet<Puller>,
    private readonly gauge: Gauge,
    private readonly session: DigestSession | undefined,
  ) {}

  /** Whether another puller would find something, when `pending` are on their way to their claims. */
  offers(pending: number, most: number): boolean {
    if (this.state.style === "whole" || this.state.size === null) return this.pullers.size + pending === 0;
    return this.open().length > 0 ? pending < most : pending === 0 && this.victim(most) !== undefined;
  }

  /** The next claim, for one of about `pullers`; undefined when there is none now. */
  claim(pullers: number, most: number): Claim | undefined {
    const { state } = this;
    if (state.style === "whole")
      return this.pullers.size > 0 ? undefined : claimOf(0, state.size ?? Number.POSITIVE_INFINITY);
    const [gap, ...rest] = this.open();
    if (!gap) return this.takeOver(most);
    if (state.style === "open") return claimOf(gap.start, gap.end);
    if (state.size === null)
      return claimOf(gap.start, Math.min(gap.end, gap.start + Math.min(SHORT_CLAIM, this.engine.partBytes)));
    if (this.plain) return claimOf(0, state.size);
    const part = partLength(state.size, this.engine.partBytes);
    const length = claimLength({
      part,
      laneRate: this.gauge.laneRate,
      latencyMs: this.gauge.leastLatencyMs,
      unclaimed: rest.reduce((sum, it) => sum + it.end - it.start, gap.end - gap.start),
      pullers,
      backlog: this.session && state.written.prefix - this.session.hashed,
    });
    return claimOf(gap.start, claimEnd(gap, length, part));
  }

  ask(claim: Claim): Ask {
    const { style, size } = this.state;
    const ranged = style !== "whole" && !(this.plain && claim.end === size);
    return { start: claim.start, end: style === "parts" ? claim.end : null, ranged };
  }

  /** Small enough for one plain question. */
  get plain(): boolean {
    const { size, written, worked } = this.state;
    return size !== null && size <= this.engine.smallBytes && written.total === 0 && !worked;
  }

  private open(): Range[] {
    const claims: Range[] = [];
    for (const { claim } of this.pullers) claims.push(claim);
    return gaps(this.state.written, claims, this.state.size ?? Number.POSITIVE_INFINITY);
  }

  /** The puller whose rest takes longest, when that is worth a helper. */
  private victim(most: number): Puller | undefined {
    if (most === 1) return undefined;
    const now = this.engine.clock.monotonic();
    let worst: Puller | undefined;
    let longest = Math.max(SHARE_AFTER_MS, 4 * this.gauge.latencyMs);
    for (const puller of this.pullers) {
      if (puller.state !== "reading" || puller.left < 2 * SHARE_BYTES) continue;
      const takes = puller.left / Math.max(this.rateOf(puller, now), 1e-9);
      if (takes <= longest) continue;
      worst = puller;
      longest = takes;
    }
    return worst;
  }

  /** A connection that has just begun is as fast as the others until it has shown what it can do. */
  private rateOf(puller: Puller, now: number): number {
    const young = !(now - puller.startedAt > YOUNG_MS) && now - puller.quietSince < YOUNG_MS;
    return young ? Math.max(puller.rate, this.gauge.laneRate) : puller.rate;
  }

  private takeOver(most: number): Claim | undefined {
    const victim = this.victim(most);
    if (!victim) return undefined;
    const { claim } = victim;
    const end = claim.end;
    const rate = this.rateOf(victim, this.engine.clock.monotonic());
    const cut = splitPoint(claim.at, end, rate, Math.max(this.gauge.laneRate, rate));
    // Too little to be worth its connection: the helper takes all.
    claim.end = cut - claim.at < SHARE_BYTES ? claim.at : cut;
    if (claim.end === claim.at) victim.cut("overtaken");
    return claimOf(claim.end, end);
  }
}
