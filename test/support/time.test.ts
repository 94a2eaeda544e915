import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { EPOCH, TestClock } from "./clock.ts";
import { tempDir } from "./temp.ts";
import { Lines, until } from "./until.ts";

describe("clock", () => {
  test("sleepers wake in the order of their times, each at its own time", async () => {
    const clock = new TestClock();
    const woken: [string, number][] = [];
    const sleeper = async (name: string, ms: number) => {
      await clock.sleep(ms);
      woken.push([name, clock.now() - EPOCH]);
    };
    const all = [sleeper("late", 30), sleeper("early", 10), sleeper("same", 10), sleeper("never", 1000)];
    await clock.advance(30);
    expect(woken).toEqual([
      ["early", 10],
      ["same", 10],
      ["late", 30],
    ]);
    expect([clock.monotonic(), clock.pending]).toEqual([30, [970]]);
    await clock.advance(970);
    await Promise.all(all);
  });

  test("who sleeps again within the span wakes again", async () => {
    const clock = new TestClock();
    let ticks = 0;
    const loop = async () => {
      while (ticks < 100) {
        await clock.sleep(10);
        ticks++;
      }
    };
    const running = loop();
    await clock.advance(55);
    expect(ticks).toBe(5);
    await clock.advance(1000);
    await running;
  });

  test("an abort rejects with its reason and leaves no sleeper; a jump moves the wall clock alone", async () => {
    const clock = new TestClock();
    const controller = new AbortController();
    const sleeping = clock.sleep(10, controller.signal);
    await clock.asleep(1);
    controller.abort(new Error("enough"));
    await expect(sleeping).rejects.toThrow("enough");
    await expect(clock.sleep(1, controller.signal)).rejects.toThrow("enough");
    clock.jump(-5_000);
    expect([clock.pending, clock.now(), clock.monotonic()]).toEqual([[], EPOCH - 5_000, 0]);
    await expect(clock.asleep(1, 5)).rejects.toThrow("0 of 1 asleep after 5 ms");
  });
});

test("a temporary directory goes with its block, whatever it holds", () => {
  let path: string;
  {
    using dir = tempDir("proof");
    path = dir.path;
    mkdirSync(dir.at("a", "b"), { recursive: true });
    writeFileSync(dir.at("a", "b", "c"), "x");
    expect(existsSync(dir.at("a", "b", "c"))).toBe(true);
  }
  expect(existsSync(path)).toBe(false);
});

describe("until", () => {
  test("returns the first truthy answer and forgives failures before it", async () => {
    let calls = 0;
    const answer = await until(
      () => {
        if (++calls < 3) throw new Error("refused");
        return calls < 5 ? undefined : `call ${calls}`;
      },
      "the fifth call",
      { everyMs: 1 },
    );
    expect(answer).toBe("call 5");
  });

  test("says what it waited for and what it saw last", async () => {
    const waiting = (check: () => unknown) => until(check, "the moon", { timeoutMs: 5, everyMs: 1 });
    await expect(waiting(() => 0)).rejects.toThrow("waited 5 ms for the moon; last seen: 0");
    await expect(waiting(() => Promise.reject(new Error("no sky")))).rejects.toThrow(
      "last seen: Error: no sky",
    );
  });
});

describe("lines of a process", () => {
  const print = (script: string) => Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });

  test("past and coming lines are found", async () => {
    const child = print(
      "console.log('one'); await Bun.sleep(5); console.log('two ü'); setInterval(() => {}, 1000)",
    );
    const lines = new Lines(child.stdout);
    expect(await lines.waitFor(/^tw/)).toBe("two ü");
    expect(await lines.waitFor(/one/)).toBe("one");
    child.kill();
    await child.exited;
  });

  test("the end of the output without the line is a failure that shows the output", async () => {
    const lines = new Lines(print("process.stdout.write('only this')").stdout);
    await expect(lines.waitFor(/listening/)).rejects.toThrow(
      "before the output ended; last lines:\nonly this",
    );
  });
});
