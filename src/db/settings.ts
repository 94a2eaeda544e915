import type { Database, Engine } from "../core/database.ts";
import { ENGINE } from "./rows.ts";
import type { Store } from "./store.ts";

type Row = Record<string, unknown>;
const SELECT = `SELECT ${ENGINE.columns} FROM engines`;

export function settings(store: Store) {
  return {
    setting: (key) => store.read(() => setting(store, key)),
    saveSetting: async (key, value) => {
      const sql =
        "INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value";
      await store.write(() => store.run(sql, key, JSON.stringify(value)));
    },
  } satisfies Partial<Database>;
}

function setting(store: Store, key: string): unknown {
  const row = store.get<{ value: string }>("SELECT value FROM settings WHERE key = ?", key);
  return row && JSON.parse(row.value);
}

export function engines(store: Store) {
  return {
    putEngine: (engine) => store.write(() => putEngine(store, engine)),
    engine: (id) => store.read(() => selectEngines(store, `${SELECT} WHERE engine_id = ?`, id)[0]),
    engines: () => store.read(() => selectEngines(store, `${SELECT} ORDER BY created_at, engine_id`)),
    deleteEngine: async (id) =>
      (await store.write(() => store.run("DELETE FROM engines WHERE engine_id = ?", id))) > 0,
  } satisfies Partial<Database>;
}

function putEngine(store: Store, engine: Engine): void {
  const fields = ENGINE.encode(engine);
  const columns = fields.map((f) => f.column);
  const sql = `INSERT INTO engines (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})
    ON CONFLICT (engine_id) DO UPDATE SET ${columns.map((c) => `${c} = excluded.${c}`).join(", ")}`;
  store.run(sql, ...fields.map((f) => f.value));
}

function selectEngines(store: Store, sql: string, ...values: string[]): Engine[] {
  return store.all<Row>(sql, ...values).map((row) => ENGINE.decode(row));
}
