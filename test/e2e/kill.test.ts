import { expect, test } from "bun:test";
import { type Daemon, startDaemon } from "../support/daemon.ts";
import { startOriginProcess } from "../support/origin/process.ts";
import { tempDir } from "../support/temp.ts";
import { partials, randomOf, seedOfRun, sha256File } from "./support.ts";

const SIZE = 64 << 20;
const PATH = "/model.gguf";
const KILLS = 4;

test("F96 four kill -9 at random moments of 64 MiB at 4 x 4 MB/s: the right file by itself, at most 5 % sent twice", async () => {
  const seed = seedOfRun("kill -9");
  const random = randomOf(seed);
  using dir = tempDir("kill");
  await using origin = await startOriginProcess({
    resources: [{ path: PATH, seed, size: SIZE }],
    ratePerConnection: 4_000_000,
  });
  const sha256 = await origin.ask("sha256", PATH);
  await using daemon = await startDaemon({ dir: dir.path, args: ["--connections", "4"] });
  const { id } = await daemon.begin({ url: origin.url(PATH), sha256 });

  for (let kill = 1; kill <= KILLS; kill++) {
    await daemon.until(id, (it) => it.connections > 0);
    await Bun.sleep(100 + random() * 700);
    expect((await daemon.one(id)).state).toBe("downloading");
    await daemon.kill();
    await daemon.start();
  }
  const done = await daemon.until(id, "completed", 60_000);

  const sent = await origin.ask("sent", PATH);
  console.log(`kill -9: ${((sent / SIZE - 1) * 100).toFixed(2)} % sent twice`);
  expect(await sha256File(done.local_path!)).toBe(sha256);
  expect(done.files?.[0]?.verified).toBe(true);
  expect(sent).toBeLessThanOrEqual(1.05 * SIZE);
  await expectNothingLeft(daemon);
}, 90_000);

async function expectNothingLeft(daemon: Daemon): Promise<void> {
  expect(partials(daemon.modelsDir)).toEqual([]);
  const { total_active } = await daemon.must("GET", "/v1/downloads");
  expect(total_active).toBe(0);
}
