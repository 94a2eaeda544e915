import { expect, test } from "bun:test";
import { startOrigin } from "../support/origin.ts";
import { openProduct } from "../support/product.ts";

test("a request's own retry values stand upon the settings in force", async () => {
  await using origin = await startOrigin({ resources: [{ path: "/m.bin", seed: 1, size: 1000 }] });
  await using product = await openProduct({ settings: { retry: { maxAttempts: 3, baseMs: 50 } } });
  const { downloads } = product;
  const first = await downloads.start({ url: origin.url("/m.bin"), retry: { baseMs: 70 } });
  expect(first.download.retry).toMatchObject({ maxAttempts: 3, baseMs: 70 });
  await downloads.changeSettings({ retry: { maxAttempts: 5 } });
  const second = await downloads.start({ url: origin.url("/m.bin?2"), retry: { jitter: 0 } });
  expect(second.download.retry).toMatchObject({ maxAttempts: 5, baseMs: 50, jitter: 0 });
});
