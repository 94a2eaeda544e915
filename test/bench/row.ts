import type { Result } from "./measure.ts";
import type { Tools } from "./peers.ts";

export const MIB = 1 << 20;

/** What every row is given. */
export interface Bench {
  /** Bytes of the biggest file; the rows take parts of it. */
  size: number;
  runs: number;
  /** Folder for everything, on the volume to be measured. */
  dir: string;
  /** The executable under test. */
  executable: string;
  tools: Tools;
  say(line: string): void;
}

/** One promise of DESIGN §7. A value that is no number was not measured. */
export interface Goal {
  text: string;
  value: number;
  unit: string;
  atLeast?: number;
  atMost?: number;
}

export interface Outcome {
  results: Result[];
  goals: Goal[];
  /** Bytes moved by each contender, for the MB/s column. */
  bytes?: number;
  notes?: string[];
}

export interface Row {
  /** What is measured under each number of DESIGN §7. */
  titles: Readonly<Record<number, string>>;
  /** Tools without which the row cannot be measured at all. */
  needs?: readonly (keyof Tools)[];
  run(bench: Bench, wanted: ReadonlySet<number>): Promise<Map<number, Outcome>>;
}

export const numbersOf = (row: Row): number[] => Object.keys(row.titles).map(Number);

/** Whether the goal was reached; undefined when there is nothing to judge. */
export function reached({ value, atLeast, atMost }: Goal): boolean | undefined {
  if (Number.isNaN(value)) return undefined;
  if (atLeast !== undefined && value < atLeast) return false;
  return atMost === undefined || value <= atMost;
}
