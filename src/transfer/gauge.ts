import type { Bottleneck } from "../core/download.ts";
import type { Puller } from "./puller.ts";

const SMOOTH_MS = 300;
const CAUSE_EVERY_MS = 500;

/** What is measured of one file's transfer: speed of a connection, time to an answer, what holds the bytes back. */
export class Gauge {
  /** Bytes received over all connections. */
  received = 0;
  /** Time from a request to its answer, milliseconds, smoothed; 0 while there was none. */
  latencyMs = 0;
  /** The shortest of late: what the way takes when nothing else is in it. */
  leastLatencyMs = Number.POSITIVE_INFINITY;
  /** What one connection brings, bytes per millisecond, smoothed; 0 while nothing is known. */
  laneRate = 0;
  private at = 0;
  private receivedThen = 0;
  private causes = new Map<Bottleneck, number>();
  private causesAt = 0;
  private shown: Bottleneck | undefined;

  answered(latencyMs: number): void {
    this.latencyMs = this.latencyMs === 0 ? latencyMs : this.latencyMs * 0.7 + latencyMs * 0.3;
    this.leastLatencyMs = Math.min(latencyMs, this.leastLatencyMs * 1.02);
  }

  /** Called every few milliseconds with the pullers at work. */
  tick(now: number, pullers: ReadonlySet<Puller>): void {
    const span = now - this.at;
    let delivering = 0;
    for (const puller of pullers) if (puller.bytes > 0) delivering++;
    if (this.at > 0 && span > 0 && this.received > this.receivedThen) {
      const present = (this.received - this.receivedThen) / span / Math.max(1, delivering);
      const weight = this.laneRate === 0 ? 1 : 1 - Math.exp(-span / SMOOTH_MS);
      this.laneRate += (present - this.laneRate) * weight;
    }
    this.at = now;
    this.receivedThen = this.received;
  }

  /** Notes what holds the bytes back at this moment; the main cause of the last half second when it is a new one. */
  cause(present: Bottleneck, now: number): Bottleneck | undefined {
    if (this.causesAt === 0) this.causesAt = now;
    this.causes.set(present, (this.causes.get(present) ?? 0) + 1);
    if (now - this.causesAt < CAUSE_EVERY_MS) return undefined;
    const [main] = [...this.causes].sort((a, b) => b[1] - a[1])[0]!;
    this.causes = new Map();
    this.causesAt = now;
    if (main === this.shown) return undefined;
    this.shown = main;
    return main;
  }
}

/** Which side most connections wait for. */
export function holdUp(pullers: ReadonlySet<Puller>): Bottleneck {
  const counts = { rate: 0, disk: 0, digest: 0 };
  for (const { heldBy } of pullers) if (heldBy) counts[heldBy]++;
  const half = Math.max(1, pullers.size / 2);
  if (counts.rate >= half) return "own_limit";
  if (counts.digest >= half) return "digest";
  return counts.disk >= half ? "disk" : "remote";
}
