/** Sums over all downloads, kept up one change at a time. */

import { passes } from "./order.ts";
import { FILTERS, type Filter } from "./prefs.ts";
import type { DownloadItem, State } from "./types.ts";

/** The five counters of unfinished downloads (R115), and what else is summed. */
export interface Counters {
  total: number;
  startup: number;
  regular: number;
  embedding: number;
  llm: number;
  /** How many each filter shows. */
  filters: Record<Filter, number>;
}

export interface Sums {
  counters: Counters;
  /** Bytes per second of all. */
  speed: number;
  /** Bytes of those under way whose size is known: what has arrived, and all of it. */
  bytes: number;
  bytesTotal: number;
}

const FINISHED: readonly State[] = ["completed", "failed", "cancelled"];

export const isFinished = (state: State): boolean => FINISHED.includes(state);

export const noSums = (): Sums => ({
  counters: {
    total: 0,
    startup: 0,
    regular: 0,
    embedding: 0,
    llm: 0,
    filters: { all: 0, active: 0, queued: 0, paused: 0, completed: 0, failed: 0, cancelled: 0 },
  },
  speed: 0,
  bytes: 0,
  bytesTotal: 0,
});

/** Adds one download to the sums; `sign` -1 takes it away again. */
export function count(sums: Sums, download: DownloadItem, sign: 1 | -1): void {
  const { counters } = sums;
  for (const filter of FILTERS) if (passes(download, filter)) counters.filters[filter] += sign;
  if (isFinished(download.state)) return;
  counters.total += sign;
  counters[download.type] += sign;
  counters[download.model_type] += sign;
  sums.speed += sign * download.speed;
  const { downloaded_bytes, total_bytes } = download.progress;
  if (download.state === "paused" || total_bytes === 0) return;
  sums.bytes += sign * downloaded_bytes;
  sums.bytesTotal += sign * total_bytes;
}

export function isSameCount({ filters: a, ...one }: Counters, { filters: b, ...other }: Counters): boolean {
  const isSame = <T extends object>(x: T, y: T): boolean =>
    (Object.keys(x) as (keyof T)[]).every((key) => x[key] === y[key]);
  return isSame(one, other) && isSame(a, b);
}
