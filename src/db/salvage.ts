import type { Database as Sqlite } from "bun:sqlite";
import type { SystemCalls } from "./system.ts";

/** Parents before children. */
const TABLES = ["meta", "downloads", "files", "receipts", "removed", "settings", "engines"];

/**
 * Copies every row that can still be read from a damaged database into a fresh one; returns how many downloads. What
 * breaks a constraint or cannot be read is left behind, in the copy that was kept.
 */
export function salvage(calls: SystemCalls, damaged: string, db: Sqlite): number {
  let from: Sqlite;
  try {
    from = calls.sqlite(damaged, { readwrite: true, create: false });
  } catch {
    return 0;
  }
  try {
    for (const table of TABLES) copyTable(from, db, table);
  } finally {
    from.close();
  }
  return (db.query("SELECT count(*) AS count FROM downloads").get() as { count: number }).count;
}

function copyTable(from: Sqlite, to: Sqlite, table: string): void {
  const columns = sharedColumns(from, to, table);
  if (columns.length === 0) return;
  const insert = to.prepare(
    `INSERT OR IGNORE INTO ${table} (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`,
  );
  to.run("BEGIN IMMEDIATE");
  try {
    // NOT INDEXED: the table itself is read, whatever has become of its indexes.
    for (const row of from.prepare(`SELECT ${columns.join(", ")} FROM ${table} NOT INDEXED`).iterate())
      insertRow(insert, Object.values(row as Record<string, string | number | null>));
  } catch {
    // The rest of this table cannot be read.
  }
  to.run("COMMIT");
  insert.finalize();
}

/** One that is older lacks what was added since. Generated columns are not in table_info. */
function sharedColumns(from: Sqlite, to: Sqlite, table: string): string[] {
  const named = (db: Sqlite) => db.query<{ name: string }, []>(`PRAGMA table_info(${table})`).all();
  try {
    const there = new Set(named(from).map(({ name }) => name));
    return named(to).flatMap(({ name }) => (there.has(name) ? [`"${name}"`] : []));
  } catch {
    return [];
  }
}

function insertRow(
  insert: { run(...values: (string | number | null)[]): unknown },
  values: (string | number | null)[],
) {
  try {
    insert.run(...values);
  } catch {
    // A row whose values do not hold together.
  }
}
