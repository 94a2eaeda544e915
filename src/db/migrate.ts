import type { Database as Sqlite } from "bun:sqlite";
import { DownloadError } from "../core/errors.ts";
import schema from "./schema.sql" with { type: "text" };
import step2 from "./step-2.sql" with { type: "text" };
import step5 from "./step-5.sql" with { type: "text" };

/** Which runtime has an engine: the default may be another one at the next start. */
const ENGINE_RUNTIME = "ALTER TABLE engines ADD COLUMN runtime TEXT NOT NULL DEFAULT 'register'";

/** For the counts that stand above each page of the list. */
const UNFINISHED_KINDS = `CREATE INDEX downloads_unfinished ON downloads (type, model_type)
  WHERE state NOT IN ('completed', 'failed', 'cancelled')`;

/** What reading a finished file again has found. */
const FILE_CHECKED =
  "ALTER TABLE files ADD COLUMN checked TEXT CHECK (checked IS NULL OR json_extract(checked, '$.at') IS NOT NULL)";

/** How the partial file was left, so that a change by somebody else is noticed. */
const FILE_PARTIAL =
  "ALTER TABLE files ADD COLUMN partial TEXT CHECK (partial IS NULL OR json_extract(partial, '$.size') IS NOT NULL)";

type Step = string | ((db: Sqlite) => void);

/** Schema versions, oldest first; `user_version` is how many of them a database has been through. Only ever append. */
export const STEPS: readonly Step[] = [
  schema,
  step2,
  ollamaLayout,
  ENGINE_RUNTIME,
  step5,
  UNFINISHED_KINDS,
  FILE_CHECKED,
  FILE_PARTIAL,
];

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
  const enforced = (db.query("PRAGMA foreign_keys").get() as { foreign_keys: number }).foreign_keys;
  if (versionOf(db) === steps.length) return;
  // A table that is made anew is dropped for a moment; what refers to it must not be dropped with it.
  db.run("PRAGMA foreign_keys = OFF");
  try {
    for (let version = versionOf(db); version < steps.length; version++)
      step(db, steps[version]!, version + 1);
  } finally {
    db.run(`PRAGMA foreign_keys = ${enforced}`);
  }
}

function step(db: Sqlite, change: Step, version: number): void {
  db.run("BEGIN IMMEDIATE");
  try {
    if (typeof change === "string") db.run(change);
    else change(db);
    db.run(`PRAGMA user_version = ${version}`);
    db.run("COMMIT");
  } catch (error) {
    if (db.inTransaction) db.run("ROLLBACK");
    throw error;
  }
}

/** Files may lie in an Ollama models directory. */
function ollamaLayout(db: Sqlite): void {
  rebuild(db, "downloads", (sql) => sql.replace("'hf-cache')", "'hf-cache', 'ollama')"));
}

/** Makes a table anew with changed constraints, the only way there is (sqlite.org/lang_altertable.html §7). */
function rebuild(db: Sqlite, table: string, change: (sql: string) => string): void {
  const parts = db
    .query<{ type: string; sql: string }, [string]>(
      "SELECT type, sql FROM sqlite_schema WHERE tbl_name = ? AND sql IS NOT NULL",
    )
    .all(table);
  const old = parts.find(({ type }) => type === "table")!.sql;
  const columns = db
    .query<{ name: string }, []>(`SELECT name FROM pragma_table_xinfo('${table}') WHERE hidden = 0`)
    .all()
    .map(({ name }) => `"${name}"`)
    .join(", ");
  db.run(change(old).replace(`CREATE TABLE ${table}`, `CREATE TABLE ${table}_new`));
  db.run(`INSERT INTO ${table}_new (${columns}) SELECT ${columns} FROM ${table}`);
  db.run(`DROP TABLE ${table}`);
  db.run(`ALTER TABLE ${table}_new RENAME TO ${table}`);
  for (const { type, sql } of parts) if (type !== "table") db.run(sql);
}
