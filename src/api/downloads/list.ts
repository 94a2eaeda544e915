import { isFinished, STATES, type State, UNFINISHED } from "../../core/download.ts";
import { DownloadError } from "../../core/errors.ts";
import type { Snapshot } from "../../core/feed.ts";
import type { DownloadFilter, PageRequest } from "../../core/ports.ts";
import type { ApiContext } from "../family.ts";
import { present } from "./present.ts";
import { invalid } from "./start.ts";
import { summarize, type Tally } from "./tally.ts";

export interface ListQuery {
  state?: string;
  provider?: string;
  q?: string;
  limit?: string;
  cursor?: string;
}

const DEFAULT_LIMIT = 100;
const LARGEST_LIMIT = 1000;

/** `GET /v1/downloads`: the seed's list as it is, or a page of what the query asks for, history included. */
export async function list({ downloads, clock }: ApiContext, tally: Tally, query: ListQuery) {
  const { state, provider, q, limit, cursor } = query;
  if ([state, provider, q, limit, cursor].every((value) => value === undefined)) {
    const active = withPlaces(await downloads.active());
    return envelope(active, summarize(active), clock.now());
  }
  const page = await onCursor(() => downloads.list(filterOf(query), pageOf(query)));
  const body = envelope(page.items, await tally.summary(), clock.now());
  return page.nextCursor === null ? body : { ...body, next_cursor: page.nextCursor };
}

function envelope(items: readonly Snapshot[], summary: ReturnType<typeof summarize>, now: number) {
  return {
    active_downloads: items.map((download) => present(download, now)),
    total_active: summary.total_active,
    summary,
    timestamp: now,
  };
}

/** The same, each queued one with its place in the order they will be taken: written into them, for there may be many. */
export function withPlaces(all: Snapshot[]): Snapshot[] {
  const queue = all
    .filter(({ state }) => state === "queued")
    .sort((a, b) => b.priority - a.priority || a.position - b.position);
  for (const [index, download] of queue.entries()) download.place = index + 1;
  return all;
}

/** Page size and cursor of a query; `invalid_request` for what is no page size (F156). */
export function pageOf({ limit, cursor }: Pick<ListQuery, "limit" | "cursor">): PageRequest {
  const size = limit === undefined ? DEFAULT_LIMIT : /^\d{1,4}$/.test(limit) ? Number(limit) : 0;
  if (size < 1 || size > LARGEST_LIMIT)
    throw invalid(`'limit' must be an integer between 1 and ${LARGEST_LIMIT}`, "limit");
  return cursor === undefined ? { limit: size } : { limit: size, cursor };
}

/** A cursor that is none of ours is the client's mistake, whatever the database calls it. */
export async function onCursor<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof DownloadError && error.code === "invalid_request")
      throw invalid("'cursor' is not one that this list gave", "cursor");
    throw error;
  }
}

function filterOf({ state, provider, q }: ListQuery): DownloadFilter {
  const filter: DownloadFilter = {};
  if (state !== "all") filter.states = state === undefined ? UNFINISHED : statesOf(state);
  if (provider !== undefined) filter.provider = provider;
  if (q !== undefined) filter.q = q;
  return filter;
}

/** One state or several with commas; `active` and `finished` for what they say. */
function statesOf(text: string): State[] {
  const states = text.split(",").flatMap((word): readonly State[] => {
    if (word === "active") return UNFINISHED;
    if (word === "finished") return STATES.filter(isFinished);
    return STATES.filter((state) => state === word);
  });
  if (states.length === 0 || text.split(",").some((word) => !isStateWord(word)))
    throw invalid(`'state' must be 'all', 'active', 'finished' or of ${STATES.join(", ")}`, "state");
  return [...new Set(states)];
}

const isStateWord = (word: string): boolean =>
  word === "active" || word === "finished" || STATES.some((state) => state === word);
