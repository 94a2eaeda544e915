import { afterEach } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/core/clock.ts";
import type { Database } from "../../src/core/database.ts";
import { type DatabaseOptions, openDatabase } from "../../src/db/index.ts";
import { recordingLog } from "./rows.ts";

const directories: string[] = [];
const opened: Database[] = [];

/** Closes and removes what a test has opened. Call it in every file: a hook made here would belong to the first only. */
export function cleanUpAfterEach(): void {
  afterEach(async () => {
    for (const db of opened.splice(0)) await db.close();
    for (const dir of directories.splice(0)) rmSync(dir, { recursive: true, force: true });
  });
}

/** A directory that goes with the test. */
export function tempDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "modelhaul-db-"));
  directories.push(dir);
  return dir;
}

/** Opens the real thing; closed with the test. */
export async function open(options: Partial<DatabaseOptions> = {}): Promise<Database> {
  const db = await openDatabase({
    dataDir: options.dataDir ?? tempDir(),
    clock: systemClock,
    log: recordingLog(),
    ...options,
  });
  opened.push(db);
  return db;
}
