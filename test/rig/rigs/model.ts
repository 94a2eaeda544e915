import { existsSync } from "node:fs";
import { randomOf } from "../../support/random.ts";
import { tempDir } from "../../support/temp.ts";
import { Gates } from "../model/gates.ts";
import { Difference, play } from "../model/play.ts";
import { asText, type Step, sequenceOf, shrunk } from "../model/steps.ts";
import { CoreSystem, DaemonSystem, type Scene, type System } from "../model/system.ts";
import type { Figure, Rig, RigOptions } from "../rig.ts";

const SEQUENCES = { long: { core: 20_000, executable: 300 }, short: { core: 40, executable: 3 } };
/** The long form ends earlier on a slow machine, after this long for each of the two, with at least so many done. */
const LONG_MS = 40 * 60_000;
const LEAST_SHARE = 0.05;
/** Runs of a failing sequence while it is made smaller. */
const SHRINK_TRIES = 80;
/** Memory as a disk: what is asked here is the order of things, and a sync costs nothing. */
const FAST_DISK = "/dev/shm";

/** G7, F149 to F153: random commands of several clients, kills and restarts, against a reference. */
export const model: Rig = {
  name: "model",
  title:
    "Random sequences of commands, two clients at once, kill -9 and restarts: every answer and every state as a small reference says.",
  async run(options) {
    const { core, executable } = options.isLong ? SEQUENCES.long : SEQUENCES.short;
    return [
      ...(await sequences(options, "core", core, CoreSystem.open)),
      ...(await sequences(options, "executable", executable, DaemonSystem.open)),
    ];
  },
};

type Open = (dir: string, scene: Scene) => Promise<System>;

/** Plays on one product after the other; a new one after each difference. */
class Stage implements AsyncDisposable {
  readonly #gates = new Gates();
  readonly #open: Open;
  #system: System | undefined;
  #count = 0;

  constructor(open: Open) {
    this.#open = open;
  }

  async play(steps: readonly Step[]) {
    const prefix = `q${++this.#count}-`;
    const scene = await this.#scene();
    scene.prefix = prefix;
    const system = this.#system!;
    try {
      const played = await play(system, this.#gates, prefix, steps);
      await system.clear();
      this.#gates.clear();
      return played;
    } catch (error) {
      await this.#drop();
      throw error;
    }
  }

  #current: { scene: Scene; dir: Disposable & { path: string } } | undefined;

  async #scene(): Promise<Scene> {
    if (!this.#current) {
      const dir = existsSync(FAST_DISK) ? tempDir("rig-model", FAST_DISK) : tempDir("rig-model");
      const scene = { base: this.#gates.base, prefix: "" };
      this.#system = await this.#open(dir.path, scene);
      await this.#system.clear();
      this.#current = { scene, dir };
    }
    return this.#current.scene;
  }

  async #drop(): Promise<void> {
    this.#gates.clear();
    await this.#system?.[Symbol.asyncDispose]();
    this.#current?.dir[Symbol.dispose]();
    this.#system = this.#current = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#drop();
    this.#gates[Symbol.dispose]();
  }
}

async function sequences(
  { seed, say }: RigOptions,
  where: string,
  count: number,
  open: Open,
): Promise<Figure[]> {
  await using stage = new Stage(open);
  const sum = { steps: 0, commands: 0, differing: 0, note: "" };
  const deadline = performance.now() + LONG_MS;
  let done = 0;
  for (let index = 0; index < count && performance.now() < deadline; index++) {
    done++;
    const steps = sequenceOf(randomOf(seed + index));
    try {
      const played = await stage.play(steps);
      sum.steps += played.steps;
      sum.commands += played.commands;
    } catch (error) {
      sum.differing++;
      sum.note ||= await story(stage, steps, seed + index, error);
      say(`${where}: sequence ${index + 1} (--seed ${seed + index}): ${error}`);
    }
    if ((index + 1) % 500 === 0) say(`${where}: ${index + 1} of ${count} sequences`);
  }
  return [
    { what: `sequences, ${where}`, value: done, atLeast: Math.ceil(count * LEAST_SHARE) },
    // Most steps find something to do.
    { what: `steps, ${where}`, value: sum.steps, atLeast: done * 4 },
    { what: `commands, ${where}`, value: sum.commands, atLeast: done * 3 },
    {
      what: `sequences unlike the reference, ${where}`,
      value: sum.differing,
      atMost: 0,
      ...(sum.note ? { note: sum.note } : {}),
    },
  ];
}

/** The failing sequence, as small as it gets. */
async function story(stage: Stage, steps: readonly Step[], seed: number, error: unknown): Promise<string> {
  if (!(error instanceof Difference))
    return `--seed ${seed}: ${error instanceof Error ? error.stack : error}`;
  let last = String(error);
  const fails = async (fewer: readonly Step[]): Promise<boolean> => {
    try {
      await stage.play(fewer);
      return false;
    } catch (other) {
      last = String(other);
      return true;
    }
  };
  const smallest = await shrunk(steps, fails, SHRINK_TRIES);
  return `--seed ${seed}, the first sequence; as small as it gets:\n      ${asText(smallest)}\n      ${last}`;
}
