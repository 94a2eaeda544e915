import { join } from "node:path";
import { sha256Of } from "../../support/bytes.ts";
import { startDaemon } from "../../support/daemon.ts";
import { type OriginProcess, startOriginProcess } from "../../support/origin/process.ts";
import { until } from "../../support/until.ts";
import { mustBe } from "../content.ts";
import { type Command, type Contender, cleanEnv, compete, medianOf, type Sample, timed } from "../measure.ts";
import { aria2, hf } from "../peers.ts";
import { type Bench, MIB, type Row } from "../row.ts";
import { REPO } from "../servers.ts";

const SEED = 11;
const CONNECTIONS = 8;
const RATE = 32 * MIB;
const PATH = `/${REPO}/resolve/main/model.bin`;
const COMMIT = "0123456789abcdef0123456789abcdef01234567";

/** Row 9: killed at half, started again: how much is fetched twice. */
export const kill: Row = {
  titles: { 9: "SIGKILL at half, started again" },
  async run(bench) {
    const size = Math.floor(bench.size / 2);
    const results = await compete(contendersOf(bench, size), bench.runs, bench.dir, bench.say);
    const value = medianOf(results, "modelhaul", (s) => s.more?.["MiB again"]);
    const text = `MiB fetched again with ${CONNECTIONS} connections`;
    return new Map([[9, { results, goals: [{ text, value, unit: "MiB", atMost: 4 * CONNECTIONS }] }]]);
  },
};

function contendersOf({ tools }: Bench, size: number): Contender[] {
  const sha256 = sha256Of(SEED, size);
  const contenders: Contender[] = [];
  const add = (name: string, file: string, run: (out: string, origin: OriginProcess) => Promise<number>) =>
    contenders.push({
      name,
      check: (out) => mustBe(join(out, file), sha256),
      run: (out) => withOrigin(size, (origin) => run(out, origin)),
    });
  add("modelhaul", "models/model.bin", (out, origin) => ours(out, origin, size, sha256));
  if (tools.aria2c) {
    const again = (options: string[]) => (out: string, origin: OriginProcess) => {
      const fetch = { url: origin.url(PATH), out, name: "model.bin", connections: CONNECTIONS };
      return theirs(origin, size, aria2(tools.aria2c!, fetch, ["--continue=true", ...options]));
    };
    add("aria2c -x8, saving every second", "model.bin", again(["--auto-save-interval=1"]));
    add("aria2c -x8", "model.bin", again([]));
  }
  if (tools.hf)
    add("hf", "model.bin", (out, origin) =>
      theirs(origin, size, hf(tools.hf!, origin.base, REPO, out, "model.bin")),
    );
  return contenders;
}

/** Counts at the origin: what was sent beyond one whole file was sent twice. */
async function withOrigin(size: number, run: (origin: OriginProcess) => Promise<number>): Promise<Sample> {
  const resource = { path: PATH, seed: SEED, size, headers: { "X-Repo-Commit": COMMIT } };
  await using origin = await startOriginProcess({ resources: [resource], ratePerConnection: RATE });
  const begun = performance.now();
  const arrived = await run(origin);
  const seconds = (performance.now() - begun) / 1000;
  const again = (await origin.ask("sent", PATH)) - size;
  return { seconds, more: { "MiB again": again / MIB, "% of what had arrived": (100 * again) / arrived } };
}

const half = (origin: OriginProcess, size: number): Promise<number> =>
  until(
    async () => {
      const sent = await origin.ask("sent", PATH);
      return sent >= size / 2 ? sent : undefined;
    },
    "half of the file",
    { timeoutMs: 120_000, everyMs: 10 },
  );

async function ours(out: string, origin: OriginProcess, size: number, sha256: string): Promise<number> {
  await using daemon = await startDaemon({ dir: out, args: ["--connections", String(CONNECTIONS)] });
  const { id } = await daemon.begin({ url: origin.url(PATH), sha256 });
  const arrived = await half(origin, size);
  await daemon.kill();
  await daemon.start();
  await daemon.until(id, "completed", 120_000);
  await daemon.stop();
  return arrived;
}

async function theirs(origin: OriginProcess, size: number, command: Command): Promise<number> {
  const { cwd, env } = command;
  const first = Bun.spawn([...command.command], {
    cwd,
    env: cleanEnv(cwd, env),
    stdio: ["ignore", "ignore", "ignore"],
  });
  const arrived = await half(origin, size);
  first.kill("SIGKILL");
  await first.exited;
  await timed({ ...command, timeoutMs: 120_000 });
  return arrived;
}
