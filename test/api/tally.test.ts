import { expect, test } from "bun:test";
import { Tally } from "../../src/api/downloads/tally.ts";
import { startOrigin } from "../support/origin.ts";
import { openProduct } from "../support/product.ts";

test("R66 a count that failed is made again for the next who asks, and after each change of a state", async () => {
  await using origin = await startOrigin({ resources: [{ path: "/m.bin", seed: 1, size: 1000 }] });
  await using product = await openProduct();
  const { downloads } = product;
  let busy = true;
  const unfinished: typeof downloads.unfinished = () =>
    busy ? Promise.reject(new Error("database is locked")) : downloads.unfinished();
  const tally = new Tally({ unfinished, feed: downloads.feed });
  await expect(tally.summary()).rejects.toThrow("database is locked");
  busy = false;
  expect((await tally.summary()).total_active).toBe(0);
  const { download } = await downloads.start({ url: origin.url("/missing.bin") });
  expect((await tally.summary()).total_active).toBe(1);
  await product.reaches(download.id, "failed");
  expect((await tally.summary()).total_active).toBe(0);
  tally.stop();
});
