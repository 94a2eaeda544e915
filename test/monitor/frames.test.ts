import { afterEach, expect, jest, test } from "bun:test";
import { everySecond, paced, untilNext } from "../../web/state/frames.ts";
import type { DownloadItem } from "../../web/state/types.ts";
import { isStill } from "../../web/views/downloads/still.ts";
import { download } from "./item.ts";

afterEach(() => {
  jest.useRealTimers();
});

test("numbers of all kinds change at the same moments", () => {
  const left = untilNext(1_000);
  expect(left).toBeGreaterThan(0);
  expect(left).toBeLessThanOrEqual(1_000);
  // The longer span ends where a shorter one does.
  expect((left - untilNext(250)) % 250).toBeLessThan(1);
});

test("calm work is done once for all that asked meanwhile, urgent work takes the calm along", () => {
  jest.useFakeTimers();
  const done: number[] = [];
  let asked = 0;
  const plan = paced(() => {
    done.push(asked);
    const count = asked;
    asked = 0;
    return count;
  });
  const ask = (isUrgent: boolean): void => {
    asked += 1;
    plan(isUrgent);
  };
  for (let n = 0; n < 20; n += 1) ask(false);
  jest.advanceTimersByTime(1_000);
  expect(done).toEqual([20]);
  ask(false);
  ask(true);
  jest.advanceTimersByTime(5_000);
  expect(done).toEqual([20, 2]);
});

test("what nobody sees is done seldom, and at once when it is seen again", () => {
  jest.useFakeTimers();
  const page = Object.assign(new EventTarget(), { visibilityState: "hidden" });
  const world = globalThis as unknown as Record<string, unknown>;
  Object.assign(world, { document: page, requestAnimationFrame: (run: () => void) => setTimeout(run, 16) });
  try {
    let done = 0;
    const plan = paced(() => {
      done += 1;
      return 1;
    });
    plan(false);
    jest.advanceTimersByTime(1_999);
    expect(done).toBe(0);
    page.visibilityState = "visible";
    page.dispatchEvent(new Event("visibilitychange"));
    jest.advanceTimersByTime(16);
    expect(done).toBe(1);
    page.visibilityState = "hidden";
    plan(false);
    jest.advanceTimersByTime(2_500);
    expect(done).toBe(2);
    // A state that has changed is news: its end is told, by a notification too.
    plan(true);
    jest.advanceTimersByTime(500);
    expect(done).toBe(3);
  } finally {
    delete world.document;
    delete world.requestAnimationFrame;
  }
});

test("once a second, until it is ended", () => {
  jest.useFakeTimers();
  let count = 0;
  const end = everySecond(() => {
    count += 1;
  });
  for (let second = 0; second < 5; second += 1) jest.advanceTimersByTime(1_000);
  expect(count).toBeGreaterThanOrEqual(4);
  const before = count;
  end();
  jest.advanceTimersByTime(10_000);
  expect(count).toBe(before);
});

test("a row stands still while only numbers change", () => {
  const before = download({ id: "a", state: "downloading", labels: { a: "b" } });
  const moved = download({
    ...before,
    warnings: [],
    labels: { a: "b" },
    speed: 9,
    connections: 4,
    bottleneck: "remote",
    progress: { downloaded_bytes: 5, total_bytes: 9, percentage: 55.5, download_speed_bps: 1 },
    timing: { start_time: 1000, elapsed_seconds: 7 },
  });
  expect(isStill(before, moved)).toBe(true);
  const changes: Partial<DownloadItem>[] = [
    { state: "paused" },
    { warnings: ["x"] },
    { labels: { a: "c" } },
    { waiting: { reason: "retry" } },
    { priority: 1 },
    { files_done: 1 },
  ];
  for (const change of changes)
    expect([change, isStill(before, { ...moved, ...change })]).toEqual([change, false]);
  const { labels: _, ...without } = moved;
  expect([isStill(before, without), isStill(without, before)]).toEqual([false, false]);
});
