import { createHash } from "node:crypto";
import { createReadStream, existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { Lines } from "../support/until.ts";

/** SHA-256 of a file on disk, read in pieces. */
export async function sha256File(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  return hash.digest("hex");
}

/** Paths of all files below a folder, relative to it, sorted. */
export function filesBelow(dir: string): string[] {
  if (!existsSync(dir)) return [];
  const entries = readdirSync(dir, { recursive: true, withFileTypes: true });
  return entries
    .filter((it) => !it.isDirectory())
    .map((it) => join(it.parentPath, it.name).slice(dir.length + 1))
    .sort();
}

/** Partial files below a folder. */
export const partials = (dir: string): string[] => filesBelow(dir).filter((it) => it.endsWith(".part"));

/** Seed of this run: from TEST_SEED, else a new one. Printed, so that a failure can be seen again. */
export function seedOfRun(what: string): number {
  const seed = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`${what}: TEST_SEED=${seed}`);
  return seed;
}

/** The hub of `bun run hub` in a process of its own, as a user starts it. */
export async function startHubByHand(...args: string[]): Promise<{ endpoint: string } & AsyncDisposable> {
  const script = join(import.meta.dir, "..", "support", "hub-cli.ts");
  const child = Bun.spawn([process.execPath, script, "--port", "0", "--cdn-port", "0", "--json", ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  const { endpoint } = JSON.parse(await new Lines(child.stdout).waitFor(/^\{/)) as { endpoint: string };
  return {
    endpoint,
    async [Symbol.asyncDispose]() {
      child.kill();
      await child.exited;
    },
  };
}
