import { expect, test } from "bun:test";
import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startDaemon } from "../support/daemon.ts";
import { startOriginProcess } from "../support/origin/process.ts";
import { randomOf } from "../support/random.ts";
import { tempDir } from "../support/temp.ts";
import { until } from "../support/until.ts";
import { Fleet } from "./fleet.ts";

test("F96 the ledger of the kill rig finds nothing where nothing happened, and whatever was done behind its back", async () => {
  using dir = tempDir("fleet");
  await using origin = await startOriginProcess({ ratePerConnection: 2_000_000 });
  await using daemon = await startDaemon({ dir: dir.path, args: ["--max-concurrent", "4"] });
  const fleet = new Fleet({ daemon, origin, next: randomOf(7) });
  const over = new AbortController();
  const driving = fleet.drive(over.signal);
  const done = () => [...fleet.jobs.values()].filter(({ isComplete }) => isComplete);
  await until(async () => {
    await fleet.check();
    return done().length > 0 && fleet.running.some(({ may }) => may.size === 1);
  }, "one that is complete and one that runs");
  await origin.ask("limit", { ratePerConnection: 50_000 });
  over.abort();
  await driving;
  await fleet.check();
  await fleet.inspect();
  expect([fleet.counts.wrong, fleet.counts.lost, fleet.counts.stuck, fleet.note]).toEqual([0, 0, 0, ""]);
  expect(fleet.counts.acknowledged).toBeGreaterThan(1);

  // A byte more in a finished file, and a file that nobody asked for.
  const [finished] = done();
  appendFileSync(join(daemon.modelsDir, finished!.name), "x");
  writeFileSync(join(daemon.modelsDir, "stranger.gguf"), "x");
  await fleet.inspect();
  expect(fleet.counts.wrong).toBe(2);

  // A wish that the ledger has not been told of, and a record that is gone.
  const [moving] = fleet.running;
  await daemon.must("POST", `/v1/downloads/${moving!.name}/cancel`);
  await daemon.must("DELETE", `/v1/history/${finished!.name}`);
  await fleet.check();
  expect(fleet.counts.lost).toBeGreaterThanOrEqual(2);
  expect(fleet.note).not.toBe("");
}, 60_000);
