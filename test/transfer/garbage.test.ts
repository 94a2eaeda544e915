import { expect, test } from "bun:test";
import { Garbage } from "../../src/transfer/garbage.ts";

const MB = 1 << 20;

/** When it reminded, of so many bytes per millisecond over so long. */
function reminders(bytesPerMs: number, forMs: number): number[] {
  const times: number[] = [];
  let now = 0;
  const garbage = new Garbage(() => times.push(now));
  for (now = 1; now <= forMs; now++) garbage.arrived(bytesPerMs, now);
  return times;
}

test("a fast transfer reminds twice a second, a slow one after each 32 MiB, none never", () => {
  expect(reminders(MB, 2_100)).toEqual([500, 1_000, 1_500, 2_000]);
  expect(reminders(MB / 64, 6_300)).toEqual([2_048, 4_096, 6_144]);
  expect(reminders(0, 5_000)).toEqual([]);
});
