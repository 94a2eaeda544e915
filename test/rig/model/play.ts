import type { Gates } from "./gates.ts";
import {
  type Answer,
  apply,
  arrive,
  type Command,
  end,
  find,
  START,
  seen,
  seenOf,
  settle,
  together,
  type World,
} from "./reference.ts";
import type { Step } from "./steps.ts";
import type { System } from "./system.ts";

/** How long the product may take to come to rest after a step. */
const REST_MS = 10_000;
/** Worlds that look the same but may go on differently; more than these are never needed. */
const MOST_WORLDS = 64;

/** One way in which a step may go. */
interface Possible {
  world: World;
  answers: Answer[];
}

/** Steps done; the rest had nothing to do. */
export interface Played {
  steps: number;
  commands: number;
}

export class Difference extends Error {
  override readonly name = "Difference";
}

/** Plays a sequence on an empty product. Rejects with `Difference` when it does what the reference does not. */
export async function play(
  system: System,
  gates: Gates,
  prefix: string,
  steps: readonly Step[],
): Promise<Played> {
  const played: Played = { steps: 0, commands: 0 };
  // Files that have arrived: what is on disk already is another story, told by tests of its own.
  const arrived = new Set<number>();
  let worlds: readonly World[] = [START];
  for (const [index, step] of steps.entries()) {
    if (isIdle(worlds, arrived, step)) continue;
    const wanted = worlds.flatMap((world) => possibilities(world, step));
    const answers = await perform(system, gates, prefix, step);
    const fitting = wanted.filter((one) => answers === undefined || sameAnswers(one.answers, answers));
    const where = `step ${index + 1}, ${JSON.stringify(step)}`;
    if (fitting.length === 0) {
      const all = [...new Set(wanted.map((one) => one.answers.join(", ")))];
      throw new Difference(`${where}: it answered ${answers?.join(", ")}, the reference ${all.join(" or ")}`);
    }
    const look = await rest(system, new Set(fitting.map(({ world }) => seenOf(world))), where);
    worlds = distinct(fitting.map(({ world }) => world).filter((world) => seenOf(world) === look));
    if (step.kind === "break") gates.shut(fileOf(prefix, step.source));
    if (step.kind === "finish") arrived.add(step.source);
    played.steps++;
    played.commands += step.kind === "two" ? 2 : step.kind === "one" || step.kind === "killed" ? 1 : 0;
  }
  return played;
}

const fileOf = (prefix: string, source: number): string => `${prefix}s${source}.bin`;

const commandsOf = (step: Step): readonly Command[] => {
  if (step.kind === "two") return step.commands;
  return step.kind === "one" || step.kind === "killed" ? [step.command] : [];
};

/** Whether a step has nothing to do here, or leads where the reference does not follow. */
function isIdle(worlds: readonly World[], arrived: ReadonlySet<number>, step: Step): boolean {
  if (step.kind === "finish" || step.kind === "break")
    return worlds.some((world) => arrive(world, step.source, "failed") === world);
  const fetchesAgain = (command: Command): boolean => {
    if (command.do === "add") return arrived.has(command.source);
    if (command.do !== "retry") return false;
    return worlds.some((world) => arrived.has(find(world, command.name)?.source ?? -1));
  };
  return commandsOf(step).some(fetchesAgain);
}

function possibilities(world: World, step: Step): Possible[] {
  switch (step.kind) {
    case "one": {
      const outcome = apply(world, step.command);
      return [{ world: settle(outcome.world), answers: [outcome.answer] }];
    }
    case "two":
      return together(world, ...step.commands);
    case "finish":
      return [{ world: settle(arrive(world, step.source, "completed")), answers: [] }];
    case "break":
      return [{ world: settle(arrive(world, step.source, "failed")), answers: [] }];
    case "killed":
      return [world, apply(world, step.command).world].map((left) => ({
        world: settle(end(left)),
        answers: [],
      }));
    default:
      return [{ world: settle(end(world)), answers: [] }];
  }
}

/** Answers of the commands; undefined when nobody was left to answer. */
async function perform(
  system: System,
  gates: Gates,
  prefix: string,
  step: Step,
): Promise<Answer[] | undefined> {
  switch (step.kind) {
    case "one":
      return [await system.act(step.command)];
    case "two":
      return Promise.all(step.commands.map((command) => system.act(command)));
    case "finish":
    case "break":
      gates.decide(fileOf(prefix, step.source), step.kind === "finish" ? "serve" : "missing");
      return undefined;
    case "restart":
      await system.restart();
      return undefined;
    case "kill":
      await system.kill();
      return undefined;
    case "killed": {
      const unanswered = system.act(step.command).catch(() => "");
      await Bun.sleep(step.afterMs);
      await system.kill();
      await unanswered;
      return undefined;
    }
  }
}

const sameAnswers = (a: readonly Answer[], b: readonly Answer[]): boolean =>
  a.every((answer, index) => answer === b[index]);

/** Waits until the product looks like one of these. */
async function rest(system: System, wanted: ReadonlySet<string>, where: string): Promise<string> {
  const deadline = performance.now() + REST_MS;
  for (;;) {
    const { items, order, settings } = await system.view();
    const look = seen(items, order, settings);
    if (wanted.has(look)) return look;
    if (performance.now() > deadline)
      throw new Difference(
        `${where}: it is\n        ${look}\n      the reference\n        ${[...wanted].join("\n        ")}`,
      );
    await system.changed();
  }
}

function distinct(worlds: readonly World[]): World[] {
  const byText = new Map(worlds.map((world) => [JSON.stringify(world), world]));
  return [...byText.values()].slice(0, MOST_WORLDS);
}
