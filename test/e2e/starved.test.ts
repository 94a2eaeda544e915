import { expect, test } from "bun:test";
import { Crowd, descriptorsOf, withDescriptors } from "../rig/starved.ts";
import { Daemon } from "../support/daemon.ts";
import { startOriginProcess } from "../support/origin/process.ts";
import { tempDir } from "../support/temp.ts";
import { until } from "../support/until.ts";
import { sha256File } from "./support.ts";

const LIMIT = 200;
const SIZE = 24 << 20;
const NAMES = ["first.gguf", "second.gguf"];

test("F113 more silent clients than there are descriptors: the daemon lives and refuses more of them, what moves and who watches goes on, what waits begins afterwards", async () => {
  using dir = tempDir("starved");
  await using origin = await startOriginProcess({
    resources: NAMES.map((name, seed) => ({ path: `/${name}`, seed, size: SIZE })),
    ratePerConnection: 1_000_000,
  });
  await using daemon = new Daemon({ dir: dir.path, args: ["--connections", "4"] });
  await daemon.start(withDescriptors(LIMIT));
  const [first, second] = await Promise.all(NAMES.map((name) => origin.ask("sha256", `/${name}`)));
  const { id } = await daemon.begin({ url: origin.url("/first.gguf"), sha256: first });
  await daemon.until(id, (it) => it.progress.downloaded_bytes > 0);
  using events = await daemon.events();
  {
    using crowd = new Crowd(daemon, 3 * LIMIT);
    await until(() => descriptorsOf(daemon.pid) >= LIMIT - 8, "the descriptors to be used up");
    expect(crowd.connected).toBeGreaterThan(LIMIT / 2);
    await until(() => daemon.story().includes("No file descriptor is left"), "the shortage to be told");
    const refused = await fetch(`${daemon.base}/health`).catch((error: { code: string }) => error.code);
    expect(refused).toBe("ECONNREFUSED");
    const before = await origin.ask("sent");
    await until(async () => (await origin.ask("sent")) > before + (1 << 20), "bytes to go on");
    const known = events.all.length;
    await events.next((event) => events.all.indexOf(event) >= known && event.data.download?.id === id);
  }
  const begun = await until(
    () => daemon.begin({ url: origin.url("/second.gguf"), sha256: second }),
    "an answer, now that they are gone",
    { timeoutMs: 30_000 },
  );
  await origin.ask("limit", { ratePerConnection: 50_000_000 });
  await until(() => daemon.story().includes("New clients are accepted again."), "that to be told");
  const done = [await daemon.until(id, "completed"), await daemon.until(begun.id, "completed")];
  expect(await Promise.all(done.map((it) => sha256File(it.local_path!)))).toEqual([first!, second!]);
}, 90_000);
