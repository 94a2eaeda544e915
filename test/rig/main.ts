/**
 * `bun run rig [NAME…] [--seed N] [--long] [--rounds N] [--write]`: the programs that try to break the built executable. Without a name: what there
 * is. `all` runs every one. Each prints its seed and its figures; exit code 1 when one is not what it has to be.
 */
import { parseArgs } from "node:util";
import { executable } from "../support/executable.ts";
import { formOf, sectionOf, writeSection } from "./report.ts";
import { holds, type Rig } from "./rig.ts";
import { RIGS } from "./rigs/index.ts";

interface Options {
  names: string[];
  seed: number | undefined;
  rounds: number | undefined;
  isLong: boolean;
  isWritten: boolean;
}

function optionsOf(args: readonly string[]): Options {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      seed: { type: "string" },
      rounds: { type: "string" },
      long: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
    },
  });
  const [seed, rounds] = (["seed", "rounds"] as const).map((name) => {
    const number = values[name] === undefined ? undefined : Number(values[name]);
    if (number !== undefined && !Number.isSafeInteger(number))
      throw new Error(`--${name}: give a whole number`);
    return number;
  });
  return { names: positionals, seed, rounds, isLong: values.long, isWritten: values.write };
}

function chosen(names: readonly string[]): Rig[] {
  if (names.includes("all")) return [...RIGS];
  return names.map((name) => {
    const rig = RIGS.find((each) => each.name === name);
    if (!rig)
      throw new Error(`there is no rig '${name}'; there are ${RIGS.map((each) => each.name).join(", ")}`);
    return rig;
  });
}

/** Why this rig cannot run on this machine. */
function hindranceOf(rig: Rig): string | undefined {
  for (const [program, debianPackage] of Object.entries(rig.needs ?? {}))
    if (Bun.which(program) === null) return `it needs ${program}; install the package '${debianPackage}'`;
  return rig.hindrance?.();
}

/** Whether everything was as it has to be; a rig that cannot run here is skipped, loudly. */
async function run(
  rig: Rig,
  { seed = Math.floor(Math.random() * 2 ** 31), rounds, isLong, isWritten }: Options,
): Promise<boolean> {
  const why = hindranceOf(rig);
  if (why !== undefined) {
    console.log(`SKIPPED: ${rig.name}: ${why}`);
    return true;
  }
  console.log(`\n${rig.name} --seed ${seed}${formOf({ isLong, rounds })}: ${rig.title}`);
  const begun = performance.now();
  const figures = await rig.run({
    seed,
    rounds,
    isLong,
    executable: await executable(),
    say: (line) => console.error(`  ${line}`),
  });
  const seconds = (performance.now() - begun) / 1000;
  const section = sectionOf(rig, figures, { seed, rounds, isLong, seconds });
  console.log(section);
  if (isWritten) writeSection(rig.name, section);
  return figures.every(holds);
}

const options = optionsOf(process.argv.slice(2));
if (options.names.length === 0)
  for (const { name, title } of RIGS) console.log(`${name.padEnd(14)} ${title}`);
let passed = 0;
let failed = 0;
for (const rig of chosen(options.names)) {
  const isWell = await run(rig, options).catch((error) => {
    console.error(error);
    return false;
  });
  if (isWell) passed += 1;
  else failed += 1;
}
if (options.names.length > 0) console.log(`\n ${passed} pass\n ${failed} fail`);
process.exit(failed > 0 ? 1 : 0);
