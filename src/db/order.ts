import type { Database } from "../core/database.ts";
import type { Download } from "../core/download.ts";
import { one } from "./downloads.ts";
import { DOWNLOAD } from "./rows.ts";
import type { Store } from "./store.ts";

/** Neighbours closer than this are spread before anything is put between them. */
const MIN_GAP = 1e-6;
/** How many rows on either side take part in the spreading, tried in turn; the last takes all there are. */
const WINDOWS = [64, 1024, Number.MAX_SAFE_INTEGER];

interface Spot {
  n: number;
  id: string;
  priority: number;
  position: number;
}

/** Two neighbours in claim order, with the place to be filled between them. */
interface Gap {
  prev: Spot | undefined;
  next: Spot | undefined;
}

type Destination = Parameters<Database["move"]>[1];

export function order(store: Store) {
  return { move: (id, to) => store.write(() => move(store, id, to)) } satisfies Partial<Database>;
}

/** One row is written, unless its new neighbours have no room between them any more. */
function move(store: Store, id: string, to: Destination): Download | undefined {
  store.anchor.moved();
  const own = queued(store, "id", id);
  const gap = own && findGap(store, id, to);
  if (!own || !gap) return undefined;
  const priority = Math.max(
    Math.min(own.priority, gap.prev?.priority ?? Number.POSITIVE_INFINITY),
    gap.next?.priority ?? Number.NEGATIVE_INFINITY,
  );
  const position = between(store, own, priority, gap);
  const sql = `UPDATE downloads SET priority = ?, position = ?, seq = ? WHERE n = ? RETURNING ${DOWNLOAD.columns}`;
  return one(store, sql, priority, position, store.seq(), own.n);
}

const SPOT = "SELECT n, id, priority, position FROM downloads";
/** Named, because the planner would rather sort what `downloads_state` gives. */
const QUEUED = `${SPOT} INDEXED BY downloads_queue WHERE state = 'queued'`;
const FORWARD = "ORDER BY priority DESC, position, n LIMIT 1";
const BACKWARD = "ORDER BY priority, position DESC, n DESC LIMIT 1";

function queued(store: Store, column: "id" | "n", value: string | number): Spot | undefined {
  return store.get<Spot>(`${SPOT} WHERE ${column} = ? AND state = 'queued'`, value);
}

function findGap(store: Store, id: string, to: Destination): Gap | undefined {
  if ("position" in to) return gapAt(store, id, to.position);
  const otherId = "before" in to ? to.before : to.after;
  const other = queued(store, "id", otherId);
  if (!other) return undefined;
  // Beside itself is where it is.
  if (other.id === id) return { prev: before(store, other, id), next: after(store, other, id) };
  return "before" in to
    ? { prev: before(store, other, id), next: other }
    : { prev: other, next: after(store, other, id) };
}

/** `place` counts from 1; past the end means the end. */
function gapAt(store: Store, id: string, place: number): Gap {
  const skip = Math.max(0, Math.floor(place) - 1);
  const next = store.get<Spot>(`${QUEUED} AND id <> ? ${FORWARD} OFFSET ?`, id, skip);
  if (next) return { prev: before(store, next, id), next };
  return { prev: store.get<Spot>(`${QUEUED} AND id <> ? ${BACKWARD}`, id), next: undefined };
}

/** The neighbour on that side in claim order, `not` left out. */
function before(store: Store, { priority, position, n }: Spot, not: string): Spot | undefined {
  const same = `${QUEUED} AND id <> ? AND priority = ? AND (position, n) < (?, ?) ${BACKWARD}`;
  const higher = `${QUEUED} AND id <> ? AND priority > ? ${BACKWARD}`;
  return store.get<Spot>(same, not, priority, position, n) ?? store.get<Spot>(higher, not, priority);
}

function after(store: Store, { priority, position, n }: Spot, not: string): Spot | undefined {
  const same = `${QUEUED} AND id <> ? AND priority = ? AND (position, n) > (?, ?) ${FORWARD}`;
  const lower = `${QUEUED} AND id <> ? AND priority < ? ${FORWARD}`;
  return store.get<Spot>(same, not, priority, position, n) ?? store.get<Spot>(lower, not, priority);
}

/** A position behind `prev` and before `next`, as far as they are of this priority. */
function between(store: Store, own: Spot, priority: number, { prev, next }: Gap): number {
  const low = prev?.priority === priority ? prev : undefined;
  const high = next?.priority === priority ? next : undefined;
  if (low && high) {
    if (high.position - low.position < MIN_GAP) spread(store, own.id, low, high);
    const [a, b] = [low, high].map((s) => queued(store, "n", s.n)!.position);
    return (a! + b!) / 2;
  }
  if (low) return low.position + 1;
  return high ? high.position - 1 : own.position;
}

/**
 * Evens out the positions around the gap between `low` and `high`, in as small a neighbourhood as has room. Places do
 * not change by it, so the rows keep their numbers and nobody is told.
 */
function spread(store: Store, moved: string, low: Spot, high: Spot): void {
  for (const window of WINDOWS) {
    const rows = [
      ...neighbours(store, moved, low, "<=", "DESC", window).reverse(),
      ...neighbours(store, moved, high, ">=", "ASC", window),
    ];
    const from = rows[0]!.position;
    const even = (rows.at(-1)!.position - from) / (rows.length - 1);
    const widest = window === WINDOWS.at(-1);
    if (even < 4 * MIN_GAP && !widest) continue;
    const step = widest ? Math.max(even, 1) : even;
    rows.forEach((row, i) => {
      store.run("UPDATE downloads SET position = ? WHERE n = ?", from + i * step, row.n);
    });
    return;
  }
}

function neighbours(
  store: Store,
  moved: string,
  { priority, position, n }: Spot,
  side: "<=" | ">=",
  direction: "ASC" | "DESC",
  limit: number,
): Spot[] {
  const sql = `${QUEUED} AND id <> ? AND priority = ? AND (position, n) ${side} (?, ?)
    ORDER BY position ${direction}, n ${direction} LIMIT ?`;
  return store.all<Spot>(sql, moved, priority, position, n, limit);
}
