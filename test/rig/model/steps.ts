/** Sequences of steps: how they are made up, how they are said, how a failing one is made smaller. */
import { between, oneOf } from "../../support/random.ts";
import type { Command, Move, Verb } from "./reference.ts";

export type Step =
  | { kind: "one"; command: Command }
  /** Two clients at the same moment. */
  | { kind: "two"; commands: [Command, Command] }
  | { kind: "finish" | "break"; source: number }
  | { kind: "restart" }
  | { kind: "kill" }
  /** The process is killed while this command is on its way. */
  | { kind: "killed"; command: Command; afterMs: number };

const SOURCES = 5;
const NAMES = ["s0.bin", "s1.bin", "s2.bin", "s3.bin", "s4.bin", "m0", "m1", "s1.bin-2"];
const WISHES = ["m0", "m1", "s1.bin"];
const VERBS: readonly Verb[] = ["pause", "resume", "cancel", "retry", "forget"];

function moveOf(next: () => number): Move {
  const kind = between(next, 0, 2);
  if (kind === 0) return { before: oneOf(next, NAMES) };
  return kind === 1 ? { after: oneOf(next, NAMES) } : { position: between(next, 1, 6) };
}

export function commandOf(next: () => number): Command {
  const dice = next();
  const name = oneOf(next, NAMES);
  if (dice < 0.3) {
    const source = between(next, 0, SOURCES - 1);
    return next() < 0.75 ? { do: "add", source } : { do: "add", source, name: oneOf(next, WISHES) };
  }
  if (dice < 0.78) return { do: oneOf(next, VERBS), name };
  if (dice < 0.84) return { do: "priority", name, value: between(next, -2, 2) };
  if (dice < 0.93) return { do: "move", name, to: moveOf(next) };
  if (dice < 0.97) return { do: "slots", value: between(next, 1, 3) };
  return { do: "hold", held: next() < 0.5 };
}

function stepOf(next: () => number): Step {
  const dice = next();
  if (dice < 0.66) return { kind: "one", command: commandOf(next) };
  if (dice < 0.8) return { kind: "two", commands: [commandOf(next), commandOf(next)] };
  if (dice < 0.88) return { kind: next() < 0.6 ? "finish" : "break", source: between(next, 0, SOURCES - 1) };
  if (dice < 0.92) return { kind: "restart" };
  if (dice < 0.96) return { kind: "kill" };
  return { kind: "killed", command: commandOf(next), afterMs: between(next, 0, 3) };
}

/** Some adds, so that there is something to command, then anything. */
export function sequenceOf(next: () => number): Step[] {
  const adds = Array.from({ length: between(next, 1, 4) }, (): Step => {
    return { kind: "one", command: { do: "add", source: between(next, 0, SOURCES - 1) } };
  });
  return [...adds, ...Array.from({ length: between(next, 4, 16) }, () => stepOf(next))];
}

/** Steps that can be left out one after the other while it still fails; at most `tries` runs. */
export async function shrunk(
  steps: readonly Step[],
  fails: (steps: readonly Step[]) => Promise<boolean>,
  tries: number,
): Promise<readonly Step[]> {
  let smallest = steps;
  let left = tries;
  for (let size = Math.ceil(steps.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < smallest.length && left > 0; left--) {
      const fewer = [...smallest.slice(0, at), ...smallest.slice(at + size)];
      if (fewer.length > 0 && (await fails(fewer))) smallest = fewer;
      else at += size;
    }
  }
  return smallest;
}

export const asText = (steps: readonly Step[]): string =>
  steps.map((step) => JSON.stringify(step)).join("\n      ");
