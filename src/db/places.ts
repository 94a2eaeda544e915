import type { Store } from "./store.ts";

/** Where a row stands in the queue. */
export interface Spot {
  id: string;
  priority: number;
  position: number;
  n: number;
}

/** By id: the plus keeps the planner from walking along the queue instead. */
const SPOT = "SELECT id, priority, position, n FROM downloads WHERE +state = 'queued'";
const COUNT = "SELECT count(*) FROM downloads INDEXED BY downloads_queue WHERE state = 'queued'";

/**
 * The place that was asked for last. Whoever adds one download after the other to a long queue asks for one place
 * after the other: only what has been added in between is counted then.
 */
export class Anchor {
  #known: { spot: Spot; place: number } | undefined;

  /** 1-based. */
  placeOf(store: Store, spot: Spot): number {
    const known = this.#known;
    const place =
      known && !isBefore(spot, known.spot)
        ? known.place + steps(store, known.spot, spot)
        : ahead(store, spot) + 1;
    this.#known = { spot, place };
    return place;
  }

  /** A row has been put behind all others of its priority. */
  appended(priority: number): void {
    if (this.#known && priority > this.#known.spot.priority) this.#known = undefined;
  }

  /** Rows may have left the queue, come back, or changed places. */
  moved(): void {
    this.#known = undefined;
  }
}

export function place(store: Store, id: string): number | undefined {
  const spot = store.get<Spot>(`${SPOT} AND id = ?`, id);
  return spot && store.anchor.placeOf(store, spot);
}

/**
 * Along the queue from one to the next: what lies between two of them is counted once, and what lies behind the last
 * not at all. The rows of a page stand close together, so that a long queue costs little.
 */
export function places(store: Store, ids: readonly string[]): Map<string, number> {
  if (ids.length === 0) return new Map();
  const spots = store.all<Spot>(`${SPOT} AND id IN (SELECT value FROM json_each(?))`, JSON.stringify(ids));
  return new Map(spots.sort(inLine).map((spot) => [spot.id, store.anchor.placeOf(store, spot)]));
}

const inLine = (a: Spot, b: Spot): number => b.priority - a.priority || a.position - b.position || a.n - b.n;
const isBefore = (a: Spot, b: Spot): boolean => inLine(a, b) < 0;

/** How many come before it. */
function ahead(store: Store, { priority, position, n }: Spot): number {
  const sql = `SELECT (${COUNT} AND priority > ?) + (${COUNT} AND priority = ? AND (position, n) < (?, ?)) AS ahead`;
  return store.get<{ ahead: number }>(sql, priority, priority, position, n)!.ahead;
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
