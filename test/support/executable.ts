import { Database } from "bun:sqlite";
import { copyFileSync, linkSync, mkdirSync, readdirSync, rmSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { Lines } from "./until.ts";

const ROOT = join(import.meta.dir, "..", "..");
const DIST = join(ROOT, "dist");
const BUILT = join(DIST, "modelhaul");
/** What ends up in the executable, or decides how it is made. */
const INGREDIENTS = ["src/**/*", "web/**/*", "build.ts", "package.json", "bun.lock", "README.md"];
const LOCK_EVERY_MS = 100;

let made: Promise<string> | undefined;

/**
 * Path of the executable, built when it is missing or older than what it is made of: once per test run, whatever the
 * number of files and of runs beside each other. The path is a name of its own, so that a build by somebody else
 * does not change what is being tested.
 */
export function executable(): Promise<string> {
  made ??= make();
  return made;
}

async function make(): Promise<string> {
  mkdirSync(DIST, { recursive: true });
  const lock = await lockBuild();
  try {
    dropDeadPins();
    if (!isFresh()) await build();
    return pin();
  } finally {
    lock.close();
  }
}

/** Dies with the process that holds it, however that ends. */
async function lockBuild(): Promise<Database> {
  const lock = new Database(join(DIST, ".build.lock"));
  lock.run("PRAGMA busy_timeout = 0");
  for (;;) {
    try {
      lock.run("BEGIN EXCLUSIVE");
      return lock;
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "SQLITE_BUSY")) throw error;
      await Bun.sleep(LOCK_EVERY_MS);
    }
  }
}

function isFresh(): boolean {
  const built = modifiedAt(BUILT);
  const newest = INGREDIENTS.flatMap((it) => [...new Bun.Glob(it).scanSync(ROOT)]).map((it) =>
    modifiedAt(join(ROOT, it)),
  );
  return built > Math.max(...newest);
}

const modifiedAt = (path: string): number => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

async function build(): Promise<void> {
  const begun = new Date();
  const child = Bun.spawn([process.execPath, "build.ts"], { cwd: ROOT, stdout: "pipe", stderr: "pipe" });
  const output = [new Lines(child.stdout), new Lines(child.stderr)];
  const [code] = await Promise.all([child.exited, ...output.map((it) => it.closed)]);
  if (code !== 0 || modifiedAt(BUILT) === 0)
    throw new Error(`the executable could not be built:\n${output.flatMap((it) => it.all).join("\n")}`);
  // What was changed while it was being made may be missing in it.
  utimesSync(BUILT, begun, begun);
}

/** Of earlier runs, which had no chance to clean up: `bun test` ends without an exit event. */
function dropDeadPins(): void {
  for (const name of readdirSync(DIST)) {
    const pid = /^\.run-(\d+)$/.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) rmSync(join(DIST, name), { force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

function pin(): string {
  const pinned = join(DIST, `.run-${process.pid}`);
  rmSync(pinned, { force: true });
  try {
    linkSync(BUILT, pinned);
  } catch {
    copyFileSync(BUILT, pinned);
  }
  return pinned;
}
