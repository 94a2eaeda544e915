import { join } from "node:path";
import { salvage } from "./salvage.ts";
import { connect, DATABASE } from "./sqlite.ts";
import type { SystemCalls } from "./system.ts";

/** What is being saved; worth nothing before it is complete. */
const BUILDING = `${DATABASE}.rebuilding`;
/** Complete and on disk: it takes the damaged one's place. */
const REBUILT = `${DATABASE}.rebuilt`;
/** What SQLite puts beside a database. */
const SIDES = ["-wal", "-shm", ""];

/**
 * Saves what can be read of a damaged database into a new one, and answers how many downloads. The damaged one stays
 * where it is until that is complete, so a crash at any moment costs nothing but the time (F103, I2); `finishRebuild`
 * does the rest. `goOn` is asked now and then, and what it throws ends it. Throws as SQLite does when the new one cannot
 * be written: on a full volume nothing is given up.
 */
export async function rebuild(calls: SystemCalls, dataDir: string, goOn: () => void): Promise<number> {
  const building = join(dataDir, BUILDING);
  discard(calls, building);
  const { db } = connect(calls, dataDir, false, BUILDING);
  let saved: number;
  try {
    saved = await salvage(calls, join(dataDir, DATABASE), db, goOn);
    // All of it in the one file, and that on disk.
    const [result] = db.query("PRAGMA wal_checkpoint(TRUNCATE)").values() as [[number]];
    if (result[0] !== 0) throw new Error("The new database could not be brought to disk.");
  } finally {
    db.close();
  }
  calls.renameSync(building, join(dataDir, REBUILT));
  return saved;
}

/**
 * Puts a complete new database in the place of the damaged one, which is kept with its log; answers where that is now.
 * Undefined when there is nothing to do. A crash between its steps leaves them to the next start.
 */
export function finishRebuild(calls: SystemCalls, dataDir: string): string | undefined {
  const [path, rebuilt] = [join(dataDir, DATABASE), join(dataDir, REBUILT)];
  discard(calls, join(dataDir, BUILDING));
  if (!calls.existsSync(rebuilt)) return undefined;
  // The same name whenever it is finished, so that what belongs together stays so.
  const time = new Date(calls.statSync(rebuilt).mtimeMs).toISOString().replace(/[:.]/g, "-");
  const copy = `${path}.damaged-${time}`;
  for (const side of SIDES) if (calls.existsSync(path + side)) calls.renameSync(path + side, copy + side);
  calls.renameSync(rebuilt, path);
  return copy;
}

function discard(calls: SystemCalls, path: string): void {
  for (const side of SIDES) if (calls.existsSync(path + side)) calls.unlinkSync(path + side);
}
