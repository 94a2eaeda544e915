import { join } from "node:path";
import { type Daemon, startDaemon } from "../../support/daemon.ts";
import { type MadeFile, makeFile } from "../content.ts";
import { type Contender, compete, type Sample, secondsOf } from "../measure.ts";
import type { Row } from "../row.ts";
import { startNginx } from "../servers.ts";

/** Row 3: four files at once, verified, against the same bytes as one file. */
export const four: Row = {
  titles: { 3: "four files at once, verified, against one" },
  needs: ["nginx"],
  async run(bench) {
    const root = join(bench.dir, "origin");
    const quarter = Math.floor(bench.size / 4);
    const one = [makeFile(root, "big.bin", 1, bench.size)];
    const four = [2, 3, 4, 5].map((seed) => makeFile(root, `quarter-${seed}.bin`, seed, quarter));
    await using nginx = await startNginx(bench.tools.nginx!, join(bench.dir, "nginx"), root);
    const contender = (name: string, files: MadeFile[]): Contender => ({
      name,
      run: (out) => throughDaemon(out, nginx.plain, files),
    });
    const contenders = [contender("four at once", four), contender("one", one)];
    const results = await compete(contenders, bench.runs, bench.dir, bench.say);
    const value = secondsOf(results, "one") / secondsOf(results, "four at once");
    const goals = [{ text: "throughput of four over one", value, unit: "x", atLeast: 1.3 }];
    return new Map([[3, { results, goals, bytes: bench.size }]]);
  },
};

/** From the first request to the last verified file; the daemon runs already. */
async function throughDaemon(out: string, base: string, files: readonly MadeFile[]): Promise<Sample> {
  await using daemon: Daemon = await startDaemon({
    dir: out,
    args: ["--max-concurrent", String(files.length)],
  });
  const begun = performance.now();
  const started = await Promise.all(
    files.map((file) => daemon.begin({ url: `${base}/${file.name}`, sha256: file.sha256 })),
  );
  await Promise.all(started.map((download) => daemon.until(download.id, "completed", 300_000)));
  return { seconds: (performance.now() - begun) / 1000 };
}
