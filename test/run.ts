/**
 * `bun run test`: every test; what measures time (`*.alone.test.ts`) runs after the others, with the machine to itself.
 * `bun run test WORD…`: the files whose path contains one of the words.
 */
import { availableParallelism } from "node:os";

const ALONE = ".alone.test.ts";
/** More browsers and servers at once than this get in each other's way. */
const MOST_WORKERS = 4;
const TIMEOUT_MS = 30_000;

/** In CI a test gets a second try, and says so: "(attempt 2)". `.ci/run` lists those, for each is to be looked into. */
const RETRY = process.env.CI ? ["--retry=1"] : [];

async function run(...args: string[]): Promise<number> {
  const command = [
    process.execPath,
    "test",
    "--no-orphans",
    "--timeout",
    String(TIMEOUT_MS),
    ...RETRY,
    ...args,
  ];
  return Bun.spawn(command, { stdio: ["inherit", "inherit", "inherit"] }).exited;
}

async function all(): Promise<number[]> {
  const workers = Math.min(MOST_WORKERS, availableParallelism());
  const together = await run(`--parallel=${workers}`, "--path-ignore-patterns", `**/*${ALONE}`);
  return [together, await run(ALONE)];
}

const words = process.argv.slice(2);
const codes = words.length > 0 ? [await run(...words)] : await all();
process.exitCode = codes.find((code) => code !== 0) ?? 0;
