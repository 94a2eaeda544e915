import { type Download, UNFINISHED } from "./download.ts";
import { allRows } from "./pages.ts";
import type { Database } from "./ports.ts";

/** Unfinished ones and finished ones that ended at most `lingerMs` before `now` (A7), oldest first. */
export async function activeRows(db: Database, lingerMs: number, now: number): Promise<Download[]> {
  const unfinished = await allRows(db, { states: UNFINISHED });
  const finished = { states: ["completed", "failed", "cancelled"], endedAfter: now - lingerMs } as const;
  const lingering = lingerMs > 0 ? await allRows(db, finished) : [];
  // What seems to end later than now ended before the clock was set back (F111).
  const lately = lingering.filter(({ endedAt }) => (endedAt ?? 0) <= now + lingerMs);
  return [...unfinished, ...lately].sort((a, b) => a.createdAt - b.createdAt);
}
