import { claimTimes, fill, listTimes } from "../../rig/queued.ts";
import { type Daemon, startDaemon } from "../../support/daemon.ts";
import { startOrigin } from "../../support/origin.ts";
import { compete, median, medianOf, quantile, type Sample } from "../measure.ts";
import type { Row } from "../row.ts";

const QUEUED = 10_000;
const ASKED = 200;
const CLAIMS = 50;

/** Row 14: what a long queue costs. */
export const waiting: Row = {
  titles: { 14: `${QUEUED} queued downloads` },
  async run(bench) {
    const results = await compete([{ name: "modelhaul", run: once }], bench.runs, bench.dir, bench.say);
    const of = (what: string) => medianOf(results, "modelhaul", (s) => s.more?.[what]);
    const goals = [
      { text: "start", value: of("start ms"), unit: "ms", atMost: 1000 },
      { text: "a page of the list, 99th percentile", value: of("list p99 ms"), unit: "ms", atMost: 20 },
      { text: "claim of the next, median", value: of("claim ms"), unit: "ms", atMost: 5 },
    ];
    return new Map([[14, { results, goals }]]);
  },
};

async function once(out: string): Promise<Sample> {
  await using origin = await startOrigin({ resources: [{ path: "/waits.bin", seed: 1, size: 1 << 20 }] });
  origin.on({}, { kind: "stall", at: "start" });
  await using daemon: Daemon = await startDaemon({ dir: out, args: ["--max-concurrent", "1"] });
  await daemon.must("PATCH", "/v1/settings", { paused: true });
  await fill(daemon, origin.url("/waits.bin"), QUEUED);
  await daemon.stop();
  const begun = performance.now();
  await daemon.start();
  const start = performance.now() - begun;
  const [first] = await listTimes(daemon, ASKED);
  const claims = await claimTimes(daemon, CLAIMS);
  const more = { "start ms": start, "list p99 ms": quantile(first!.times, 0.99), "claim ms": median(claims) };
  return { seconds: start / 1000, more };
}
