import type { Database as Sqlite } from "bun:sqlite";
import { DownloadError } from "../core/errors.ts";
import schema from "./schema.sql" with { type: "text" };

/** Schema versions, oldest first; `user_version` is how many of them a database has been through. Only ever append. */
export const STEPS: readonly string[] = [schema];

export function versionOf(db: Sqlite): number {
  return (db.query("PRAGMA user_version").get() as { user_version: number }).user_version;
}

/** Refuses a database of a newer modelhaul before anything is written to it (F107). */
export function refuseNewer(version: number, dataDir: string, steps = STEPS): void {
  if (version <= steps.length) return;
  throw new DownloadError(
    "internal",
    `The database in ${dataDir} was written by a newer modelhaul (schema ${version}, this one knows ${steps.length}). ` +
      "Use that version, or another --data-dir. Nothing has been changed.",
  );
}

/** Brings the schema up to date, each step and its number in one transaction: killed anywhere, it can be rerun (F108). */
export function migrate(db: Sqlite, steps = STEPS): void {
  for (let version = versionOf(db); version < steps.length; version++) {
    db.run("BEGIN IMMEDIATE");
    try {
      db.run(steps[version]!);
      db.run(`PRAGMA user_version = ${version + 1}`);
      db.run("COMMIT");
    } catch (error) {
      if (db.inTransaction) db.run("ROLLBACK");
      throw error;
    }
  }
}
