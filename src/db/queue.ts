import type { Database } from "../core/database.ts";
import { type Download, RUNNING } from "../core/download.ts";
import { many, OPEN, one } from "./downloads.ts";
import { DOWNLOAD } from "./rows.ts";
import type { Store } from "./store.ts";

const RETURNING = `RETURNING ${DOWNLOAD.columns}`;
const RUNNING_STATES = RUNNING.map((state) => `'${state}'`).join(", ");

export function queue(store: Store) {
  // Whoever claims or beats in this process is alive; every other owner died with an earlier one.
  const alive = new Set<string>();
  return {
    claim: (owner, now, leaseUntil) => {
      alive.add(owner);
      return claim(store, owner, now, leaseUntil);
    },
    heartbeat: (owner, leaseUntil) => {
      alive.add(owner);
      return heartbeat(store, owner, leaseUntil);
    },
    recover: (now) => recover(store, now, alive),
    nextDue: (now) => store.read(() => nextDue(store, now)),
    place: (id) => store.read(() => place(store, id)),
    places: (ids) => store.read(() => places(store, ids)),
  } satisfies Partial<Database>;
}

/** Its content is being fetched, or about to be, by another one: whoever waits for that finds it there afterwards. */
const BEHIND = `json_extract(d.source, '$.behind') IS NOT NULL AND EXISTS (
      SELECT 1 FROM downloads o WHERE o.source_key = json_extract(d.source, '$.behind')
        AND o.${OPEN} AND o.state <> 'paused')`;

/** One read of an index, in queue order, up to the first row that may run. */
const CLAIM = `
  UPDATE downloads SET
    previous_state = state, state = 'downloading', owner = ?, lease_until = ?, not_before = NULL, waiting = NULL, seq = ?,
    started_at = COALESCE(started_at, ?)
  WHERE n = (
    SELECT n FROM downloads d INDEXED BY downloads_queue
    WHERE state = 'queued' AND intent IS NULL AND (not_before IS NULL OR not_before <= ?) AND NOT (${BEHIND})
    ORDER BY priority DESC, position, n LIMIT 1)
  ${RETURNING}`;

/** Not synced: a claim that a power cut takes back is a row that waits in the queue, as it should. */
function claim(store: Store, owner: string, now: number, leaseUntil: number): Promise<Download | undefined> {
  return store.write(() => one(store, CLAIM, owner, leaseUntil, store.seq(), now, now), { sync: false });
}

async function heartbeat(store: Store, owner: string, leaseUntil: number): Promise<void> {
  const sql = `UPDATE downloads SET lease_until = ? WHERE state IN (${RUNNING_STATES}) AND owner = ?`;
  await store.write(() => store.run(sql, leaseUntil, owner), { sync: false });
}

/**
 * Gives back what nobody alive leads, and names the rows whose wish (pause, cancel) nobody has honoured yet: a
 * process that died in between left them to us (I2).
 */
async function recover(store: Store, now: number, alive: ReadonlySet<string>): Promise<Download[]> {
  const orphans = `SELECT id FROM downloads WHERE state IN (${RUNNING_STATES}) AND
    (lease_until < ? OR owner NOT IN (SELECT value FROM json_each(?)))`;
  const values = [now, JSON.stringify([...alive])];
  const count = await store.read(() => store.all(orphans, ...values).length);
  return store.write(
    () => {
      const ids = store.all<{ id: string }>(orphans, ...values).slice(0, count);
      const free = `UPDATE downloads SET previous_state = state, state = 'queued', owner = NULL, lease_until = NULL, seq = ?
        WHERE id = ? ${RETURNING}`;
      const freed = ids.map(({ id }) => one(store, free, store.seq(), id)!);
      const known = new Set(freed.map((row) => row.id));
      const wished = many(
        store,
        `SELECT ${DOWNLOAD.columns} FROM downloads INDEXED BY downloads_intent
          WHERE intent IS NOT NULL AND owner IS NULL AND ${OPEN} ORDER BY n`,
      );
      return [...freed, ...wished.filter((row) => !known.has(row.id))];
    },
    { seqs: count + 1 },
  );
}

function nextDue(store: Store, now: number): number | undefined {
  const sql = `SELECT min(not_before) AS due FROM downloads INDEXED BY downloads_due
    WHERE state = 'queued' AND not_before IS NOT NULL AND not_before > ?`;
  return store.get<{ due: number | null }>(sql, now)?.due ?? undefined;
}

interface Spot {
  id: string;
  priority: number;
  position: number;
  n: number;
}

const SPOT = "SELECT id, priority, position, n FROM downloads WHERE state = 'queued'";
const COUNT = "SELECT count(*) FROM downloads INDEXED BY downloads_queue WHERE state = 'queued'";

function place(store: Store, id: string): number | undefined {
  const spot = store.get<Spot>(`${SPOT} AND id = ?`, id);
  return spot && ahead(store, spot) + 1;
}

/** How many come before it. */
function ahead(store: Store, { priority, position, n }: Spot): number {
  const sql = `SELECT (${COUNT} AND priority > ?) + (${COUNT} AND priority = ? AND (position, n) < (?, ?)) AS ahead`;
  return store.get<{ ahead: number }>(sql, priority, priority, position, n)!.ahead;
}

/**
 * Along the queue from one to the next: what lies between two of them is counted once, and what lies behind the last
 * not at all. The rows of a page stand close together, so that a long queue costs little.
 */
function places(store: Store, ids: readonly string[]): Map<string, number> {
  if (ids.length === 0) return new Map();
  const sql = `${SPOT} AND id IN (SELECT value FROM json_each(?)) ORDER BY priority DESC, position, n`;
  const spots = store.all<Spot>(sql, JSON.stringify(ids));
  const found = new Map<string, number>();
  let before: Spot | undefined;
  let place = 0;
  for (const spot of spots) {
    place += before ? steps(store, before, spot) : ahead(store, spot) + 1;
    found.set(spot.id, place);
    before = spot;
  }
  return found;
}

/** Places from one to a later one. */
function steps(store: Store, from: Spot, to: Spot): number {
  if (from.priority === to.priority) {
    const sql = `SELECT (${COUNT} AND priority = ? AND (position, n) > (?, ?) AND (position, n) <= (?, ?)) AS steps`;
    return store.get<{ steps: number }>(sql, from.priority, from.position, from.n, to.position, to.n)!.steps;
  }
  const sql = `SELECT (${COUNT} AND priority = ? AND (position, n) > (?, ?)) + (${COUNT} AND priority < ? AND priority > ?)
    + (${COUNT} AND priority = ? AND (position, n) <= (?, ?)) AS steps`;
  const values = [from.priority, from.position, from.n, from.priority, to.priority];
  return store.get<{ steps: number }>(sql, ...values, to.priority, to.position, to.n)!.steps;
}
