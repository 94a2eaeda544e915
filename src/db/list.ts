import type { SQLQueryBindings } from "bun:sqlite";
import type { Database, DownloadFilter, Page, PageRequest } from "../core/database.ts";
import type { Download, File } from "../core/download.ts";
import { DownloadError } from "../core/errors.ts";
import { many } from "./downloads.ts";
import { DOWNLOAD, FILE } from "./rows.ts";
import type { Store } from "./store.ts";

const MAX_LIMIT = 1000;
type Row = Record<string, unknown>;

interface Condition {
  sql: string;
  values: SQLQueryBindings[];
}

export function lists(store: Store) {
  return {
    list: (filter, page) => store.read(() => list(store, filter, page)),
    doneFiles: (page) => store.read(() => doneFiles(store, page)),
  } satisfies Partial<Database>;
}

function list(store: Store, filter: DownloadFilter, page: PageRequest): Page<Download> {
  const after = afterCursor("d", page);
  const { sql, values } = pageOf(filter, after, page.limit + 1);
  const numbers = store.all<{ n: number }>(sql, ...values).map((row) => row.n);
  const shown = numbers.slice(0, page.limit);
  const items = many(
    store,
    `SELECT ${DOWNLOAD.columns} FROM downloads WHERE n IN (SELECT value FROM json_each(?)) ORDER BY n`,
    JSON.stringify(shown),
  );
  return { items, nextCursor: numbers.length > page.limit ? cursorOf("d", shown.at(-1)!) : null };
}

/**
 * Numbers of the rows of a page. By state alone each state is read along its own index and no further than the page
 * goes; what else is asked narrows that, or (labels, source) brings an index of its own.
 */
function pageOf(filter: DownloadFilter, after: number, limit: number): Condition {
  const conditions = conditionsOf(filter);
  const rest = conditions.map((c) => ` AND ${c.sql}`).join("");
  const values = conditions.flatMap((c) => c.values);
  const indexed = filter.labels !== undefined || filter.sourceKey !== undefined;
  if (filter.states === undefined || indexed) {
    const states = filter.states ? ` AND d.state IN (${filter.states.map(() => "?").join(", ")})` : "";
    const sql = `SELECT d.n FROM downloads d WHERE d.n > ?${rest}${states} ORDER BY d.n LIMIT ?`;
    return { sql, values: [after, ...values, ...(filter.states ?? []), limit] };
  }
  const one = `SELECT n FROM (SELECT d.n FROM downloads d WHERE d.state = ? AND d.n > ?${rest} ORDER BY d.n LIMIT ?)`;
  const states = [...new Set(filter.states)];
  if (states.length === 0) return { sql: "SELECT n FROM downloads WHERE 0", values: [] };
  return {
    sql: `${states.map(() => one).join(" UNION ALL ")} ORDER BY n LIMIT ?`,
    values: [...states.flatMap((state) => [state, after, ...values, limit]), limit],
  };
}

/** Each part of the filter with its bound values; nothing of a request ever becomes SQL text (F157). */
function conditionsOf(filter: DownloadFilter): Condition[] {
  const conditions: Condition[] = [];
  const add = (sql: string, ...values: SQLQueryBindings[]) => conditions.push({ sql, values });
  if (filter.sourceKey !== undefined) add("d.source_key = ?", filter.sourceKey);
  if (filter.provider !== undefined) add("d.provider = ?", filter.provider);
  if (filter.endedAfter !== undefined) add("d.ended_at > ?", filter.endedAfter);
  for (const [key, value] of Object.entries(filter.labels ?? {}))
    add("d.n IN (SELECT n FROM labels WHERE key = ? AND value = ?)", key, value);
  if (filter.q !== undefined && filter.q !== "") {
    const pattern = `%${filter.q.toLowerCase().replace(/[\\%_]/g, "\\$&")}%`;
    const inFiles = "SELECT 1 FROM files f WHERE f.download_id = d.id AND f.search LIKE ? ESCAPE '\\'";
    add(`(d.search LIKE ? ESCAPE '\\' OR EXISTS (${inFiles}))`, pattern, pattern);
  }
  return conditions;
}

function doneFiles(store: Store, page: PageRequest): Page<File> {
  const after = afterCursor("f", page);
  // Layers that another program keeps have no path here.
  const sql = `SELECT ${FILE.columns} FROM files WHERE state = 'done' AND target IS NOT NULL AND id > ? ORDER BY id LIMIT ?`;
  const rows = store.all<Row>(sql, after, page.limit + 1);
  const shown = rows.slice(0, page.limit);
  const items = shown.flatMap((row) => legible(store, row));
  return { items, nextCursor: rows.length > page.limit ? cursorOf("f", Number(shown.at(-1)!.id)) : null };
}

/** A damaged row costs the list that one file, not all of them. */
function legible(store: Store, row: Row): File[] {
  try {
    return [FILE.decode(row)];
  } catch (error) {
    store.log.warn("the record of a file is damaged", { id: row.id, error: String(error) });
    return [];
  }
}

/** Where a page ended, sealed against guessing and truncation by its checksum. */
function cursorOf(kind: "d" | "f", number: number): string {
  const text = `${kind}${number}`;
  return Buffer.from(`${text}.${checksum(text)}`).toString("base64url");
}

const checksum = (text: string): string => Bun.hash.crc32(`modelhaul page ${text}`).toString(36);

/** The number the page starts behind. Throws `invalid_request` for a bad limit or a cursor that is none of ours (F156). */
function afterCursor(kind: "d" | "f", { limit, cursor }: PageRequest): number {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT)
    throw new DownloadError("invalid_request", `limit must be a whole number from 1 to ${MAX_LIMIT}.`, {
      param: "limit",
    });
  if (cursor === undefined) return 0;
  const number = Number(/^[df](\d{1,15})\./.exec(Buffer.from(cursor, "base64url").toString())?.[1]);
  if (Number.isNaN(number) || cursor !== cursorOf(kind, number))
    throw new DownloadError(
      "invalid_request",
      "cursor is not one that this list has given; start without one.",
      {
        param: "cursor",
      },
    );
  return number;
}
