import { expect, test } from "bun:test";
import { PatienceCounter } from "../../src/transfer/patience.ts";
import { type Complaint, complaint, type Lane, STALL_RULES } from "../../src/transfer/stall.ts";

const NOW = 200_000;
const KIB = 1024 / 1000;
const lane = (change: Partial<Lane> = {}): Lane => ({
  state: "reading",
  quietSince: NOW,
  movedAt: NOW,
  startedAt: NOW - 10_000,
  rate: 1000 * KIB,
  left: 100 << 20,
  ...change,
});
const silent = (ms: number): Partial<Lane> => ({ quietSince: NOW - ms, movedAt: NOW - ms, rate: 0 });
const judged = (change: Partial<Lane>, ...others: Partial<Lane>[]) =>
  complaint(lane(change), others.map(lane), NOW, STALL_RULES, 50);

test.each<[string, Partial<Lane>, Partial<Lane>[], Complaint | undefined]>([
  ["moves", {}, [{}], undefined],
  ["F56 alone and silent for 29 s", silent(29_000), [], undefined],
  ["F56 alone and silent for 30 s", silent(30_000), [], "silent"],
  ["silent for 1.9 s beside one that moves", silent(1_900), [{}], undefined],
  ["silent for 2 s beside one that moves", silent(2_000), [{}], "silent"],
  [
    "all silent: the line is down, not the connection",
    silent(5_000),
    [silent(5_000), silent(4_000)],
    undefined,
  ],
  [
    "silent beside one that has been answered but brings nothing",
    silent(2_500),
    [{ movedAt: Number.NEGATIVE_INFINITY }],
    undefined,
  ],
  ["held by our own limit, whatever the time", { ...silent(100_000), state: "held" }, [{}], undefined],
  ["no answer for 3 s beside one that moves", { ...silent(3_000), state: "asking" }, [{}], undefined],
  ["no answer for 4 s beside one that moves", { ...silent(4_000), state: "asking" }, [{}], "silent"],
  [
    "no answer, alone: the client has its own deadline",
    { ...silent(40_000), state: "asking" },
    [],
    undefined,
  ],
  ["five times slower", { rate: 190 * KIB }, [{}, {}], "laggard"],
  ["four times slower", { rate: 250 * KIB }, [{}, {}], undefined],
  ["much slower but too young", { rate: 1, startedAt: NOW - 300 }, [{}, {}], undefined],
  ["much slower but nearly done", { rate: 10 * KIB, left: 8 << 10 }, [{}, {}], undefined],
  ["as slow as the others", { rate: 10 * KIB }, [{ rate: 11 * KIB }, { rate: 9 * KIB }], undefined],
  ["F57 below 1 KiB/s for a minute", { rate: 0.5 * KIB, startedAt: NOW - 60_000 }, [], "slow"],
  ["F57 below 1 KiB/s for half a minute", { rate: 0.5 * KIB, startedAt: NOW - 30_000 }, [], undefined],
  ["F57 slow but steady", { rate: 1.1 * KIB, startedAt: NOW - 60_000 }, [], undefined],
])("%s", (_, it, others, expected) => {
  expect(judged(it, ...others)).toBe(expected);
});

const rules = { tries: 3, baseMs: 200, hostMs: 10_000, hostBackoffMs: 500 };

test("F47 only failures without a new byte count, and they are told after three tries", () => {
  const patience = new PatienceCounter(rules);
  const failed = (brought: number, gained: number, at: number) => patience.failed(brought, gained, at, at, 1);
  expect([failed(0, 0, 1), failed(0, 0, 2), failed(0, 0, 3), failed(0, 0, 4)]).toEqual([
    25,
    200,
    400,
    undefined,
  ]);
  expect([failed(10, 10, 5), failed(0, 10, 6), failed(10, 20, 7), failed(0, 20, 8)]).toEqual([
    25, 200, 25, 200,
  ]);
});

test("one that fails for ever beside others that bring bytes is asked less and less often, up to a limit", () => {
  const patience = new PatienceCounter(rules);
  const pauses = [1, 2, 3, 4, 5, 6, 7].map((at) => patience.failed(0, at * 100, at, at, 1));
  expect(pauses).toEqual([25, 200, 400, 800, 1600, 1600, 1600]);
});

test("connections that fail together fail once", () => {
  const patience = new PatienceCounter(rules);
  for (let i = 0; i < 8; i++) expect(patience.failed(0, 0, 5, 10 + i, 1)).toBe(25);
});

test("jitter shortens a pause by half at most", () => {
  expect(new PatienceCounter(rules).failed(0, 0, 1, 1, 0)).toBe(12.5);
});

test("F45 a host is waited for ten seconds in all, more after new bytes", () => {
  const patience = new PatienceCounter(rules);
  expect([patience.mayWait(6_000, 0), patience.mayWait(4_000, 0), patience.mayWait(1, 0)]).toEqual([
    true,
    true,
    false,
  ]);
  expect([patience.mayWait(9_000, 1), patience.mayWait(2_000, 1)]).toEqual([true, false]);
});
