import { describe, expect, test } from "bun:test";
import { claimEnd, claimLength, gaps, partLength, RangeSet, splitPoint } from "../../src/transfer/parts.ts";

const MiB = 1 << 20;
const GiB = 1 << 30;

function setOf(...ranges: [number, number][]): RangeSet {
  const set = new RangeSet();
  for (const [start, end] of ranges) set.add(start, end);
  return set;
}
const shown = (set: RangeSet) => set.toRanges().map(({ start, end }) => [start, end]);

describe("a set of bytes", () => {
  test.each<[string, [number, number][], [number, number], [number, number][], number]>([
    ["first", [], [5, 9], [[5, 9]], 4],
    ["nothing", [[1, 2]], [7, 7], [[1, 2]], 0],
    [
      "before",
      [[10, 20]],
      [0, 5],
      [
        [0, 5],
        [10, 20],
      ],
      5,
    ],
    [
      "behind",
      [[0, 5]],
      [10, 20],
      [
        [0, 5],
        [10, 20],
      ],
      10,
    ],
    ["touches on the left", [[10, 20]], [5, 10], [[5, 20]], 5],
    ["touches on the right", [[10, 20]], [20, 25], [[10, 25]], 5],
    [
      "fills a gap exactly",
      [
        [0, 10],
        [20, 30],
      ],
      [10, 20],
      [[0, 30]],
      10,
    ],
    ["inside", [[0, 10]], [3, 7], [[0, 10]], 0],
    ["around", [[3, 7]], [0, 10], [[0, 10]], 6],
    [
      "across several",
      [
        [0, 2],
        [4, 6],
        [8, 10],
      ],
      [1, 9],
      [[0, 10]],
      4,
    ],
    [
      "between two without touching",
      [
        [0, 2],
        [8, 10],
      ],
      [4, 6],
      [
        [0, 2],
        [4, 6],
        [8, 10],
      ],
      2,
    ],
  ])("adds: %s", (_, before, [start, end], after, gained) => {
    const set = setOf(...before);
    const total = set.total;
    expect(set.add(start, end)).toBe(gained);
    expect(shown(set)).toEqual(after);
    expect(set.total).toBe(total + gained);
  });

  test("agrees with a set of single bytes, whatever is added", () => {
    let seed = 7;
    const next = (below: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
      return seed % below;
    };
    for (let round = 0; round < 200; round++) {
      const set = new RangeSet();
      const bytes = new Set<number>();
      for (let i = 0; i < 25; i++) {
        const start = next(100);
        const end = start + next(15);
        const before = bytes.size;
        for (let at = start; at < end; at++) bytes.add(at);
        expect(set.add(start, end)).toBe(bytes.size - before);
      }
      const missing = gaps(set, [], 120).flatMap((gap) =>
        Array.from({ length: gap.end - gap.start }, (_, i) => gap.start + i),
      );
      expect(missing).toEqual(Array.from({ length: 120 }, (_, i) => i).filter((at) => !bytes.has(at)));
      for (let at = 0; at < 120; at++) expect(set.coveredUntil(at) > at).toBe(bytes.has(at));
    }
  });

  test("knows its front, its end, and what comes next", () => {
    const set = setOf([0, 10], [20, 30]);
    expect([set.prefix, set.end, setOf([1, 5]).prefix, new RangeSet().end]).toEqual([10, 30, 0, 0]);
    expect([set.coveredUntil(0), set.coveredUntil(9), set.coveredUntil(10), set.coveredUntil(25)]).toEqual([
      10, 10, 10, 30,
    ]);
    expect([set.nextFrom(0), set.nextFrom(10), set.nextFrom(30)]).toEqual([0, 20, Number.POSITIVE_INFINITY]);
  });

  test("F88 receipts count only as far as the file exists", () => {
    const set = RangeSet.of(
      [
        { start: 0, length: 10 },
        { start: 20, length: 10 },
        { start: 50, length: 5 },
        { start: -3, length: 9 },
      ],
      25,
    );
    expect(shown(set)).toEqual([
      [0, 10],
      [20, 25],
    ]);
  });
});

test("gaps leave out what is written and what is claimed, in order", () => {
  const claims = [
    { start: 60, end: 70 },
    { start: 10, end: 25 },
  ];
  expect(gaps(setOf([0, 10], [30, 40]), claims, 80)).toEqual([
    { start: 25, end: 30 },
    { start: 40, end: 60 },
    { start: 70, end: 80 },
  ]);
  expect(gaps(setOf([0, 100]), [], 80)).toEqual([]);
  expect(
    gaps(new RangeSet(), [{ start: 0, end: Number.POSITIVE_INFINITY }], Number.POSITIVE_INFINITY),
  ).toEqual([]);
});

test("parts are 16 MiB, and never more than 10 000", () => {
  expect([partLength(GiB), partLength(150 * GiB), partLength(200 * GiB)]).toEqual([
    16 * MiB,
    16 * MiB,
    21 * MiB,
  ]);
  for (const size of [1, GiB, 160 * GiB, 1000 * GiB, 2 ** 45])
    expect(Math.ceil(size / partLength(size))).toBeLessThanOrEqual(10_000);
});

describe("length of a claim", () => {
  const perMs = MiB / 1000;
  const rule = {
    part: 16 * MiB,
    laneRate: 32 * perMs,
    latencyMs: 1,
    unclaimed: 10 * GiB,
    pullers: 8,
    backlog: undefined,
  };
  test.each([
    ["nothing known: short", { laneRate: 0 }, 2 * MiB],
    ["a part", {}, 16 * MiB],
    ["a digest that has run dry: short, but not thousands of them", { backlog: 0, unclaimed: GiB }, 4 * MiB],
    ["a digest that has run dry, small file", { backlog: 0, unclaimed: 256 * MiB }, 2 * MiB],
    ["a digest that has run dry, huge file", { backlog: 0, unclaimed: 100 * GiB }, 16 * MiB],
    [
      "a digest with work for a while: as long as that lasts",
      { backlog: 75 * MiB, unclaimed: GiB },
      7.19 * MiB,
    ],
    [
      "a digest with work, fast connection",
      { backlog: 75 * MiB, unclaimed: GiB, laneRate: 700 * perMs },
      16 * MiB,
    ],
    ["far: so long that round trips do not matter", { latencyMs: 100 }, 64 * MiB],
    ["far, beside a hungry digest", { latencyMs: 100, backlog: 0 }, 64 * MiB],
    ["never more than 16 parts", { latencyMs: 1000 }, 256 * MiB],
    ["towards the end: a share", { unclaimed: 64 * MiB }, 4 * MiB],
    ["the very end", { unclaimed: MiB }, MiB],
  ])("%s", (_, change, length) => {
    expect(claimLength({ ...rule, ...change }) / MiB).toBeCloseTo(length / MiB, 2);
  });
});

test("claims end on part boundaries where that costs little", () => {
  const part = 16 * MiB;
  expect(claimEnd({ start: 0, end: GiB }, 16 * MiB, part)).toBe(16 * MiB);
  expect(claimEnd({ start: 2 * MiB, end: GiB }, 16 * MiB, part)).toBe(16 * MiB);
  expect(claimEnd({ start: 2 * MiB, end: GiB }, 100 * MiB, part)).toBe(96 * MiB);
  expect(claimEnd({ start: 2 * MiB, end: 3 * MiB }, 16 * MiB, part)).toBe(3 * MiB);
  expect(claimEnd({ start: 12 * MiB, end: GiB }, 3.5 * MiB, part)).toBe(16 * MiB);
  expect(claimEnd({ start: 4 * MiB, end: GiB }, 2 * MiB, part)).toBe(6 * MiB);
});

test.each([
  ["equal rates: half", 5, 5, 50],
  ["a slow owner keeps little", 1, 9, 10],
  ["a silent owner keeps nothing", 0, 9, 0],
  ["nothing known: half", 0, 0, 50],
])("a rest is split so that both end together: %s", (_, owner, helper, kept) => {
  expect(splitPoint(1000, 1100, owner, helper)).toBe(1000 + kept);
});
