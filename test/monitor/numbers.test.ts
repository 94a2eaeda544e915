import { describe, expect, test } from "bun:test";
import { remaining } from "../../web/parts/format.ts";
import { numberFault, numberOf, rateFault, rateOf } from "../../web/parts/number.tsx";

const MIB = 1 << 20;

describe("numbers as people type them", () => {
  test.each([
    ["7", 7],
    [" 2,5 ", 2.5],
    ["2.5", 2.5],
    ["-1", -1],
    [",5", 0.5],
    ["0,125", 0.125],
    ["1000", 1000],
  ])("%p is %d", (typed, value) => expect(numberOf(typed)).toBe(value));

  test.each([
    "",
    " ",
    "abc",
    "5 MB",
    "1e3",
    "0x10",
    "1.2.3",
    "1,000",
    "12,500",
    "--1",
    "Infinity",
    "NaN",
    ".",
  ])("%p is none", (typed) => expect(numberOf(typed)).toBeNaN());

  const whole = { min: 1, max: 64, whole: true };
  test.each(["", "0", "65", "-3", "2.5", "2,5", "many", "9999999999999999999999", "1,000"])(
    "%p is no number of connections, and it is said what is one",
    (typed) => expect(numberFault(typed, whole)).toBe("Write a whole number from 1 to 64."),
  );

  test("what can be read in two ways is asked for again", () => {
    const seconds = { min: 0, max: 3600, whole: false };
    expect(numberFault("1,000", seconds)).toBe("Write 1000 or 1: with a comma it can be read as both.");
    expect(rateFault("2,500", MIB)).toBe("Write 2500 or 2.5: with a comma it can be read as both.");
    expect(numberFault("0,125", seconds)).toBeUndefined();
  });

  test("a speed limit is above 0, or none", () => {
    expect(["", "2,5", "1"].map((typed) => rateOf(typed, MIB))).toEqual([0, 2.5 * MIB, MIB]);
    for (const typed of ["0", "-1", "fast", "0.0000001", "9999999999999"])
      expect([typed, rateFault(typed, MIB)]).toEqual([typed, expect.stringContaining("a number above 0")]);
  });
});

test("R90 nothing is said of the time left while no bytes come", () => {
  const timing = { estimated_remaining_seconds: 1 };
  expect(remaining({ speed: 0, timing })).toBeUndefined();
  expect(remaining({ speed: 1024, timing })).toBe(1);
  expect(remaining({ speed: 1024, timing: {} })).toBeUndefined();
});
