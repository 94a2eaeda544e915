import { join } from "node:path";
import { DownloadError } from "../core/errors.ts";
import type { Clock } from "../core/ports.ts";
import { isBusy, isCorrupt, toDatabaseError } from "./errors.ts";
import type { SystemCalls } from "./system.ts";

/** An earlier process may be on its way out; one that stays is reported within a second (F109). */
const PATIENCE_MS = 500;
const STEP_MS = 50;

export interface Lock {
  release(): void;
}

/** Makes the data directory, 0700 when it is ours alone to shape: new or empty (F119). Throws `read_only`, `io`. */
export function prepareDirectory(calls: SystemCalls, dataDir: string): void {
  try {
    calls.mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    if (calls.readdirSync(dataDir).length === 0) calls.chmodSync(dataDir, 0o700);
  } catch (error) {
    throw toDatabaseError(error, dataDir);
  }
}

/**
 * Makes an owner-only file, so that what SQLite puts beside it inherits the mode. Never opens an existing one:
 * closing any descriptor of a file drops the POSIX locks this process holds on it.
 */
export function ensureFile(calls: SystemCalls, path: string): void {
  if (calls.existsSync(path)) {
    calls.chmodSync(path, 0o600);
    return;
  }
  try {
    calls.closeSync(calls.openSync(path, "wx", 0o600));
  } catch (error) {
    // Another start has made it just now: who holds it is for the lock to say (F109).
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
}

/**
 * Takes the data directory for this process: an exclusive transaction on `lock.db`, which the kernel ends with the
 * process, however it dies (F109). Throws `locked` when another process has it.
 */
export async function lockDirectory(calls: SystemCalls, dataDir: string, clock: Clock): Promise<Lock> {
  const deadline = clock.monotonic() + PATIENCE_MS;
  const path = join(dataDir, "lock.db");
  for (;;) {
    try {
      ensureFile(calls, path);
      return holdLock(calls, path);
    } catch (error) {
      if (isCorrupt(error) && empty(calls, path)) continue;
      if (!isBusy(error)) throw toDatabaseError(error, dataDir);
      if (clock.monotonic() >= deadline)
        throw new DownloadError(
          "locked",
          `The data directory ${dataDir} is in use by another modelhaul process. Stop that one, or choose another with --data-dir.`,
          { cause: error },
        );
    }
    await clock.sleep(STEP_MS);
  }
}

/**
 * A lock file holds nothing; what somebody else has put there is in the way of the lock alone (F101, I5). Only who can
 * read it sees that, and a holder lets nobody: so nobody holds it. False when it was empty.
 */
function empty(calls: SystemCalls, path: string): boolean {
  const isFull = calls.statSync(path).size > 0;
  if (isFull) calls.truncateSync(path, 0);
  return isFull;
}

function holdLock(calls: SystemCalls, path: string): Lock {
  const db = calls.sqlite(path, { readwrite: true, create: true });
  try {
    db.run("PRAGMA busy_timeout = 0");
    // Nothing is ever written, so no journal needs to lie beside it.
    db.run("PRAGMA journal_mode = MEMORY");
    db.run("BEGIN EXCLUSIVE");
  } catch (error) {
    db.close();
    throw error;
  }
  return { release: () => db.close() };
}
