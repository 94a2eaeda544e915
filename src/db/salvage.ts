import type { Database as Sqlite } from "bun:sqlite";
import { isSqliteError } from "./errors.ts";
import type { SystemCalls } from "./system.ts";

/** Parents before children. */
const TABLES = ["meta", "downloads", "files", "receipts", "removed", "settings", "engines"];
/** So many rows at a time, between which others get their turn: a signal among them. */
const ROWS_AT_ONCE = 500;

type Value = string | number | null;

/**
 * Copies every row that can still be read from a damaged database into a fresh one; returns how many downloads. What
 * breaks a constraint or cannot be read is left behind, in the damaged one. `goOn` is asked now and then; what it throws
 * ends it. Throws as SQLite does when the fresh one cannot be written.
 */
export async function salvage(
  calls: SystemCalls,
  damaged: string,
  db: Sqlite,
  goOn: () => void,
): Promise<number> {
  let from: Sqlite;
  try {
    from = calls.sqlite(damaged, { readwrite: true, create: false });
  } catch {
    return 0;
  }
  try {
    for (const table of TABLES) {
      goOn();
      await copyTable(from, db, table, goOn);
    }
  } finally {
    from.close();
  }
  return (db.query("SELECT count(*) AS count FROM downloads").get() as { count: number }).count;
}

async function copyTable(from: Sqlite, to: Sqlite, table: string, goOn: () => void): Promise<void> {
  const columns = columnsOf(from, to, table).map((name) => `"${name}"`);
  const insert = to.prepare(
    `INSERT OR IGNORE INTO ${table} (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`,
  );
  try {
    to.run("BEGIN IMMEDIATE");
    let count = 0;
    // NOT INDEXED: the table itself is read, whatever has become of its indexes.
    for (const row of readable(from, `SELECT ${columns.join(", ")} FROM ${table} NOT INDEXED`)) {
      insertRow(insert, row);
      if (++count % ROWS_AT_ONCE > 0) continue;
      await new Promise<void>((resolve) => setImmediate(resolve));
      goOn();
    }
    to.run("COMMIT");
  } finally {
    insert.finalize();
  }
}

/** Those that both have: an earlier version may have written the damaged one. Generated columns are not in table_info. */
function columnsOf(from: Sqlite, to: Sqlite, table: string): string[] {
  const names = (db: Sqlite): string[] =>
    (db.query(`PRAGMA table_info(${table})`).all() as { name: string }[]).map(({ name }) => name);
  const wanted = names(to);
  try {
    const there = new Set(names(from));
    return there.size === 0 ? wanted : wanted.filter((name) => there.has(name));
  } catch {
    return wanted;
  }
}

/** Rows as far as they can be read. */
function* readable(from: Sqlite, query: string): Generator<Value[]> {
  let statement: ReturnType<Sqlite["prepare"]> | undefined;
  try {
    statement = from.prepare(query);
    const rows = statement.iterate() as Iterable<Record<string, Value>>;
    for (const row of rows) yield Object.values(row);
  } catch {
    // The rest of this table cannot be read.
  } finally {
    statement?.finalize();
  }
}

/** A row whose values do not hold together is left out; a database that cannot be written is not passed over. */
function insertRow(insert: { run(...values: Value[]): unknown }, values: Value[]): void {
  try {
    insert.run(...values);
  } catch (error) {
    if (!isSqliteError(error) || !/^SQLITE_(CONSTRAINT|MISMATCH|TOOBIG|ERROR)/.test(error.code)) throw error;
  }
}
