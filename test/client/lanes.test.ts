import { expect, test } from "bun:test";
import { lanes } from "../../src/client/lanes.ts";
import { until } from "../support/until.ts";

/** Pieces of work that end when they are told to. */
function works(count: number, begun: number[] = []) {
  const ends = Array.from({ length: count }, () => Promise.withResolvers<number>());
  const all = ends.map(({ promise }, at) => () => {
    begun.push(at);
    return promise;
  });
  return { all, ends, begun };
}

const settled = (what: string, begun: number[], expected: string) =>
  until(async () => begun.join() === expected, what);

test("work takes its turn: so much at a time, the next when one has ended, well or not", async () => {
  const { all, ends, begun } = works(4);
  const lane = lanes(2);
  const results = Promise.allSettled(all.map((work) => lane(work)));
  await settled("the first two", begun, "0,1");
  ends[1]!.reject(new Error("no"));
  await settled("the third", begun, "0,1,2");
  for (const [at, { resolve }] of ends.entries()) resolve(at);
  expect((await results).map((it) => (it.status === "fulfilled" ? it.value : it.reason.message))).toEqual([
    0,
    "no",
    2,
    3,
  ]);
});

test("what is given up while it waits is never begun, and holds up nothing", async () => {
  const { all, ends, begun } = works(3);
  const lane = lanes(1);
  const abort = new AbortController();
  const first = lane(all[0]!);
  const second = lane(all[1]!, abort.signal);
  const third = lane(all[2]!);
  abort.abort(new Error("left out"));
  expect(second).rejects.toThrow("left out");
  ends[0]!.resolve(0);
  ends[2]!.resolve(2);
  expect(await Promise.all([first, third])).toEqual([0, 2]);
  expect(begun).toEqual([0, 2]);
});
