import { Database as Sqlite } from "bun:sqlite";
import { readFileSync, writeFileSync } from "node:fs";

/** Overwrites a page of an index; unless told the database looks like one that was not closed. */
export function damageIndex(path: string, index: string, { clean = false } = {}): void {
  const raw = new Sqlite(path);
  if (!clean) raw.run("UPDATE meta SET value = '0' WHERE key = 'clean'");
  raw.query("PRAGMA wal_checkpoint(TRUNCATE)").get();
  const { page } = raw
    .query("SELECT max(pageno) AS page FROM dbstat WHERE name = ? AND pagetype = 'leaf'")
    .get(index) as { page: number };
  raw.close();
  const bytes = readFileSync(path);
  bytes.fill(0x5a, (page - 1) * 4096, page * 4096);
  writeFileSync(path, bytes);
}

/** So many finished downloads more, each like the last one there is. */
export function multiply(path: string, count: number): void {
  const raw = new Sqlite(path);
  const names = (raw.query("PRAGMA table_info(downloads)").all() as { name: string }[]).map(
    ({ name }) => name,
  );
  const changed: Record<string, string> = {
    n: "n + i",
    id: "'id-' || i",
    model_id: "'model-' || i",
    seq: "seq + i",
    state: "'completed'",
    ended_at: "created_at",
  };
  const columns = names.map((name) => `"${name}"`).join(", ");
  raw.run(
    `WITH RECURSIVE more (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM more WHERE i < ${count})
     INSERT INTO downloads (${columns})
     SELECT ${names.map((name) => changed[name] ?? `"${name}"`).join(", ")}
     FROM more, (SELECT * FROM downloads ORDER BY n DESC LIMIT 1)`,
  );
  raw.run("UPDATE meta SET value = CAST(value AS INTEGER) + ? WHERE key = 'seq_limit'", [count]);
  raw.close();
}
