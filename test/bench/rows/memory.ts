import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { startDaemon } from "../../support/daemon.ts";
import { type OriginProcess, startOriginProcess } from "../../support/origin/process.ts";
import { type Contender, compete, median, medianOf, residentSet, type Sample, timed } from "../measure.ts";
import { aria2Options } from "../peers.ts";
import { type Bench, MIB, type Row } from "../row.ts";

const FILES = 10;
const CONNECTIONS = 16;
/** How long the transfer lasts at least; the rate of a connection follows from it. */
const SECONDS = 20;
const SAMPLE_MS = 250;

/** Row 10: memory with ten files and sixteen connections each. */
export const memory: Row = {
  titles: { 10: `memory with ${FILES} files of ${CONNECTIONS} connections each` },
  async run(bench) {
    const size = Math.floor(bench.size / FILES);
    const resources = Array.from({ length: FILES }, (_, i) => ({
      path: `/file-${i}.bin`,
      seed: 20 + i,
      size,
    }));
    const ratePerConnection = Math.ceil(bench.size / SECONDS / (FILES * CONNECTIONS));
    await using origin = await startOriginProcess({ resources, ratePerConnection });
    const urls = resources.map(({ path }) => origin.url(path));
    const results = await compete(contendersOf(bench, urls, origin), bench.runs, bench.dir, bench.say);
    const of = (what: string) => medianOf(results, "modelhaul", (s) => s.more?.[what]);
    const goals = [
      { text: "above itself idle", value: of("MiB above idle"), unit: "MiB", atMost: 100 },
      { text: "last quarter above the second (flat)", value: of("MiB grown"), unit: "MiB", atMost: 10 },
    ];
    return new Map([[10, { results, goals, bytes: bench.size }]]);
  },
};

function contendersOf({ tools }: Bench, urls: readonly string[], origin: OriginProcess): Contender[] {
  const contenders: Contender[] = [{ name: "modelhaul", run: (out) => ours(out, urls, origin) }];
  if (tools.aria2c) {
    contenders.push({
      name: "aria2c -j10 -x16",
      once: true,
      run: async (out) => {
        const list = join(out, "list.txt");
        writeFileSync(list, urls.join("\n"));
        const many = [`--max-concurrent-downloads=${FILES}`, "--dir", out, "--input-file", list];
        return timed({ command: [tools.aria2c!, ...aria2Options(CONNECTIONS), ...many], cwd: out });
      },
    });
  }
  return contenders;
}

async function ours(out: string, urls: readonly string[], origin: OriginProcess): Promise<Sample> {
  const args = ["--max-concurrent", String(FILES), "--connections", String(CONNECTIONS)];
  await using daemon = await startDaemon({ dir: out, args });
  // What a client asks first belongs to idling as well.
  await daemon.must("GET", "/v1/downloads");
  await Bun.sleep(1000);
  const idle = residentSet(daemon.pid);
  const begun = performance.now();
  const seen: number[] = [];
  let open = 0;
  const sampler = setInterval(async () => {
    seen.push(residentSet(daemon.pid));
    open = Math.max(open, (await origin.ask("stats")).active);
  }, SAMPLE_MS);
  try {
    const started = await Promise.all(urls.map((url) => daemon.begin({ url })));
    await Promise.all(started.map(({ id }) => daemon.until(id, "completed", 300_000)));
  } finally {
    clearInterval(sampler);
  }
  const seconds = (performance.now() - begun) / 1000;
  const quarter = Math.floor(seen.length / 4);
  const grown = median(seen.slice(-quarter)) - median(seen.slice(quarter, 2 * quarter));
  const peak = Math.max(...seen);
  const more = {
    "MiB idle": idle / MIB,
    "MiB above idle": (peak - idle) / MIB,
    "MiB grown": grown / MIB,
    "connections at once": open,
  };
  return { seconds, maxRss: peak, more };
}
