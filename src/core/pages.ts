import { othersTurn } from "./batches.ts";
import type { Download } from "./download.ts";
import type { Database, DownloadFilter } from "./ports.ts";

const PAGE = 500;

/** Every row of a list, oldest first, a page at a time. Others get their turn between two pages of a long one (F224). */
export async function* pagesOf(
  db: Pick<Database, "list">,
  filter: DownloadFilter,
): AsyncGenerator<Download[]> {
  let cursor: string | null | undefined;
  do {
    const page = await db.list(filter, { limit: PAGE, ...(cursor ? { cursor } : {}) });
    yield page.items;
    cursor = page.nextCursor;
    if (cursor) await othersTurn();
  } while (cursor);
}

/** The same, all at once. */
export async function allRows(db: Pick<Database, "list">, filter: DownloadFilter): Promise<Download[]> {
  const rows: Download[] = [];
  for await (const page of pagesOf(db, filter)) rows.push(...page);
  return rows;
}

/** The rows of all these lists, each once, as `show` makes them: one that gets from one list into another meanwhile as it was last. */
export async function eachOnce<T>(
  db: Pick<Database, "list">,
  filters: readonly DownloadFilter[],
  show: (row: Download) => T,
): Promise<T[]> {
  const shown = new Map<string, T>();
  for (const filter of filters)
    for await (const page of pagesOf(db, filter)) for (const row of page) shown.set(row.id, show(row));
  return [...shown.values()];
}
