import { expect, test } from "bun:test";
import { startOrGoOn } from "../../src/core/ensure.ts";
import { sha256Of } from "../support/bytes.ts";
import { startOrigin } from "../support/origin.ts";
import { openProduct } from "../support/product.ts";
import { digest, MB } from "./support.ts";

const engine = {
  engineId: "chat",
  modelType: "llm" as const,
  inferenceEngine: "llama-cpu",
  loadImmediately: true,
  mainGpuId: 0,
  parameters: {},
};

test("A6 asked for once more, what has failed half-way goes on as the same download, with what is asked for now", async () => {
  await using origin = await startOrigin({ resources: [{ path: "/m.bin", seed: 1, size: 8 * MB }] });
  const broken = origin.on({ covers: 6 * MB }, { kind: "respond", status: 500 });
  const retry = { baseMs: 1, maxMs: 2, maxAttempts: 1 };
  await using product = await openProduct({ settings: { retry, connectionsPerDownload: 1 } });
  const { downloads } = product;
  const url = origin.url("/m.bin");
  const first = await startOrGoOn(downloads, { url });
  expect((await product.reaches(first.id, "failed", "completed")).state).toBe("failed");
  await downloads.changeSettings({ paused: true });
  // Whatever else it is to be, it is another download.
  const others = [
    { url, modelId: "mine" },
    { url, engine },
    { url, filename: "n.bin" },
  ];
  for (const request of others) {
    const other = await startOrGoOn(downloads, request);
    expect(other.id).not.toBe(first.id);
    await downloads.cancel(other.id);
    await downloads.forget(other.id, { files: false });
  }
  const asked = await Promise.all(
    Array.from({ length: 10 }, () => startOrGoOn(downloads, { url, priority: 7 })),
  );
  expect(new Set(asked.map(({ id }) => id))).toEqual(new Set([first.id]));
  expect(await downloads.get(first.id)).toMatchObject({ state: "queued", priority: 7 });
  broken.remove();
  const sent = origin.sent("/m.bin");
  await downloads.changeSettings({ paused: false });
  const done = await product.reaches(first.id, "completed", "failed");
  expect(digest(done.localPath as string)).toBe(sha256Of(1, 8 * MB));
  expect(origin.sent("/m.bin") - sent).toBeLessThan(8 * MB);
});

test("A6 without partial data, cancelled or swept, it begins as a new one", async () => {
  await using origin = await startOrigin({ resources: [{ path: "/m.bin", seed: 1, size: 4 * MB }] });
  origin.on({}, { kind: "respond", status: 500 });
  const retry = { baseMs: 1, maxMs: 2, maxAttempts: 1 };
  await using product = await openProduct({ settings: { retry } });
  const { downloads } = product;
  const url = origin.url("/m.bin");
  const failed = await startOrGoOn(downloads, { url });
  await product.reaches(failed.id, "failed", "completed");
  await downloads.changeSettings({ paused: true });
  const cancelled = await startOrGoOn(downloads, { url });
  expect(cancelled.id).not.toBe(failed.id);
  await downloads.cancel(cancelled.id);
  expect((await startOrGoOn(downloads, { url })).id).not.toBe(cancelled.id);
});
