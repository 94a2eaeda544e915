import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { systemClock } from "../../src/core/clock.ts";
import { startOrigin } from "../support/origin.ts";
import { openProduct } from "../support/product.ts";
import { tempDir } from "../support/temp.ts";
import { until } from "../support/until.ts";
import { MB } from "./support.ts";

const DAY = 86_400_000;

test("F232 A7 after the days of the history records are gone, with their secrets; files and what has not ended stay", async () => {
  await using origin = await startOrigin({
    resources: ["done", "old", "waits"].map((name, seed) => ({ path: `/${name}.bin`, seed, size: MB })),
  });
  using dir = tempDir("history");
  const path = await (async () => {
    await using product = await openProduct({ dir: dir.path });
    const { download } = await product.downloads.start({ url: origin.url("/done.bin") });
    const done = await product.reaches(download.id, "completed");
    await product.downloads.changeSettings({ paused: true });
    for (const name of ["old", "waits"])
      await product.downloads.start({
        url: origin.url(`/${name}.bin`),
        headers: { "X-Key": `key of ${name}` },
      });
    await product.downloads.pause("waits.bin");
    await product.downloads.cancel("old.bin");
    return done.localPath as string;
  })();
  const recordsAfter = async (days: number, count: number) => {
    const clock = { ...systemClock, now: () => systemClock.now() + days * DAY };
    await using product = await openProduct({ dir: dir.path, clock });
    const records = async () => (await product.db.list({}, { limit: 9 })).items;
    await until(async () => (await records()).length === count, `${count} records after ${days} days`);
    return (await records()).map(({ modelId }) => modelId);
  };
  expect(await recordsAfter(29, 3)).toEqual(["done.bin", "old.bin", "waits.bin"]);
  expect(await recordsAfter(31, 1)).toEqual(["waits.bin"]);
  expect(existsSync(path)).toBe(true);
  const secrets = readFileSync(dir.at("data", "secrets.json"), "utf8");
  expect([secrets.includes("key of waits"), secrets.includes("key of old")]).toEqual([true, false]);
});
