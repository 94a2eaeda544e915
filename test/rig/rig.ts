/** What every program of the rig is, what it is given and what it answers with. */

export interface RigOptions {
  /** Everything random comes from it: the same seed does the same things again. */
  seed: number;
  /** How often, where somebody wants it more or less often than the form says. */
  rounds?: number | undefined;
  /** The figures of the long form; otherwise a form of seconds, for every CI run. */
  isLong: boolean;
  /** The executable under test. */
  executable: string;
  /** Progress, on standard error. */
  say(line: string): void;
}

/** One figure and what it has to be. */
export interface Figure {
  what: string;
  value: number;
  unit?: string;
  atLeast?: number;
  atMost?: number;
  /** More about it, for example the first thing that went wrong and how to see it again. */
  note?: string;
}

export interface Rig {
  /** As on the command line. */
  name: string;
  /** One line: what is done, and what must hold. */
  title: string;
  /** Programs it cannot do without, by the Debian package that has them. */
  needs?: Readonly<Record<string, string>>;
  /** Why it cannot run here although the programs are there (no right to make a namespace); undefined when it can. */
  hindrance?(): string | undefined;
  run(options: RigOptions): Promise<Figure[]>;
}

/** Whether the figure is what it has to be; one without bounds only tells. */
export const holds = ({ value, atLeast, atMost }: Figure): boolean =>
  !Number.isNaN(value) &&
  (atLeast === undefined || value >= atLeast) &&
  (atMost === undefined || value <= atMost);
