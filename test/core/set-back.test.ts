/** What a user or a time server does to the clock while something waits. */
import { expect, test } from "bun:test";
import { systemClock } from "../../src/core/clock.ts";
import { startOrigin } from "../support/origin.ts";
import { openProduct } from "../support/product.ts";
import { MB } from "./support.ts";

const HOUR = 3_600_000;

/** The system's clock, whose time of day can be set. */
function settableClock() {
  const set = { by: 0 };
  return { set, clock: { ...systemClock, now: () => systemClock.now() + set.by } };
}

test.each([
  ["two hours", 2 * HOUR],
  ["ten days", 240 * HOUR],
])("F111 a clock that is set back by %s makes no wait longer, and what is shown says so", async (_, back) => {
  await using origin = await startOrigin({ resources: [{ path: "/m.bin", seed: 1, size: MB }] });
  origin.on({ times: 1 }, { kind: "respond", status: 503, headers: { "Retry-After": "2" } });
  const { set, clock } = settableClock();
  await using product = await openProduct({ clock });
  const { download } = await product.downloads.start({ url: origin.url("/m.bin") });
  const waiting = await product.reachesSuch(download.id, (it) => it.notBefore !== null);
  expect(waiting.waiting?.until).toBeGreaterThan(clock.now() - HOUR / 2);
  set.by = -back;
  const mended = await product.reachesSuch(
    download.id,
    ({ state, notBefore }) => state !== "queued" || (notBefore !== null && notBefore < clock.now() + HOUR),
  );
  expect(["queued", "downloading"]).toContain(mended.state);
  expect((await product.reaches(download.id, "completed", "failed")).state).toBe("completed");
  expect(origin.requests("/m.bin").length).toBeLessThan(10);
});

test("F111 A7 what has ended is no longer listed as just ended because the clock was set back", async () => {
  await using origin = await startOrigin({ resources: [{ path: "/m.bin", seed: 1, size: MB }] });
  const { set, clock } = settableClock();
  await using product = await openProduct({ clock });
  const { download } = await product.downloads.start({ url: origin.url("/m.bin") });
  await product.reaches(download.id, "completed");
  const listed = async () => (await product.downloads.active(60_000)).length;
  expect(await listed()).toBe(1);
  set.by = -2 * HOUR;
  expect(await listed()).toBe(0);
});

test("F111 a clock that is set forward while bytes move costs neither the download nor a wrong figure", async () => {
  await using origin = await startOrigin({
    resources: [{ path: "/m.bin", seed: 1, size: 4 * MB }],
    ratePerConnection: 2 * MB,
    rateTotal: 4 * MB,
  });
  const { set, clock } = settableClock();
  await using product = await openProduct({ clock });
  const { download } = await product.downloads.start({ url: origin.url("/m.bin") });
  await product.has(download.id, MB / 2);
  set.by = 240 * HOUR;
  await product.has(download.id, MB);
  set.by = -240 * HOUR;
  const seen: number[] = [];
  const stop = product.downloads.feed.subscribe((event) => {
    if (event.type === "download") seen.push(event.download.speed, event.download.averageBps);
  });
  const done = await product.reaches(download.id, "completed", "failed");
  stop();
  expect([done.state, done.bytes]).toEqual(["completed", 4 * MB]);
  for (const figure of seen) expect([figure >= 0, figure < 1000 * MB]).toEqual([true, true]);
});
