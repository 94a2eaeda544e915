import { type Download, FINISHED, UNFINISHED } from "./download.ts";
import { eachOnce } from "./pages.ts";
import type { Database, DownloadFilter } from "./ports.ts";

/** Unfinished ones and finished ones that ended at most `lingerMs` before `now` (A7), oldest first, as `show` makes them. */
export async function activeOnes<T extends Pick<Download, "createdAt" | "endedAt">>(
  db: Database,
  lingerMs: number,
  now: number,
  show: (row: Download) => T,
): Promise<T[]> {
  const lists: DownloadFilter[] = [{ states: UNFINISHED }];
  if (lingerMs > 0) lists.push({ states: FINISHED, endedAfter: now - lingerMs });
  const shown = await eachOnce(db, lists, show);
  // What seems to end later than now ended before the clock was set back (F111).
  const lately = shown.filter(({ endedAt }) => (endedAt ?? 0) <= now + lingerMs);
  return lately.sort((a, b) => a.createdAt - b.createdAt);
}
