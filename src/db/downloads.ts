import type { SQLQueryBindings } from "bun:sqlite";
import type { Database, DownloadPatch, Guard, KindCount, NewDownload } from "../core/database.ts";
import {
  type Download,
  isFinished,
  isRunning,
  type SourceRef,
  STATES,
  type State,
} from "../core/download.ts";
import { DownloadError } from "../core/errors.ts";
import { isSqliteError } from "./errors.ts";
import { DOWNLOAD, insertInto } from "./rows.ts";
import type { Store } from "./store.ts";

type Row = Record<string, unknown>;

/** As the partial indexes of the schema say it, word for word, so that they are used. */
export const OPEN = "state NOT IN ('completed', 'failed', 'cancelled')";
const SELECT = `SELECT ${DOWNLOAD.columns} FROM downloads`;
const RETURNING = `RETURNING ${DOWNLOAD.columns}`;
/** Tombstones kept, and how many more there may be before the oldest go. */
const TOMBSTONES = 10_000;
const TOMBSTONE_SLACK = 500;

export function downloads(store: Store) {
  let removals = 0;
  return {
    insert: (download) => insert(store, download),
    get: (id) => store.read(() => one(store, `${SELECT} WHERE id = ?`, id)),
    byModelId: (modelId) => store.read(() => byModelId(store, modelId)),
    byEngineId: (engineId) => store.read(() => byEngineId(store, engineId)),
    update: (id, guard, patch) => update(store, id, guard, patch),
    setIntent: (id, states, intent) => setIntent(store, id, states, intent),
    counts: () => store.read(() => counts(store)),
    unfinished: () => store.read(() => unfinished(store)),
    numbered: (modelId) => store.read(() => numbered(store, modelId)),
    remove: (id) => store.write(() => remove(store, id, ++removals)),
    expired: (endedBefore, limit) => store.read(() => expired(store, endedBefore, limit)),
  } satisfies Partial<Database>;
}

/** The row a statement selects or returns. */
export function one(store: Store, sql: string, ...values: SQLQueryBindings[]): Download | undefined {
  const row = store.get<Row>(sql, ...values);
  return row && DOWNLOAD.decode(row);
}

export function many(store: Store, sql: string, ...values: SQLQueryBindings[]): Download[] {
  return store.all<Row>(sql, ...values).map((row) => DOWNLOAD.decode(row));
}

const marks = (values: readonly unknown[]): string => values.map(() => "?").join(", ");

function insert(store: Store, draft: NewDownload): Promise<Download | { conflict: Download }> {
  return store.write(() => {
    const conflict = isFinished(draft.state) ? undefined : taken(store, draft);
    if (conflict) return { conflict };
    const fields = DOWNLOAD.encode({
      ...draft,
      endedAt: isFinished(draft.state) ? (draft.endedAt ?? store.clock.now()) : null,
      position: lastPosition(store) + 1,
      seq: store.seq(),
    });
    fields.push({ column: "search", value: searchText(draft.modelId, draft.source) });
    store.anchor.appended(draft.priority);
    const [sql, values] = insertInto("downloads", fields);
    return one(store, `${sql} ${RETURNING}`, ...values)!;
  });
}

/** Whoever already fetches this source, else is to become this engine, else has this model id, among unfinished ones. */
function taken(store: Store, { source, engine, modelId }: NewDownload): Download | undefined {
  return (
    one(store, `${SELECT} WHERE source_key = ? AND ${OPEN}`, source.key) ??
    (engine ? byEngineId(store, engine.engineId) : undefined) ??
    one(store, `${SELECT} WHERE model_id = ? AND ${OPEN}`, modelId)
  );
}

function byEngineId(store: Store, engineId: string): Download | undefined {
  const sql = `${SELECT} WHERE json_extract(engine, '$.engineId') = ? AND engine IS NOT NULL AND ${OPEN}`;
  return one(store, sql, engineId);
}

/** New rows go behind everything that still has a place, running and paused ones included. */
export function lastPosition(store: Store): number {
  const sql = `SELECT max(position) AS last FROM downloads WHERE ${OPEN}`;
  return store.get<{ last: number | null }>(sql)?.last ?? 0;
}

function searchText(modelId: string, source: SourceRef): string {
  const names = [modelId, source.repo, source.filename, ...(source.files ?? [])];
  return names.filter(Boolean).join("\n").toLowerCase();
}

function byModelId(store: Store, modelId: string): Download | undefined {
  return (
    one(store, `${SELECT} WHERE model_id = ? AND ${OPEN}`, modelId) ??
    one(store, `${SELECT} WHERE model_id = ? ORDER BY n DESC LIMIT 1`, modelId)
  );
}

function update(store: Store, id: string, guard: Guard, patch: DownloadPatch): Promise<Download | undefined> {
  return store.write(() => {
    if (patch.state !== undefined || patch.priority !== undefined || patch.position !== undefined)
      store.anchor.moved();
    const sets = [...assignments(store, id, patch), set("seq = ?", store.seq())];
    const where = [set("id = ?", id)];
    if (guard.states) where.push(set(`state IN (${marks(guard.states)})`, ...guard.states));
    if (guard.owner !== undefined) where.push(set("owner = ?", guard.owner));
    const sql = `UPDATE downloads SET ${sets.map((s) => s.sql).join(", ")} WHERE ${where.map((s) => s.sql).join(" AND ")} ${RETURNING}`;
    try {
      return one(store, sql, ...[...sets, ...where].flatMap((s) => s.values));
    } catch (error) {
      throw asConflict(error, id);
    }
  });
}

interface Fragment {
  sql: string;
  values: SQLQueryBindings[];
}

const set = (sql: string, ...values: SQLQueryBindings[]): Fragment => ({ sql, values });

function assignments(store: Store, id: string, patch: DownloadPatch): Fragment[] {
  const { bytes, total, ...plain } = implied(store, patch);
  const sets = DOWNLOAD.encode(plain).map((f) => set(`${f.column} = ?`, f.value));
  if (bytes !== undefined || total !== undefined) sets.push(...measure(bytes, total));
  if (patch.state !== undefined) {
    const change = "previous_state = CASE WHEN state = ? THEN previous_state ELSE state END";
    sets.push(set(change, patch.state));
  }
  if (patch.modelId !== undefined) {
    const source = one(store, `${SELECT} WHERE id = ?`, id)?.source;
    if (source) sets.push(set("search = ?", searchText(patch.modelId, source)));
  }
  return sets;
}

/** What a new state implies for owner, wish and time of the end, unless the patch says it itself. */
function implied(store: Store, patch: DownloadPatch): DownloadPatch {
  if (patch.state === undefined) return patch;
  const free = isRunning(patch.state) ? {} : { owner: null, leaseUntil: null };
  const ended = isFinished(patch.state)
    ? { intent: null, endedAt: patch.endedAt ?? store.clock.now() }
    : { endedAt: null };
  return { ...patch, ...free, ...ended };
}

/** Shown progress never passes the whole (I3), in whichever order the two are learnt. */
function measure(bytes: number | undefined, total: number | null | undefined): Fragment[] {
  const b = bytes === undefined ? set("bytes") : set("?", Math.round(bytes));
  const t = total === undefined ? set("total") : set("?", total === null ? null : Math.round(total));
  const clamped = `bytes = min(${b.sql}, ifnull(${t.sql}, ${b.sql}))`;
  return [set(clamped, ...b.values, ...t.values, ...b.values), set(`total = ${t.sql}`, ...t.values)];
}

const CLASHES = [
  ["open_engine", "its engine id"],
  ["model_id", "its model id"],
] as const;

/** A row that becomes unfinished again can find its model id, its engine id or its source taken meanwhile. */
function asConflict(error: unknown, id: string): unknown {
  if (!isSqliteError(error) || error.code !== "SQLITE_CONSTRAINT_UNIQUE") return error;
  const what = CLASHES.find(([index]) => error.message.includes(index))?.[1] ?? "the same source";
  const text = `Download ${id} cannot go on: another unfinished download has ${what}. Wait for that one or cancel it.`;
  return new DownloadError("model_id_conflict", text, { cause: error });
}

function setIntent(
  store: Store,
  id: string,
  states: readonly State[],
  intent: Download["intent"],
): Promise<Download | undefined> {
  const sql = `UPDATE downloads SET intent = ?, seq = ? WHERE id = ? AND state IN (${marks(states)}) ${RETURNING}`;
  return store.write(() => one(store, sql, intent, store.seq(), id, ...states));
}

function counts(store: Store): Record<State, number> {
  const all = Object.fromEntries(STATES.map((state) => [state, 0])) as Record<State, number>;
  const sql = "SELECT state, count(*) AS count FROM downloads GROUP BY state";
  for (const row of store.all<{ state: State; count: number }>(sql)) all[row.state] = row.count;
  return all;
}

/** Read from an index alone: it is asked for with each page of the list. */
function unfinished(store: Store): KindCount[] {
  return store.all<KindCount>(
    `SELECT type, model_type AS "modelType", count(*) AS count FROM downloads INDEXED BY downloads_unfinished
      WHERE ${OPEN} GROUP BY type, model_type`,
  );
}

/** A range of an index: behind the hyphen comes the full stop. */
function numbered(store: Store, modelId: string): number {
  const sql = `SELECT count(*) AS count FROM downloads INDEXED BY downloads_open_model
    WHERE model_id > ? AND model_id < ? AND ${OPEN}`;
  return store.get<{ count: number }>(sql, `${modelId}-`, `${modelId}.`)!.count;
}

function remove(store: Store, id: string, removals: number): number | undefined {
  const row = store.get<{ model_id: string }>("DELETE FROM downloads WHERE id = ? RETURNING model_id", id);
  if (!row) return undefined;
  const seq = store.seq();
  store.run("INSERT INTO removed (seq, id, model_id) VALUES (?, ?, ?)", seq, id, row.model_id);
  if (removals % TOMBSTONE_SLACK === 1) forgetTombstones(store);
  return seq;
}

/** Keeps the newest; who asks for older ones is told that there is a gap. */
function forgetTombstones(store: Store): void {
  const sql = `SELECT seq FROM removed ORDER BY seq DESC LIMIT 1 OFFSET ${TOMBSTONES}`;
  const oldest = store.get<{ seq: number }>(sql)?.seq;
  if (oldest === undefined) return;
  store.run("DELETE FROM removed WHERE seq <= ?", oldest);
  store.setMeta("forgotten_seq", String(oldest));
}

function expired(store: Store, endedBefore: number, limit: number): string[] {
  const sql = "SELECT id FROM downloads WHERE ended_at < ? ORDER BY ended_at, n LIMIT ?";
  return store.all<{ id: string }>(sql, endedBefore, limit).map((row) => row.id);
}
