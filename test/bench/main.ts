/** `bun run bench [--rows 1,2,9] [--size 2G] [--runs 3] [--dir DIR] [--write]`: rows 1 to 15 of DESIGN §7, measured. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { version } from "../../package.json";
import { executable } from "../support/executable.ts";
import { findTools, missing } from "./peers.ts";
import { type Circumstances, sectionOf, writeSections } from "./report.ts";
import { type Bench, numbersOf, type Row, reached } from "./row.ts";
import { capped } from "./rows/capped.ts";
import { chosen } from "./rows/chosen.ts";
import { faulty } from "./rows/faulty.ts";
import { four } from "./rows/four.ts";
import { kill } from "./rows/kill.ts";
import { latency } from "./rows/latency.ts";
import { memory } from "./rows/memory.ts";
import { plain } from "./rows/plain.ts";
import { readers } from "./rows/readers.ts";
import { small } from "./rows/small.ts";
import { start } from "./rows/start.ts";
import { waiting } from "./rows/waiting.ts";

const ROWS: readonly Row[] = [
  plain,
  four,
  capped,
  faulty,
  chosen,
  small,
  kill,
  memory,
  latency,
  readers,
  waiting,
  start,
];
const README = join(import.meta.dir, "README.md");

interface Options {
  rows: ReadonlySet<number>;
  size: number;
  runs: number;
  dir: string;
  write: boolean;
}

function optionsOf(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rows: { type: "string", default: ROWS.flatMap(numbersOf).join(",") },
      size: { type: "string", default: "2G" },
      runs: { type: "string", default: "3" },
      dir: { type: "string", default: tmpdir() },
      write: { type: "boolean", default: false },
    },
  });
  const known = new Set(ROWS.flatMap(numbersOf));
  const rows = new Set(values.rows.split(",").map(Number));
  for (const row of rows) if (!known.has(row)) throw new Error(`--rows: there is no row ${row} here`);
  const runs = Number(values.runs);
  if (!Number.isInteger(runs) || runs < 1) throw new Error("--runs: give a whole number from 1");
  return { rows, size: sizeOf(values.size), runs, dir: values.dir, write: values.write };
}

function sizeOf(text: string): number {
  const [, number, unit = ""] = /^(\d+)([KMG]?)$/i.exec(text) ?? [];
  const size = Number(number) * 1024 ** ["", "K", "M", "G"].indexOf(unit.toUpperCase());
  if (!(size >= 2 ** 20)) throw new Error("--size: give at least 1M, such as 64M or 2G");
  return size;
}

/** Measures one row; what goes wrong is said, and the next one follows. */
async function measure(row: Row, bench: Bench, circumstances: Circumstances, wanted: ReadonlySet<number>) {
  const sections = new Map<number, string>();
  const lacking = (row.needs ?? []).filter((tool) => bench.tools[tool] === undefined);
  const names = numbersOf(row)
    .filter((number) => wanted.has(number))
    .join(" and ");
  if (lacking.length > 0) {
    console.log(`SKIPPED: row ${names} needs ${lacking.join(", ")}.`);
    return { sections, missed: 0 };
  }
  console.log(`\nMeasuring row ${names} …`);
  let missed = 0;
  for (const [number, outcome] of await row.run(bench, wanted)) {
    const section = sectionOf({ number, title: row.titles[number]!, outcome }, circumstances);
    console.log(`\n${section}\n`);
    sections.set(number, section);
    missed += outcome.goals.filter((goal) => reached(goal) === false).length;
  }
  return { sections, missed };
}

const options = optionsOf(process.argv.slice(2));
const tools = findTools();
for (const line of missing(tools)) console.log(line);
const dir = mkdtempSync(join(options.dir, "modelhaul-bench-"));
const bench: Bench = { ...options, dir, tools, executable: await executable(), say: console.log };
// Whatever ends the program, servers and files go with it.
process.once("exit", () => rmSync(dir, { recursive: true, force: true }));
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(130));

const sections = new Map<number, string>();
let trouble = 0;
for (const row of ROWS.filter((one) => numbersOf(one).some((number) => options.rows.has(number)))) {
  try {
    const measured = await measure(row, bench, { ...options, tools, version }, options.rows);
    trouble += measured.missed;
    for (const [number, section] of measured.sections) sections.set(number, section);
  } catch (error) {
    trouble++;
    console.error(`Row ${numbersOf(row).join(" and ")} could not be measured: ${error}`);
  }
}
if (options.write) writeSections(README, sections);
process.exit(trouble === 0 ? 0 : 1);
