import { expect, test } from "bun:test";
import { startOrigin } from "../support/origin.ts";
import { openProduct } from "../support/product.ts";
import { MB } from "./support.ts";

test("F16 F69 a body without end stops where the disk must stay free, and waits for room", async () => {
  await using origin = await startOrigin({
    resources: [{ path: "/m.bin", seed: 1, size: MB, ranges: false }],
    ratePerConnection: 20 * MB,
  });
  origin.on({}, { kind: "endless", framing: "chunked" });
  await using product = await openProduct({ minFreeBytes: Number.MAX_SAFE_INTEGER });
  const { download } = await product.downloads.start({ url: origin.url("/m.bin") });
  await product.has(download.id, 1);
  const waiting = await product.reaches(download.id, "queued");
  expect(waiting.waiting?.reason).toBe("disk");
  expect(waiting.error?.code).toBe("no_space");
  expect(waiting.attempt).toBe(0);
});

test.each(["1000000000000000", "9000000000000000"])(
  "F78 a file that says it has %s bytes is not begun",
  async (length) => {
    await using origin = await startOrigin({
      resources: [{ path: "/m.bin", seed: 1, size: 8 * MB, ranges: false }],
    });
    origin.on({}, { kind: "content-length", values: [length] });
    await using product = await openProduct();
    const { download } = await product.downloads.start({ url: origin.url("/m.bin") });
    const waiting = await product
      .reaches(download.id, "queued", "failed", "completed")
      .then(() => product.reaches(download.id, "failed", "completed", "queued"));
    expect(waiting.state).toBe("queued");
    await product.downloads.cancel(download.id);
  },
);

test("F18 F68 nonsense on the wire is given up after three attempts", async () => {
  await using origin = await startOrigin({ resources: [{ path: "/m.bin", seed: 1, size: MB }] });
  origin.on({}, { kind: "content-length", values: ["-1"] });
  await using product = await openProduct({ settings: { retry: { baseMs: 1, maxMs: 2 } } });
  const { download } = await product.downloads.start({ url: origin.url("/m.bin") });
  const failed = await product.reaches(download.id, "failed", "completed");
  expect([failed.error?.code, failed.attempt]).toEqual(["protocol", 3]);
});
