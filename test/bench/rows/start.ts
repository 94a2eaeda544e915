import { Daemon } from "../../support/daemon.ts";
import { type Contender, compete, medianOf, residentSet, type Sample } from "../measure.ts";
import { MIB, type Row } from "../row.ts";
import { freePort } from "../servers.ts";

/** How long it has been left alone when its memory is read. */
const IDLE_MS = 5_000;
const LOOK_MS = 2;

/** Row 15: from nothing to the first answer. */
export const start: Row = {
  titles: { 15: "cold start of the executable to the first answer" },
  async run(bench) {
    const contender: Contender = { name: "modelhaul", run: once };
    const results = await compete([contender], Math.max(bench.runs, 3), bench.dir, bench.say);
    const of = (what: string) => medianOf(results, "modelhaul", (s) => s.more?.[what]);
    const goals = [
      { text: "first answer", value: of("first answer ms"), unit: "ms", atMost: 150 },
      { text: "memory when idle", value: of("MiB idle"), unit: "MiB", atMost: 80 },
    ];
    return new Map([[15, { results, goals }]]);
  },
};

async function once(out: string): Promise<Sample> {
  const port = await freePort();
  await using daemon = new Daemon({ dir: out, port });
  const begun = performance.now();
  const [, first] = await Promise.all([daemon.start(), firstAnswer(port, begun)]);
  await Bun.sleep(IDLE_MS);
  return {
    seconds: first / 1000,
    more: { "first answer ms": first, "MiB idle": residentSet(daemon.pid) / MIB },
  };
}

/** Asks until somebody answers; milliseconds since `begun`. */
async function firstAnswer(port: number, begun: number): Promise<number> {
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined);
    if (answer?.ok) return performance.now() - begun;
    if (performance.now() - begun > 30_000) throw new Error("nobody answers");
    await Bun.sleep(LOOK_MS);
  }
}
