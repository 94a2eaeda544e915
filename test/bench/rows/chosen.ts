import { join } from "node:path";
import { sha256Of } from "../../support/bytes.ts";
import { startOriginProcess } from "../../support/origin/process.ts";
import type { OriginOptions } from "../../support/origin.ts";
import { mustBe } from "../content.ts";
import { type Command, type Contender, compete, type Result, secondsOf, timed } from "../measure.ts";
import { pull } from "../ours.ts";
import { aria2, type Fetch } from "../peers.ts";
import { type Bench, type Goal, MIB, type Row } from "../row.ts";

const SEED = 9;
/** Without these aria2 gives up on the first 503. */
const PATIENT = ["--retry-wait=1", "--max-tries=100"];

interface Shape {
  name: string;
  /** Share of the size that is fetched. */
  share: number;
  limits: Omit<OriginOptions, "handler">;
}

const SHAPES: readonly Shape[] = [
  { name: "no limit", share: 1, limits: {} },
  { name: "16 MiB/s per connection", share: 1 / 16, limits: { ratePerConnection: 16 * MIB } },
  { name: "64 MiB/s for all together", share: 1 / 16, limits: { rateTotal: 64 * MIB } },
  {
    name: "50 ms away, 16 MiB/s each, four at most",
    share: 1 / 16,
    limits: { latencyMs: 50, ratePerConnection: 16 * MIB, maxParallel: 4, overflow: 503 },
  },
];

/** Row 7: the number of connections that we choose, against fixed ones. */
export const chosen: Row = {
  titles: { 7: "connections chosen by itself, on four shaped origins, against 1 and 8 fixed" },
  async run(bench) {
    const results: Result[] = [];
    const goals: Goal[] = [];
    for (const shape of SHAPES) {
      bench.say(`  ${shape.name}`);
      const found = await onShape(bench, shape);
      results.push(...found.map((result) => ({ ...result, name: `${shape.name}: ${result.name}` })));
      const fixed = found.filter((result) => result.name !== "chosen" && result.failure === undefined);
      const best = Math.min(...fixed.map((result) => secondsOf(found, result.name)));
      const value = best / secondsOf(found, "chosen");
      goals.push({ text: `${shape.name}: as fast as the better fixed one`, value, unit: "x", atLeast: 0.95 });
    }
    return new Map([[7, { results, goals }]]);
  },
};

async function onShape(bench: Bench, { share, limits }: Shape): Promise<Result[]> {
  const { tools, executable } = bench;
  const size = Math.floor(bench.size * share);
  await using origin = await startOriginProcess({
    ...limits,
    resources: [{ path: "/m.bin", seed: SEED, size }],
  });
  const check = (out: string) => mustBe(join(out, "m.bin"), sha256Of(SEED, size));
  const contender = (name: string, command: (fetch: Fetch) => Command): Contender => ({
    name,
    check,
    run: (out) => timed(command({ url: origin.url("/m.bin"), out, name: "m.bin" })),
  });
  const contenders = [
    contender("chosen", (fetch) => pull(executable, [fetch.url], fetch)),
    contender("modelhaul, 1 fixed", (fetch) => pull(executable, [fetch.url], { ...fetch, connections: 1 })),
  ];
  for (const connections of tools.aria2c ? [1, 8] : [])
    contenders.push(
      contender(`aria2c, ${connections} fixed`, (fetch) =>
        aria2(tools.aria2c!, { ...fetch, connections }, PATIENT),
      ),
    );
  return await compete(contenders, bench.runs, bench.dir, bench.say);
}
