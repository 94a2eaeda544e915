import { readFileSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import { type Figure, holds, type Rig } from "./rig.ts";

const README = join(import.meta.dir, "README.md");

export interface Circumstances {
  seed: number;
  rounds: number | undefined;
  isLong: boolean;
  seconds: number;
}

/** The arguments that make the run what it is, beside its seed. */
export const formOf = ({ isLong, rounds }: Pick<Circumstances, "isLong" | "rounds">): string =>
  `${isLong ? " --long" : ""}${rounds === undefined ? "" : ` --rounds ${rounds}`}`;

/** The figures of one run as Markdown. */
export function sectionOf({ name, title }: Rig, figures: readonly Figure[], run: Circumstances): string {
  const machine = `${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}`;
  return [
    `### ${name}`,
    "",
    title,
    "",
    "| figure | measured | wanted | |",
    "| --- | --- | --- | --- |",
    ...figures.map(
      (figure) => `| ${[figure.what, measuredOf(figure), wantedOf(figure), verdictOf(figure)].join(" | ")} |`,
    ),
    "",
    ...figures.flatMap(({ what, note }) => (note === undefined ? [] : [`- ${what}: ${note}`])),
    ...(figures.some(({ note }) => note !== undefined) ? [""] : []),
    `${new Date().toISOString().slice(0, 10)}; --seed ${run.seed}${formOf(run)}, ${run.seconds.toFixed(0)} s; ${machine}; Bun ${Bun.version}.`,
  ].join("\n");
}

const measuredOf = ({ value, unit = "" }: Figure): string =>
  `${Number.isInteger(value) ? value : value.toFixed(2)} ${unit}`.trim();

function wantedOf({ atLeast, atMost, unit = "" }: Figure): string {
  const bounds = [
    ...(atLeast === undefined ? [] : [`at least ${atLeast}`]),
    ...(atMost === undefined ? [] : [`at most ${atMost}`]),
  ];
  return bounds.length === 0 ? "" : `${bounds.join(", ")} ${unit}`.trim();
}

const verdictOf = (figure: Figure): string => {
  if (figure.atLeast === undefined && figure.atMost === undefined) return "";
  return holds(figure) ? "reached" : "MISSED";
};

/** Puts a section between its markers; one that was not measured keeps what it has. */
export function writeSection(name: string, section: string): void {
  const text = readFileSync(README, "utf8");
  const [begin, end] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`];
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from === -1 || to < from) throw new Error(`${README} has no markers for ${name}`);
  writeFileSync(README, `${text.slice(0, from + begin.length)}\n\n${section}\n\n${text.slice(to)}`);
}
