import { expect, test } from "bun:test";
import { startOrigin } from "../support/origin.ts";
import { openProduct } from "../support/product.ts";
import { MB } from "./support.ts";

const SAMPLE_MS = 250;

test("F220 many connections tell of one download at most four times a second, of a quiet one nothing, and of each state", async () => {
  await using origin = await startOrigin({
    resources: [
      { path: "/m.bin", seed: 1, size: 24 * MB },
      { path: "/n.bin", seed: 2, size: MB },
    ],
    ratePerConnection: MB,
  });
  await using product = await openProduct({ settings: { connectionsPerDownload: 8 } });
  const times: number[] = [];
  const states: string[] = [];
  const stop = product.downloads.feed.subscribe((event) => {
    if (event.type !== "download" || event.download.modelId !== "m.bin") return;
    if (!event.stateChanged) times.push(performance.now());
    else states.push(event.download.state);
  });
  const { download } = await product.downloads.start({ url: origin.url("/m.bin") });
  await product.has(download.id, 8 * MB);
  await product.downloads.pause(download.id);
  const told = times.length;
  const span = (times.at(-1) ?? 0) - (times[0] ?? 0);
  expect(told).toBeGreaterThan(3);
  // What is written to the row on the way (the plan, the size) is told beside the samples.
  expect(told).toBeLessThanOrEqual(span / SAMPLE_MS + 6);
  // While another one moves.
  const other = await product.downloads.start({ url: origin.url("/n.bin") });
  await product.reaches(other.download.id, "completed");
  expect(times.length).toBe(told);
  stop();
  expect(states).toEqual(["queued", "downloading", "paused"]);
});
