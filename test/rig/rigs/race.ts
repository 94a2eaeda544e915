import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { cleanEnv } from "../../support/daemon.ts";
import { between, randomOf } from "../../support/random.ts";
import { tempDir } from "../../support/temp.ts";
import { Lines } from "../../support/until.ts";
import type { Rig, RigOptions } from "../rig.ts";

const IN_USE = 3;
const LOSER_MS = 1_000;

interface Start {
  /** Undefined when it listens. */
  code: number | undefined;
  ms: number;
  child: Bun.Subprocess;
}

/** F109, G11: two processes are started on one data directory at the same moment. */
export const race: Rig = {
  name: "race",
  title:
    "Two starts at once on one data directory: exactly one serves, the other leaves within a second and says why.",
  async run({ seed, isLong, rounds = isLong ? 1_000 : 10, executable, say }) {
    const next = randomOf(seed);
    const seen = { wrong: 0, note: "" };
    const times: number[] = [];
    for (let round = 1; round <= rounds; round++) {
      // Every one makes its directory, too: which is where they can get in each other's way.
      using dir = tempDir("rig-race");
      const wait = between(next, 0, 5);
      const first = begin(executable, dir.path);
      await Bun.sleep(wait);
      const starts = await Promise.all([first, begin(executable, dir.path)]);
      const losers = starts.filter(({ code }) => code !== undefined);
      const fault = faultOf(losers, dir.path);
      if (fault) {
        seen.wrong += 1;
        seen.note ||= `round ${round}, ${wait} ms apart: ${fault}`;
      }
      times.push(...losers.map(({ ms }) => ms));
      await Promise.all(starts.map(({ child }) => end(child)));
      if (round % 100 === 0) say(`${round} of ${rounds} rounds`);
    }
    return [
      { what: "rounds", value: rounds, atLeast: 1 },
      {
        what: "rounds without exactly one winner and one loser with exit code 3",
        value: seen.wrong,
        atMost: 0,
        ...(seen.note ? { note: seen.note } : {}),
      },
      // The short form runs on machines that are busy with something else, and only tells.
      {
        what: "loser, from its start, median",
        value: medianOf(times),
        unit: "ms",
        ...(isLong ? { atMost: LOSER_MS } : {}),
      },
      { what: "slowest loser, from its start", value: Math.max(0, ...times), unit: "ms" },
    ];
  },
};

/** NaN, which holds nowhere, when there is none. */
const medianOf = (times: readonly number[]): number =>
  times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? Number.NaN;

function faultOf(losers: readonly Start[], dir: string): string | undefined {
  if (losers.length !== 1 || losers[0]!.code !== IN_USE)
    return `${losers.length} ended, with ${losers.map(({ code }) => code).join(", ")}`;
  // The winner's note about itself is the one that is there.
  const note = join(dir, "data", "server.json");
  return existsSync(note) && statSync(note).size > 0 ? undefined : "the winner has left no note of itself";
}

/** Starts one; resolves when it listens or has ended. */
async function begin(executable: RigOptions["executable"], dir: string): Promise<Start> {
  const began = performance.now();
  const folders = ["--data-dir", join(dir, "data"), "--models-dir", join(dir, "models")];
  const child = Bun.spawn([executable, "serve", "--listen", "127.0.0.1:0", ...folders], {
    env: cleanEnv(dir),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
  });
  const listens = new Lines(child.stdout).waitFor(/^listening on /).then(() => undefined);
  const code = await Promise.race([listens.catch(() => child.exited), child.exited]);
  return { code, ms: performance.now() - began, child };
}

async function end(child: Bun.Subprocess): Promise<void> {
  child.kill();
  await child.exited;
}
