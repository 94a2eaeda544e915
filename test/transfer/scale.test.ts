import { describe, expect, test } from "bun:test";
import { Scale } from "../../src/transfer/scale.ts";

const MIB_PER_MS = (1 << 20) / 1000;

interface Line {
  /** Bytes per millisecond that `count` connections bring in all. */
  rate(count: number, now: number): number;
  most?: number;
  latencyMs?: number;
  held?: (now: number) => boolean;
  /** Relative size of random swings from tick to tick. */
  noise?: number;
}

/** Runs the controller against a line for so long; what it wanted, tick by tick. */
function drive(line: Line, forMs: number): { targets: number[]; received: number; scale: Scale } {
  const scale = new Scale();
  const targets: number[] = [];
  let received = 0;
  let seed = 1;
  /** When each connection begins to deliver. */
  let starts: number[] = [];
  for (let now = 0; now < forMs; now += 15) {
    while (starts.length < scale.target) starts.push(now + (line.latencyMs ?? 1));
    starts = starts.slice(0, scale.target);
    const receiving = starts.filter((at) => at <= now).length;
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    const swing = 1 + ((seed / 0x7fffffff) * 2 - 1) * (line.noise ?? 0);
    if (receiving > 0) received += line.rate(receiving, now) * 15 * swing;
    scale.observe({
      now,
      received,
      receiving,
      most: line.most ?? 8,
      latencyMs: line.latencyMs ?? 1,
      held: line.held?.(now) ?? false,
    });
    targets.push(scale.target);
  }
  return { targets, received, scale };
}

const capped: Line = { rate: (count) => count * 32 * MIB_PER_MS };
const shared: Line = { rate: () => 800 * MIB_PER_MS };
const average = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;

test("begins with one", () => {
  expect(new Scale().target).toBe(1);
});

test.each([2, 5, 8, 16])("a server that caps each connection gets all %d, soon", (most) => {
  const { targets } = drive({ ...capped, most }, 3_000);
  expect(targets.indexOf(most) * 15).toBeLessThan(400);
  expect(targets.at(-1)).toBe(most);
  expect(Math.max(...targets)).toBe(most);
});

test("a far server as well, in some round trips more", () => {
  const { targets } = drive({ ...capped, latencyMs: 150, most: 16 }, 5_000);
  expect(targets.indexOf(16) * 15).toBeLessThan(2_000);
});

test("a server that gives all it has to one connection is not bothered with more", () => {
  const { targets } = drive(shared, 10_000);
  expect(average(targets)).toBeLessThan(2);
});

test("where more connections mean less, few are used", () => {
  const { targets } = drive({ rate: (count) => (100 * MIB_PER_MS) / count ** 0.5 }, 10_000);
  expect(average(targets)).toBeLessThan(1.6);
});

test("a line that is full with four connections gets about four", () => {
  const { targets } = drive({ rate: (count) => Math.min(count, 4) * 32 * MIB_PER_MS, most: 16 }, 20_000);
  expect(average(targets.slice(400))).toBeGreaterThanOrEqual(3.9);
  expect(average(targets.slice(400))).toBeLessThan(6.5);
});

test("swings do not keep it from using a capped server", () => {
  const { targets } = drive({ ...capped, noise: 0.5 }, 8_000);
  expect(average(targets.slice(100))).toBeGreaterThan(6.5);
});

test("a line that becomes capped later is noticed", () => {
  const { targets } = drive(
    { rate: (count, now) => (now < 3_000 ? 200 * MIB_PER_MS : count * 10 * MIB_PER_MS) },
    15_000,
  );
  expect(targets.at(-1)).toBe(8);
});

/** Each connection may send a second's worth at once, and then waits: nginx's limit_rate. */
function bursting(bytesPerSecond: number, lineRate: number): Line {
  const connections: { since: number; sent: number }[] = [];
  return {
    most: 16,
    rate(count, now) {
      while (connections.length < count) connections.push({ since: now, sent: 0 });
      connections.length = count;
      let room = lineRate * 15;
      for (const connection of connections) {
        const allowed = bytesPerSecond * (Math.floor((now - connection.since) / 1000) + 1) - connection.sent;
        const sent = Math.min(room, allowed);
        connection.sent += sent;
        room -= sent;
      }
      return (lineRate * 15 - room) / 15;
    },
  };
}

test("a server that caps each connection but begins with a burst gets all, soon", () => {
  const { targets } = drive(bursting(32 << 20, 800 * MIB_PER_MS), 6_000);
  expect(targets.indexOf(16) * 15).toBeGreaterThan(0);
  expect(targets.indexOf(16) * 15).toBeLessThan(700);
  expect(targets.at(-1)).toBe(16);
});

describe("limits", () => {
  test("never more than allowed, also when that shrinks", () => {
    const scale = drive(capped, 2_000).scale;
    scale.observe({ now: 2_000, received: 0, receiving: 8, most: 3, latencyMs: 1, held: false });
    expect(scale.target).toBe(3);
  });

  test("what we hold back ourselves teaches nothing", () => {
    expect(new Set(drive({ ...capped, held: () => true }, 3_000).targets)).toEqual(new Set([1]));
  });

  test("F71 refused: half, and only slowly more", () => {
    const { scale } = drive(capped, 2_000);
    scale.refused(8, 2_000);
    expect(scale.target).toBe(4);
    scale.refused(5, 2_100);
    expect(scale.target).toBe(4);
    let received = 0;
    const reached: number[] = [];
    for (let now = 2_000; now < 12_000; now += 15) {
      received += 4 * 32 * MIB_PER_MS * 15;
      scale.observe({ now, received, receiving: scale.target, most: 8, latencyMs: 1, held: false });
      reached.push(scale.target);
    }
    expect(Math.max(...reached.slice(0, 300))).toBe(4);
    expect(Math.max(...reached)).toBe(5);
  });
});
