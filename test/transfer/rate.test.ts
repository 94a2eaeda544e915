import { expect, test } from "bun:test";
import { Shaper } from "../../src/transfer/rate.ts";
import { TestClock } from "../support/clock.ts";

const never = new AbortController().signal;
const MB = 1_000_000;

/** Readers that use what they are granted at once; how much each got. */
function readers(shaper: Shaper, downloads: string[], signal = never): { got: number[]; largest: number } {
  const state = { got: downloads.map(() => 0), largest: 0 };
  downloads.forEach(async (download, i) => {
    while (!signal.aborted) {
      const bytes = await shaper.grant(download, 65_536, signal);
      state.got[i]! += bytes;
      state.largest = Math.max(state.largest, bytes);
      if (!shaper.limits(download)) return;
    }
  });
  return state;
}

test("no limit: everything at once, without a promise", () => {
  expect(new Shaper(new TestClock()).grant("a", 65_536, never)).toBe(65_536);
});

test.each([50_000, MB, 20 * MB, 200 * MB])("%d bytes a second are that many, shared evenly", async (bps) => {
  const clock = new TestClock();
  const shaper = new Shaper(clock);
  shaper.setGlobal(bps);
  const state = readers(shaper, ["a", "a", "b", "c"]);
  await clock.advance(2_000);
  const sum = state.got.reduce((a, b) => a + b);
  expect(sum / 2 / bps).toBeGreaterThan(0.95);
  expect(sum / 2 / bps).toBeLessThan(1.05);
  expect(Math.max(...state.got) - Math.min(...state.got)).toBeLessThanOrEqual(2 * 65_536);
});

test("bytes flow evenly: no portion is longer than 25 ms, no burst after a pause longer than 50", async () => {
  const clock = new TestClock();
  const shaper = new Shaper(clock);
  shaper.setGlobal(MB);
  await clock.advance(60_000);
  const state = readers(shaper, ["a"]);
  await clock.advance(5);
  expect(state.got[0]).toBeLessThanOrEqual(60_000);
  const before = state.got[0]!;
  await clock.advance(100);
  expect(state.got[0]! - before).toBeLessThanOrEqual(125_000);
  expect(state.largest).toBeLessThanOrEqual(25_000);
});

test("a download's own limit holds beside the limit for all", async () => {
  const clock = new TestClock();
  const shaper = new Shaper(clock);
  shaper.setGlobal(4 * MB);
  shaper.setDownload("slow", MB);
  const state = readers(shaper, ["slow", "slow", "fast"]);
  await clock.advance(2_000);
  expect((state.got[0]! + state.got[1]!) / 2 / MB).toBeCloseTo(1, 0.9);
  expect(state.got[2]! / 2 / MB).toBeGreaterThan(2.8);
  expect(state.got[2]! / 2 / MB).toBeLessThan(3.2);
});

test("a change is in force at once, for those that wait already", async () => {
  const clock = new TestClock();
  const shaper = new Shaper(clock);
  shaper.setGlobal(1_000);
  const state = readers(shaper, ["a"]);
  await clock.advance(100);
  const before = state.got[0]!;
  shaper.setGlobal(10 * MB);
  await clock.advance(100);
  expect(state.got[0]! - before).toBeGreaterThan(900_000);
  const then = state.got[0]!;
  shaper.setDownload("a", 10_000);
  await clock.advance(1_000);
  expect(state.got[0]! - then).toBeLessThan(80_000);
  shaper.setDownload("a", 0);
  shaper.setGlobal(0);
  await clock.advance(10);
  expect(shaper.limits("a")).toBe(false);
  expect(state.got[0]! - then).toBeGreaterThan(65_536);
});

test("waiting ends with the signal", async () => {
  const shaper = new Shaper(new TestClock());
  shaper.setGlobal(1);
  const stop = new AbortController();
  const waiting = shaper.grant("a", 65_536, stop.signal) as Promise<number>;
  stop.abort(new Error("paused"));
  await expect(waiting).rejects.toThrow("paused");
  await expect(shaper.grant("a", 1, stop.signal) as Promise<number>).rejects.toThrow("paused");
});
