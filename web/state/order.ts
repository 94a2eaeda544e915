/** Which downloads are shown, and in what order. Pure. */
import type { Filter, Sort } from "./prefs.ts";
import type { DownloadItem, State } from "./types.ts";

const WORKED_ON: readonly State[] = ["downloading", "verifying", "creating_engine"];

export interface View {
  filter: Filter;
  search: string;
  sort: Sort;
  descending: boolean;
}

export function passes({ state }: DownloadItem, filter: Filter): boolean {
  if (filter === "all") return true;
  return filter === "active" ? WORKED_ON.includes(state) : state === filter;
}

/** Every word of the search stands somewhere in what names the download. */
export function matcher(search: string): (download: DownloadItem) => boolean {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return () => true;
  return ({ model_id, repo_id, filename, url, provider }) => {
    const text = `${model_id}\n${repo_id}\n${filename}\n${url}\n${provider}`.toLowerCase();
    return words.every((word) => text.includes(word));
  };
}

const RANK: Record<State, number> = {
  creating_engine: 0,
  verifying: 1,
  downloading: 2,
  queued: 3,
  paused: 4,
  failed: 5,
  completed: 5,
  cancelled: 5,
};

type Compare = (a: DownloadItem, b: DownloadItem) => number;

const newestFirst: Compare = (a, b) => b.timing.start_time - a.timing.start_time;
const ended = ({ timing }: DownloadItem): number => timing.end_time ?? Number.MAX_SAFE_INTEGER;
const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

const COMPARE: Record<Sort, Compare> = {
  queue: (a, b) => RANK[a.state] - RANK[b.state] || withinRank(a, b),
  name: (a, b) => collator.compare(a.model_id, b.model_id),
  size: (a, b) => b.progress.total_bytes - a.progress.total_bytes,
  progress: (a, b) => b.progress.percentage - a.progress.percentage,
  speed: (a, b) => b.speed - a.speed,
  added: newestFirst,
  ended: (a, b) => ended(b) - ended(a),
};

function withinRank(a: DownloadItem, b: DownloadItem): number {
  if (a.state === "queued") return place(a) - place(b) || b.priority - a.priority || -newestFirst(a, b);
  if (RANK[a.state] < RANK.queued) return -newestFirst(a, b);
  return ended(b) - ended(a) || newestFirst(a, b);
}

const place = ({ position }: DownloadItem): number => position ?? Number.MAX_SAFE_INTEGER;

export function comparer({ sort, descending }: Pick<View, "sort" | "descending">): Compare {
  const compare = COMPARE[sort];
  const sign = descending ? -1 : 1;
  return (a, b) => sign * compare(a, b) || (a.id < b.id ? -1 : 1);
}

/** Whether showing `after` in the place of `before` moves it, shows it or hides it. */
export function isMoved(before: DownloadItem, after: DownloadItem, { sort, search }: View): boolean {
  if (before.state !== after.state || before.position !== after.position) return true;
  if (before.priority !== after.priority || before.model_id !== after.model_id) return true;
  if (search !== "" && (before.repo_id !== after.repo_id || before.filename !== after.filename)) return true;
  return sort === "size" && before.progress.total_bytes !== after.progress.total_bytes;
}

/** The same for what is sorted by numbers that change all the time. */
export function isRestless(before: DownloadItem, after: DownloadItem, { sort }: View): boolean {
  if (sort === "progress") return before.progress.percentage !== after.progress.percentage;
  return sort === "speed" && before.speed !== after.speed;
}

export function arrange(all: Iterable<DownloadItem>, view: View): string[] {
  const matches = matcher(view.search);
  return [...all]
    .filter((download) => passes(download, view.filter) && matches(download))
    .sort(comparer(view))
    .map(({ id }) => id);
}
