import { describe, expect, test } from "bun:test";
import { union } from "../../src/core/file-attempt.ts";
import { Meter } from "../../src/core/meter.ts";

describe("meter", () => {
  test("speed follows what arrives and is 0 within 2 s of silence", () => {
    const meter = new Meter();
    meter.start(0);
    for (let t = 250; t <= 5000; t += 250) {
      meter.gained += 250_000;
      meter.sample(t);
    }
    expect(meter.speed).toBe(1_000_000);
    for (let t = 5250; t <= 7000; t += 250) meter.sample(t);
    expect(meter.speed).toBe(0);
  });

  test("A8 R89 the average counts neither paused time nor bytes of an earlier run", () => {
    const meter = new Meter();
    meter.bytes = 5_000_000; // of an earlier process
    meter.start(0);
    meter.gained += 1_000_000;
    meter.stop(1000);
    meter.start(61_000);
    meter.gained += 1_000_000;
    expect(meter.average(62_000)).toBe(1_000_000);
  });

  test("nothing is divided by zero", () => {
    const meter = new Meter();
    expect(meter.average(0)).toBe(0);
    meter.start(10);
    meter.sample(10);
    expect(meter.speed).toBe(0);
    expect(meter.average(10)).toBe(0);
  });
});

test("I3 overlapping receipts count once", () => {
  expect(union([])).toBe(0);
  expect(
    union([
      { start: 10, length: 10 },
      { start: 0, length: 15 },
      { start: 40, length: 5 },
      { start: 41, length: 1 },
    ]),
  ).toBe(25);
});
