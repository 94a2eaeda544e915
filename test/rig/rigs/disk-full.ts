import { quantile } from "../../bench/measure.ts";
import { noVolumes } from "../../support/volume.ts";
import { BACK_MS, type LanePlan, playLane, Seen } from "../disk-lane.ts";
import type { Figure, Rig } from "../rig.ts";

/** Rounds of each lane; two lanes fill their volume, with the database on it and without. */
const LONG = { full: 100, readOnly: 100, gone: 50 };
const ANSWER_MS = 100;

/** G9, F78 to F84, F94: the volume of a running daemon is full, read-only or gone for a while. */
export const diskFull: Rig = {
  name: "disk-full",
  title:
    "The volume of three running downloads is full, read-only or gone at random moments: the daemon answers, and all of them go on by themselves when it is well again.",
  needs: { unshare: "util-linux", nsenter: "util-linux" },
  hindrance: noVolumes,
  async run({ seed, isLong, say }) {
    const rounds = isLong ? LONG : { full: 1, readOnly: 1, gone: 1 };
    const lanes: LanePlan[] = [
      { trouble: "full", isWhole: true, rounds: rounds.full, seed },
      { trouble: "full", isWhole: false, rounds: rounds.full, seed: seed + 1 },
      { trouble: "read-only", isWhole: false, rounds: rounds.readOnly, seed: seed + 2 },
      { trouble: "gone", isWhole: false, rounds: rounds.gone, seed: seed + 3 },
    ];
    const seen = new Seen();
    process.once("SIGINT", () => {
      seen.isEnough = true;
    });
    const timer = setInterval(() => say(JSON.stringify([seen.rounds, seen.broken])), 60_000);
    await Promise.all(lanes.map((lane) => playLane(lane, seen)));
    clearInterval(timer);
    return figures(seen, rounds, isLong);
  },
};

function figures(seen: Seen, rounds: typeof LONG, isLong: boolean): Figure[] {
  return [
    { what: "times full", value: seen.rounds.full, atLeast: 2 * rounds.full },
    { what: "times read-only", value: seen.rounds["read-only"], atLeast: rounds.readOnly },
    { what: "times gone", value: seen.rounds.gone, atLeast: rounds.gone },
    {
      what: "downloads, each with right bytes in the end",
      value: seen.downloads,
      atLeast: 3 * seen.rounds.full,
    },
    { what: "downloads that said what they waited for", value: seen.waited, atLeast: 1 },
    { what: "starts refused meanwhile with a typed error", value: seen.refused },
    {
      what: "crashes, wrong bytes, stuck downloads",
      value: seen.broken.length,
      atMost: 0,
      ...(seen.broken.length > 0 ? { note: seen.broken[0]! } : {}),
    },
    {
      what: "slowest until all moved again",
      value: Math.max(0, ...seen.backMs) / 1000,
      unit: "s",
      atMost: BACK_MS / 1000,
    },
    {
      what: "answers meanwhile, 99th percentile",
      value: quantile(seen.answersMs, 0.99),
      unit: "ms",
      // In the short form the machine is busy with other things.
      ...(isLong ? { atMost: ANSWER_MS } : {}),
    },
    { what: "answers meanwhile", value: seen.answersMs.length, atLeast: 1 },
  ];
}
