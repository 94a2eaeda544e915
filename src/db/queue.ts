import type { Database } from "../core/database.ts";
import { type Download, RUNNING } from "../core/download.ts";
import { many, OPEN, one } from "./downloads.ts";
import { place, places } from "./places.ts";
import { DOWNLOAD } from "./rows.ts";
import type { Store } from "./store.ts";

const RETURNING = `RETURNING ${DOWNLOAD.columns}`;
const RUNNING_STATES = RUNNING.map((state) => `'${state}'`).join(", ");

export function queue(store: Store) {
  // Whoever claims or beats in this process is alive; every other owner died with an earlier one.
  const alive = new Set<string>();
  return {
    claim: (owner, now, leaseUntil, only) => {
      alive.add(owner);
      return claim(store, owner, now, leaseUntil, only);
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

/**
 * Longer than the longest pause of a retry policy (a day) and what a server may ask for (an hour): whoever would still
 * wait longer was told to by a clock that has been set back since (F111).
 */
const LONGEST_WAIT_MS = 26 * 3_600_000;

const claimFrom = (rows: string): string => `
  UPDATE downloads SET
    previous_state = state, state = 'downloading', owner = ?, lease_until = ?, not_before = NULL, waiting = NULL, seq = ?,
    started_at = COALESCE(started_at, ?)
  WHERE n = (
    SELECT n FROM downloads d ${rows}
    AND state = 'queued' AND intent IS NULL AND (not_before IS NULL OR not_before <= ? OR not_before > ?) AND NOT (${BEHIND})
    ORDER BY priority DESC, position, n LIMIT 1)
  ${RETURNING}`;

/** One read of an index, in queue order, up to the first row that may run. */
const CLAIM = claimFrom("INDEXED BY downloads_queue WHERE true");
/** The same among a few. */
const CLAIM_ONLY = claimFrom("WHERE id IN (SELECT value FROM json_each(?))");

/** Not synced: a claim that a power cut takes back is a row that waits in the queue, as it should. */
function claim(
  store: Store,
  owner: string,
  now: number,
  leaseUntil: number,
  only: Iterable<string> | undefined,
): Promise<Download | undefined> {
  const never = now + LONGEST_WAIT_MS;
  const next = (): Download | undefined => {
    store.anchor.moved();
    const [sql, ids] = only ? [CLAIM_ONLY, [JSON.stringify([...only])]] : [CLAIM, []];
    return one(store, sql, owner, leaseUntil, store.seq(), now, ...ids, now, never);
  };
  return store.write(next, { sync: false });
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
      store.anchor.moved();
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
