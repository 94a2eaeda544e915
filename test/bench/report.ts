import { readFileSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { median, type Result } from "./measure.ts";
import { type Tools, versionOf } from "./peers.ts";
import { type Goal, MIB, type Outcome, reached } from "./row.ts";

export interface Circumstances {
  size: number;
  runs: number;
  tools: Tools;
  version: string;
}

export interface Section {
  number: number;
  title: string;
  outcome: Outcome;
}

const fixed = (value: number | undefined, digits: number): string =>
  value === undefined || Number.isNaN(value) ? "" : value.toFixed(digits);

/** One row as Markdown: a table of who was measured, the promises, and under what circumstances. */
export function sectionOf({ number, title, outcome }: Section, circumstances: Circumstances): string {
  const { results, goals, bytes, notes = [] } = outcome;
  return [
    `### Row ${number}: ${title}`,
    "",
    table(
      ["", "seconds (median)", "of", "MB/s", "CPU s", "MiB", "counted"],
      results.map((result) => lineOf(result, bytes)),
    ),
    "",
    table(
      ["promise", "measured", "wanted", ""],
      goals.map((goal) => [goal.text, measuredOf(goal), wantedOf(goal), verdictOf(goal)]),
    ),
    "",
    ...notes.map((note) => `- ${note}`),
    ...(notes.length > 0 ? [""] : []),
    circumstancesOf(circumstances),
  ].join("\n");
}

function lineOf({ name, samples, failure }: Result, bytes: number | undefined): string[] {
  if (failure !== undefined) return [name, `failed: ${failure.replaceAll("|", "/")}`, "", "", "", "", ""];
  const of = (pick: (s: Result["samples"][number]) => number | undefined): number =>
    median(samples.map(pick).filter((v): v is number => v !== undefined));
  const seconds = samples.map((s) => s.seconds);
  const rss = of((s) => s.maxRss);
  return [
    name,
    fixed(median(seconds), 3),
    seconds.map((s) => s.toFixed(2)).join(" "),
    bytes === undefined ? "" : fixed(bytes / 1e6 / median(seconds), 0),
    fixed(
      of((s) => s.cpuSeconds),
      2,
    ),
    fixed(rss / MIB, 0),
    countedOf(samples),
  ];
}

function countedOf(samples: Result["samples"]): string {
  const names = Object.keys(samples[0]?.more ?? {});
  return names
    .map((name) => `${name} ${fixed(median(samples.map((s) => s.more?.[name] ?? Number.NaN)), 1)}`)
    .join(", ");
}

const measuredOf = ({ value, unit }: Goal): string =>
  Number.isNaN(value) ? "not measured" : `${value.toFixed(2)} ${unit}`.trim();

const wantedOf = ({ atLeast, atMost, unit }: Goal): string =>
  `${atLeast === undefined ? `at most ${atMost}` : `at least ${atLeast}`} ${unit}`.trim();

const verdictOf = (goal: Goal): string =>
  ({ true: "reached", false: "MISSED", undefined: "" })[`${reached(goal)}`]!;

function table(head: readonly string[], rows: readonly string[][]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

function circumstancesOf({ size, runs, tools, version }: Circumstances): string {
  const flags = readFileSync("/proc/cpuinfo", "utf8").includes(" sha_ni") ? "with" : "without";
  const machine = `${cpus().length} cores ${flags} SHA instructions, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}`;
  const versions = Object.entries(tools)
    .filter(([name, path]) => path !== undefined && name !== "sha256sum")
    .map(([name, path]) => `${name} ${versionOf(path as string)}`);
  const day = new Date().toISOString().slice(0, 10);
  return `${day}; ${size / MIB} MiB, ${runs} interleaved runs; ${machine}; modelhaul ${version}, Bun ${Bun.version}, ${versions.join(", ")}.`;
}

/** Puts the sections between their markers; rows that were not measured keep what they have. */
export function writeSections(path: string, sections: ReadonlyMap<number, string>): void {
  let text = readFileSync(path, "utf8");
  for (const [number, section] of sections) {
    const [begin, end] = [`<!-- row ${number} -->`, `<!-- end of row ${number} -->`];
    const [from, to] = [text.indexOf(begin), text.indexOf(end)];
    if (from === -1 || to < from) throw new Error(`${path} has no markers for row ${number}`);
    text = `${text.slice(0, from + begin.length)}\n\n${section}\n\n${text.slice(to)}`;
  }
  writeFileSync(path, text);
}
