/** Which connections are given up. Pure: what is known of each goes in, who goes comes out. */

export interface StallRules {
  /** Nothing for so long: cut in any case (F56). */
  silentMs: number;
  /** Nothing for so long while others move. */
  siblingSilentMs: number;
  /** Slower than this for `slowMs`: asked again (F57). */
  slowBytesPerSecond: number;
  slowMs: number;
  /** So many times slower than its siblings for `laggardMs`: replaced. */
  laggardRatio: number;
  laggardMs: number;
}

export const STALL_RULES: StallRules = {
  silentMs: 30_000,
  siblingSilentMs: 2_000,
  slowBytesPerSecond: 1024,
  slowMs: 60_000,
  laggardRatio: 5,
  laggardMs: 400,
};

/** One request, as the judge sees it. Times are monotonic milliseconds. */
export interface Lane {
  /** `asking`: no answer yet. `held`: the bytes wait for us (rate limit, disk), not we for them. */
  state: "asking" | "reading" | "held";
  /** Since when it has been in its state, or the last byte came, whichever is later. */
  quietSince: number;
  /** When the last byte came; -Infinity before the first. */
  movedAt: number;
  /** When the first byte came. */
  startedAt: number;
  /** Smoothed, bytes per millisecond. */
  rate: number;
  /** Bytes it still has to bring. */
  left: number;
}

/** `silent` and `slow` are asked again as they are; a `laggard` hands its rest to whoever is free. */
export type Complaint = "silent" | "slow" | "laggard";

/** What is wrong with `lane`, if anything. `others` are its siblings on the same file. */
export function complaint(
  lane: Lane,
  others: readonly Lane[],
  now: number,
  rules: StallRules,
  latencyMs: number,
): Complaint | undefined {
  if (lane.state === "held") return undefined;
  const quiet = now - lane.quietSince;
  const moving = others.filter(
    (it) => it.state === "reading" && now - it.movedAt < rules.siblingSilentMs / 2,
  );
  if (lane.state === "asking") {
    // The deadline for headers is the client's; beside moving siblings a late answer is a lost one.
    const late = Math.max(2 * rules.siblingSilentMs, 8 * latencyMs);
    return moving.length > 0 && quiet >= late ? "silent" : undefined;
  }
  if (quiet >= rules.silentMs || (moving.length > 0 && quiet >= rules.siblingSilentMs)) return "silent";
  const age = now - lane.startedAt;
  if (age >= rules.slowMs && lane.rate * 1000 < rules.slowBytesPerSecond) return "slow";
  // A pause is judged by the rule for silence: it says nothing about the speed.
  if (age < rules.laggardMs || moving.length === 0 || quiet * 8 >= rules.siblingSilentMs) return undefined;
  const usual = median(moving.map((it) => it.rate));
  const remaining = lane.left / Math.max(lane.rate, 1e-9);
  return lane.rate * rules.laggardRatio < usual && remaining > 1000 ? "laggard" : undefined;
}

function median(values: number[]): number {
  values.sort((a, b) => a - b);
  return values[values.length >> 1] ?? 0;
}
