import { join } from "node:path";
import { aria2 } from "../bench/peers.ts";
import { partials, sha256File } from "../e2e/support.ts";
import { cleanEnv, startDaemon } from "../support/daemon.ts";
import { type OriginProcess, startOriginProcess } from "../support/origin/process.ts";
import { tempDir } from "../support/temp.ts";
import { until } from "../support/until.ts";

const PATH = "/model.gguf";
const SIZE = 64 << 20;
const RATE = 4_000_000;
const KILLS = 4;
const CONNECTIONS = 4;
const LONGEST_MS = 120_000;

/** What one trial came to. */
export interface Trial {
  /** Bytes sent beyond one whole file, as a share of it in percent. */
  again: number;
  /** The file is what the origin has, and nothing else was left. */
  isRight: boolean;
}

/** Moments of the four kills, from when bytes move on: the same for everybody in one trial. */
export const fourWaits = (next: () => number): number[] =>
  Array.from({ length: KILLS }, () => 100 + Math.floor(next() * 700));

/** G2: 64 MiB over four connections of 4 MB/s each, killed four times and started again each time. */
export const ourFourKills = (seed: number, waits: readonly number[]): Promise<Trial> =>
  withOrigin(seed, async (origin, dir) => {
    const sha256 = await origin.ask("sha256", PATH);
    await using daemon = await startDaemon({ dir, args: ["--connections", String(CONNECTIONS)] });
    const { id } = await daemon.begin({ url: origin.url(PATH), sha256 });
    for (const wait of waits) {
      await moving(origin);
      await Bun.sleep(wait);
      await daemon.kill();
      await daemon.start();
    }
    const done = await daemon.until(id, "completed", LONGEST_MS);
    if (done.files?.[0]?.verified !== true) throw new Error(`not verified: ${JSON.stringify(done)}`);
    const { total_active } = await daemon.must("GET", "/v1/downloads");
    if (total_active !== 0) throw new Error(`${total_active} downloads are still active`);
    return done.local_path!;
  });

/** The same with aria2c, which is told to go on each time. */
export const theirFourKills = (
  program: string,
  options: readonly string[],
  seed: number,
  waits: readonly number[],
): Promise<Trial> =>
  withOrigin(seed, async (origin, dir) => {
    const fetch = { url: origin.url(PATH), out: dir, name: "model.gguf", connections: CONNECTIONS };
    const { command } = aria2(program, fetch, ["--continue=true", ...options]);
    const begin = () =>
      Bun.spawn([...command], { cwd: dir, env: cleanEnv(dir), stdio: ["ignore", "ignore", "ignore"] });
    for (const wait of waits) {
      const child = begin();
      await moving(origin);
      await Bun.sleep(wait);
      child.kill("SIGKILL");
      await child.exited;
    }
    const last = begin();
    const timer = setTimeout(() => last.kill("SIGKILL"), LONGEST_MS);
    await last.exited;
    clearTimeout(timer);
    return join(dir, "model.gguf");
  });

async function withOrigin(
  seed: number,
  fetch: (origin: OriginProcess, dir: string) => Promise<string>,
): Promise<Trial> {
  using dir = tempDir("four-kills");
  const resources = [{ path: PATH, seed, size: SIZE }];
  await using origin = await startOriginProcess({ resources, ratePerConnection: RATE });
  const path = await fetch(origin, dir.path);
  const isRight =
    partials(dir.path).length === 0 && (await sha256File(path)) === (await origin.ask("sha256", PATH));
  return { again: (100 * ((await origin.ask("sent", PATH)) - SIZE)) / SIZE, isRight };
}

/** Resolves when more arrives than there was. */
async function moving(origin: OriginProcess): Promise<void> {
  const before = await origin.ask("sent", PATH);
  await until(async () => (await origin.ask("sent", PATH)) > before, "bytes to move", { everyMs: 5 });
}
