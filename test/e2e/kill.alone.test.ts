import { expect, test } from "bun:test";
import { mkdirSync, watch } from "node:fs";
import { join } from "node:path";
import { fourWaits, ourFourKills } from "../rig/four-kills.ts";
import { generated } from "../support/bytes.ts";
import { Daemon, startDaemon } from "../support/daemon.ts";
import { type FileSpec, startHub } from "../support/hub.ts";
import { startOriginProcess } from "../support/origin/process.ts";
import { randomOf } from "../support/random.ts";
import { tempDir } from "../support/temp.ts";
import { filesBelow, partials, seedOfRun, sha256File } from "./support.ts";

const PATH = "/model.gguf";

test("F96 four kill -9 at random moments of 64 MiB at 4 x 4 MB/s: the right file by itself, at most 5 % sent twice", async () => {
  const seed = seedOfRun("kill -9");
  const { again, isRight } = await ourFourKills(seed, fourWaits(randomOf(seed)));
  console.log(`kill -9: ${again.toFixed(2)} % sent twice`);
  expect(isRight).toBe(true);
  expect(again).toBeLessThanOrEqual(5);
}, 90_000);

async function expectNothingLeft(daemon: Daemon): Promise<void> {
  expect(partials(daemon.modelsDir)).toEqual([]);
  const { total_active } = await daemon.must("GET", "/v1/downloads");
  expect(total_active).toBe(0);
}

/** Resolves when `count` files have got their final names in a folder. */
function named(folder: string, count: number): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const seen = (): number => filesBelow(folder).filter((it) => !it.endsWith(".part")).length;
  return new Promise((resolve) => {
    const watcher = watch(folder, look);
    function look(): void {
      if (seen() < count) return;
      watcher.close();
      resolve();
    }
    look();
  });
}

test("F97 killed whenever a file of a repository gets its final name: all arrive, none twice, nothing is left", async () => {
  const repo = "acme/parts";
  const size = 1_500_000;
  const files = Array.from(
    { length: 30 },
    (_, i): FileSpec => ({ path: `part-${i}.bin`, content: generated(i, size) }),
  );
  using dir = tempDir("named");
  await using hub = await startHub({ repos: [{ id: repo, files }], cdnLimits: { rateTotal: 16_000_000 } });
  await using daemon = await startDaemon({ dir: dir.path, env: { HF_ENDPOINT: hub.endpoint } });
  const folder = join(daemon.modelsDir, repo);
  const { id } = await daemon.begin({ repo_id: repo });
  for (const count of [1, 9, 20]) {
    await named(folder, count);
    await daemon.kill();
    await daemon.start();
  }
  const done = await daemon.until(id, "completed");
  expect([done.files_done, done.progress.percentage]).toEqual([files.length, 100]);
  expect(filesBelow(folder)).toEqual(files.map((it) => it.path).sort());
  for (const { path } of files)
    expect([path, await sha256File(join(folder, path))]).toEqual([path, hub.repo(repo).file(path).sha256]);
  expect(hub.cdn.stats.bytesSent).toBeLessThan(1.25 * files.length * size);
  await expectNothingLeft(daemon);
}, 60_000);

/** Kills the daemon while the digest of a file is being finished; false when it was too late for that. */
async function verifyingKilled(dir: string, request: Record<string, unknown>): Promise<boolean> {
  await using daemon = await startDaemon({ dir });
  using events = await daemon.events();
  await daemon.begin(request);
  await events.next(({ data }) => data.download?.state === "verifying");
  await daemon.kill();
  return partials(daemon.modelsDir).length === 1;
}

const MOST_TRIES = 5;

test("F96 F121 killed while verifying: verified by the next start, and not fetched again", async () => {
  const size = 192 << 20;
  await using origin = await startOriginProcess({ resources: [{ path: PATH, seed: 3, size }] });
  const sha256 = await origin.ask("sha256", PATH);
  using dir = tempDir("verifying");
  let tries = 1;
  let home = dir.at("1");
  while (!(await verifyingKilled(home, { url: origin.url(PATH), sha256 }))) {
    expect(++tries).toBeLessThanOrEqual(MOST_TRIES);
    home = dir.at(String(tries));
  }
  await using daemon = new Daemon({ dir: home });
  const sent = await origin.ask("sent", PATH);
  await daemon.start();
  const done = await daemon.until("model.gguf", "completed");
  expect(done.files?.[0]?.verified).toBe(true);
  expect(await sha256File(join(daemon.modelsDir, "model.gguf"))).toBe(sha256);
  expect((await origin.ask("sent", PATH)) - sent).toBeLessThan(size / 4);
  await expectNothingLeft(daemon);
}, 60_000);
