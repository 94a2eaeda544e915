import { expect, test } from "bun:test";
import { Turns } from "../../src/core/turns.ts";

const never = new AbortController().signal;

test("turns are taken in the order asked for, one at a time under each name", async () => {
  const turns = new Turns();
  const seen: string[] = [];
  const first = await turns.take("a", never);
  const others = ["2", "3"].map(async (name) => {
    const leave = await turns.take("a", never);
    seen.push(`${name} in`);
    await Bun.sleep(1);
    seen.push(`${name} out`);
    leave();
  });
  const elsewhere = await turns.take("b", never);
  elsewhere();
  expect(seen).toEqual([]);
  first();
  await Promise.all(others);
  expect(seen).toEqual(["2 in", "2 out", "3 in", "3 out"]);
  (await turns.take("a", never))();
});

test("whoever gives up waiting gets the signal's reason and lets nobody in before time", async () => {
  const turns = new Turns();
  const leave = await turns.take("a", never);
  const stop = new AbortController();
  const given = turns.take("a", stop.signal);
  let third = false;
  const later = turns.take("a", never).then((done) => {
    third = true;
    done();
  });
  const reason = new Error("enough");
  stop.abort(reason);
  await expect(given).rejects.toBe(reason);
  await Bun.sleep(1);
  expect(third).toBe(false);
  leave();
  await later;
  await expect(turns.take("a", stop.signal)).rejects.toBe(reason);
});
