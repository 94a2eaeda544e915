import { expect, test } from "bun:test";
import { mostDescriptors, roomForReaders } from "../src/limits.ts";

test.each([
  [128, 64],
  [1_024, 512],
  [20_000, 15_904],
  [1_048_576, 20_000],
  [Number.POSITIVE_INFINITY, 20_000],
])("F213 of %p descriptors %p may be live streams", (descriptors, readers) => {
  expect(roomForReaders(descriptors)).toBe(readers);
});

test("the limit of this process is read", () => {
  expect(mostDescriptors()).toBeGreaterThan(0);
});
