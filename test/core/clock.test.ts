import { expect, test } from "bun:test";
import { systemClock } from "../../src/core/clock.ts";

test("a time that has passed already is waited for without a word on the user's terminal", () => {
  const path = new URL("../../src/core/clock.ts", import.meta.url).pathname;
  const script = `import { systemClock } from ${JSON.stringify(path)}; await systemClock.sleep(-89.6);`;
  const { exitCode, stderr } = Bun.spawnSync([process.execPath, "-e", script]);
  expect([exitCode, stderr.toString()]).toEqual([0, ""]);
});

test("a sleep ends with the signal's reason", async () => {
  const reason = new Error("enough");
  await expect(systemClock.sleep(60_000, AbortSignal.abort(reason))).rejects.toBe(reason);
  const controller = new AbortController();
  const sleep = systemClock.sleep(60_000, controller.signal);
  controller.abort(reason);
  await expect(sleep).rejects.toBe(reason);
});
