import { expect, test } from "bun:test";
import { DownloadError } from "../../src/core/errors.ts";
import { type Permit, Permits } from "../../src/transfer/permits.ts";
import { TestClock } from "../support/clock.ts";

const never = new AbortController().signal;
const limited = new DownloadError("rate_limited", "h answered 429");

function permits(limits: Partial<Permits["limits"]> = {}) {
  const clock = new TestClock();
  const all = new Permits(clock, { perDownload: 8, perHost: 64, total: 200, ...limits });
  const ask = (download = "a", host = "h", rank = 0, signal = never) =>
    all.acquire(download, rank, host, signal);
  return { clock, all, ask };
}

/** What is granted so far, without waiting. */
async function granted(wanted: (Permit | Promise<Permit>)[]): Promise<boolean[]> {
  const open = wanted.map(() => false);
  wanted.forEach(
    (it, i) =>
      void Promise.resolve(it).then(
        () => (open[i] = true),
        () => {},
      ),
  );
  await new Promise((resolve) => setImmediate(resolve));
  return open;
}

test.each([
  ["a download", { perDownload: 2 }],
  ["a host", { perHost: 2 }],
  ["all", { total: 2 }],
])("no more than allowed for %s; a place that becomes free is given on", async (_, limits) => {
  const { ask } = permits(limits);
  const [first, second, third] = [await ask(), await ask(), ask()];
  expect(await granted([third])).toEqual([false]);
  first.release();
  first.release();
  expect(await granted([third, ask()])).toEqual([true, false]);
  second.release();
});

test("F233 downloads take turns: one file is not starved by a thousand", async () => {
  const { ask } = permits({ total: 1 });
  const first = await ask("big");
  const order: string[] = [];
  const use = async (download: string) => {
    const permit = await ask(download);
    order.push(download);
    permit.release();
  };
  const all = [...Array.from({ length: 5 }, () => use("big")), use("small"), use("big"), use("other")];
  first.release();
  await Promise.all(all);
  expect(order).toEqual(["big", "small", "other", "big", "big", "big", "big", "big"]);
});

test("within a download the oldest file goes first", async () => {
  const { ask } = permits({ perDownload: 1 });
  const first = await ask("a", "h", 0);
  const order: number[] = [];
  const use = async (rank: number) => {
    const permit = await ask("a", "h", rank);
    order.push(rank);
    permit.release();
  };
  const all = [use(3), use(1), use(2), use(1)];
  first.release();
  await Promise.all(all);
  expect(order).toEqual([1, 1, 2, 3]);
});

test("whoever leaves the queue is forgotten", async () => {
  const { ask } = permits({ total: 1 });
  const first = await ask();
  const leaving = new AbortController();
  const gone = ask("a", "h", 0, leaving.signal);
  const next = ask();
  leaving.abort(new Error("paused"));
  await expect(gone).rejects.toThrow("paused");
  first.release();
  expect(await granted([next])).toEqual([true]);
  await expect(ask("a", "h", 0, leaving.signal)).rejects.toThrow("paused");
});

test("F46 a gate holds every request to the host back, and nobody else", async () => {
  const { clock, all, ask } = permits();
  expect(all.gate("h", limited, 5_000)).toBe(5_000);
  expect(all.gated("h")).toEqual({ ms: 5_000, why: limited });
  const waiting = ask();
  expect(await granted([waiting, ask("a", "other"), ask("b", "other")])).toEqual([false, true, true]);
  await clock.advance(4_999);
  expect(await granted([waiting])).toEqual([false]);
  await clock.advance(1);
  expect(await granted([waiting])).toEqual([true]);
  expect(all.gated("h")).toBeUndefined();
});

test("F47 F228 after a gate one goes ahead alone, until it has been answered well", async () => {
  const { clock, all, ask } = permits();
  all.gate("h", limited, 1_000);
  const wanted = [ask("a"), ask("b"), ask("c")];
  await clock.advance(1_000);
  expect(await granted(wanted)).toEqual([true, false, false]);
  (await wanted[0]!).report("ok");
  expect(await granted(wanted)).toEqual([true, true, true]);
});

test("a gate without a time grows, and begins anew after a good answer", async () => {
  const { clock, all, ask } = permits();
  const waits: number[] = [];
  for (let i = 0; i < 3; i++) {
    waits.push(all.gate("h", limited));
    await clock.advance(waits[i]!);
  }
  expect(waits[1]).toBe(2 * waits[0]!);
  expect(waits[2]).toBe(4 * waits[0]!);
  (await ask()).report("ok");
  expect(all.gate("h", limited)).toBe(waits[0]!);
});

test("F71 a host that refuses is asked for no more than it bears, and for one more every few seconds", async () => {
  const { clock, all, ask } = permits({ perDownload: 100 });
  const open = await Promise.all(Array.from({ length: 5 }, () => ask()));
  const refused = await Promise.all(Array.from({ length: 3 }, () => ask()));
  for (const permit of refused) {
    permit.release();
    permit.report("refused");
  }
  for (const permit of open) permit.release();
  const places = async (): Promise<number> => {
    const wanted = Array.from({ length: 20 }, () => ask());
    const count = (await granted(wanted)).filter(Boolean).length;
    (await wanted[0]!).report("ok");
    for (const it of wanted) void Promise.resolve(it).then((permit) => permit.release());
    await new Promise((resolve) => setImmediate(resolve));
    return count;
  };
  expect(await places()).toBe(5);
  await clock.advance(6_000);
  expect(await places()).toBe(5);
  expect(await places()).toBe(6);
  expect(all.activeOn("h")).toBe(0);
});

test("a permit moves to the host that answered", async () => {
  const { all, ask } = permits({ perHost: 1 });
  const permit = await ask("a", "hub");
  permit.moveTo("cdn");
  expect([all.activeOn("hub"), all.activeOn("cdn"), permit.host]).toEqual([0, 1, "cdn"]);
  expect(await granted([ask("a", "hub"), ask("a", "cdn")])).toEqual([true, false]);
  permit.release();
  expect(all.activeOn("cdn")).toBe(1);
});

test("F47 F71 a hub that redirects well is trusted again, though no body ever comes from it", async () => {
  const { clock, all, ask } = permits({ perHost: 4 });
  const first = await ask("a", "hub");
  first.report("refused");
  first.release();
  all.gate("hub", limited, 1_000);
  const wanted = ["a", "b", "c", "d", "e"].map((download) => ask(download, "hub"));
  await clock.advance(10_000);
  expect(await granted(wanted)).toEqual([true, false, false, false, false]);
  (await wanted[0]!).moveTo("cdn");
  expect(await granted(wanted)).toEqual([true, true, true, false, false]);
  await clock.advance(6_000);
  (await wanted[1]!).moveTo("cdn");
  expect(await granted(wanted)).toEqual([true, true, true, true, true]);
});

test("F46 a gate that opens while it is being looked at leaves nobody waiting", async () => {
  const { clock, all, ask } = permits();
  all.gate("h", limited, 100);
  const permit = ask();
  await clock.asleep();
  // The timer comes a moment early, as timers do, and the gate opens between two looks at the clock.
  const looks = [99.999, 100.001];
  clock.monotonic = () => looks.shift() ?? 101;
  await clock.advance(100);
  await clock.advance(100);
  expect(await granted([permit])).toEqual([true]);
});
