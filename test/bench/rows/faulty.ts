import { join } from "node:path";
import { sha256Of } from "../../support/bytes.ts";
import { startOriginProcess } from "../../support/origin/process.ts";
import type { Fault } from "../../support/origin.ts";
import { mustBe } from "../content.ts";
import { type Command, type Contender, compete, type Sample, secondsOf, timed } from "../measure.ts";
import { pull } from "../ours.ts";
import { aria2, type Fetch } from "../peers.ts";
import { type Bench, MIB, type Outcome, type Row } from "../row.ts";

const SEED = 7;
const CONNECTIONS = 8;
const RATE = 32 * MIB;
const SLOW_RATE = MIB;
/** Which of the connections is the bad one. */
const BAD = 4;
const SILENT_AFTER = 8 * MIB;

/** Rows 5 and 6: one connection of eight is slow, or falls silent. */
export const faulty: Row = {
  titles: { 5: "one of eight connections at 1 MiB/s", 6: "one of eight connections silent after 8 MiB" },
  async run(bench, wanted) {
    const size = Math.floor(bench.size / 4);
    const outcomes = new Map<number, Outcome>();
    if (wanted.has(5)) {
      const ideal = size / ((CONNECTIONS - 1) * RATE + SLOW_RATE);
      outcomes.set(5, await race(bench, size, { kind: "rate", bytesPerSecond: SLOW_RATE }, ideal, 1.25));
    }
    if (wanted.has(6)) {
      const ideal = (size - SILENT_AFTER) / ((CONNECTIONS - 1) * RATE);
      const fault: Fault = { kind: "stall", at: SILENT_AFTER, ofConnection: true };
      outcomes.set(6, await race(bench, size, fault, ideal, 2));
    }
    return outcomes;
  },
};

async function race(
  bench: Bench,
  size: number,
  fault: Fault,
  ideal: number,
  atMost: number,
): Promise<Outcome> {
  const { tools, executable } = bench;
  const check = (out: string) => mustBe(join(out, "model.bin"), sha256Of(SEED, size));
  const contender = (name: string, command: (fetch: Fetch) => Command): Contender => ({
    name,
    check,
    run: (out) => against(fault, size, out, command),
  });
  const contenders = [contender("modelhaul", (fetch) => pull(executable, [fetch.url], fetch))];
  if (tools.aria2c) contenders.push(contender("aria2c -x8 -k1M", (fetch) => aria2(tools.aria2c!, fetch)));
  const results = await compete(contenders, bench.runs, bench.dir, bench.say);
  const value = secondsOf(results, "modelhaul") / ideal;
  const goals = [{ text: `times the ideal of ${ideal.toFixed(2)} s`, value, unit: "x", atMost }];
  return { results, goals, bytes: size };
}

/** A fresh origin for every run, so that connections are counted anew. */
async function against(
  fault: Fault,
  size: number,
  out: string,
  command: (fetch: Fetch) => Command,
): Promise<Sample> {
  const resources = [{ path: "/model.bin", seed: SEED, size }];
  await using origin = await startOriginProcess({ resources, ratePerConnection: RATE });
  await origin.ask("on", { connection: BAD }, [fault]);
  const fetch = { url: origin.url("/model.bin"), out, name: "model.bin", connections: CONNECTIONS };
  const sample = await timed({ ...command(fetch), timeoutMs: 120_000 });
  const { connections, bytesSent } = await origin.ask("stats");
  return { ...sample, more: { connections, "MiB sent": bytesSent / MIB } };
}
