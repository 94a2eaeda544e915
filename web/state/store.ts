/** All that is shown. One signal per download: an update draws one row, at most once a frame. */
import { batch, computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { paced } from "./frames.ts";
import { arrange, isMoved, isRestless, type View } from "./order.ts";
import { prefs } from "./prefs.ts";
import { Queue } from "./queue.ts";
import { type Counters, count, isSameCount, noSums, type Sums } from "./tally.ts";
import type { DownloadItem, EngineItem, ModelFile, Settings, Storage } from "./types.ts";

/** A download; undefined once its record is gone. */
export type Row = ReadonlySignal<DownloadItem | undefined>;

const rows = new Map<string, Signal<DownloadItem | undefined>>();
const shownRows = signal<ReadonlyMap<string, Row>>(rows);
/** Changes whenever rows may have to be shown in another order. */
const shape = signal(0);
const all = signal<Sums>(noSums());

export const downloads: ReadonlySignal<ReadonlyMap<string, Row>> = shownRows;
/** False until the first list has come: nothing is known, which is not the same as none. */
export const isLoaded = signal(false);
/** Sums of what moves change all the time, and with them whatever reads this. */
export const sums: ReadonlySignal<Sums> = all;
let lastCounters = noSums().counters;
/** How many there are of each kind: another object only when one of the numbers is another. */
export const counters: ReadonlySignal<Counters> = computed(() => {
  const { counters: now } = all.value;
  if (!isSameCount(lastCounters, now)) lastCounters = now;
  return lastCounters;
});
/** Bytes per second of all downloads together. */
export const totalSpeed: ReadonlySignal<number> = computed(() => all.value.speed);

export const view: ReadonlySignal<View> = computed(() => ({
  filter: prefs.filter.value,
  search: prefs.search.value,
  sort: prefs.sort.value,
  descending: prefs.descending.value,
}));

/** Ids of what is shown, as filter, search and sort say. */
export const order: ReadonlySignal<readonly string[]> = computed(() => {
  shape.value;
  return arrange(items(), view.value);
});

/** Null until they have been asked for. */
export const storage = signal<Storage | null>(null);
export const settings = signal<Settings | null>(null);
export const engines = signal<readonly EngineItem[] | null>(null);
export const models = signal<readonly ModelFile[] | null>(null);

export function row(id: string): Row {
  return rows.get(id) ?? computed(() => shownRows.value.get(id)?.value);
}

/** Without subscribing to it. */
export const peek = (id: string): DownloadItem | undefined => rows.get(id)?.peek();

export function* items(): Generator<DownloadItem> {
  for (const each of rows.values()) {
    const download = each.peek();
    if (download) yield download;
  }
}

/* ------------------------------------------------------------------- changes */

/** What has come since the last frame; null for a record that is gone. */
const pending = new Map<string, DownloadItem | null>();
/** One that is shown otherwise for the moment. */
interface Pretence {
  /** What the server last said. */
  truth: DownloadItem;
  pretended: Partial<DownloadItem>;
  /** Whether it goes on when the server tells this state. */
  lasts: (state: DownloadItem["state"]) => boolean;
}
const truths = new Map<string, Pretence>();
/** Those that came and became something else before they were shown: as they came. */
const begun = new Map<string, DownloadItem>();
const queue = new Queue();
const planFlush = paced(flush);

type Listener = (after: DownloadItem, before: DownloadItem | undefined) => void;
const listeners = new Set<Listener>();

/** Called for each download as it is shown, with what it was before; for what is told of changes. */
export function onChange(listener: Listener): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

/** News of a download; another state is shown with the next frame, progress a few times a second. */
export function put(download: DownloadItem): void {
  const known = truths.get(download.id);
  if (known && !known.lasts(download.state)) truths.delete(download.id);
  else if (known) known.truth = download;
  const pretended = truths.get(download.id)?.pretended;
  const waiting = pending.get(download.id);
  if (waiting && waiting.state !== download.state && !rows.has(download.id)) begun.set(download.id, waiting);
  const shown = pretended ? changed(download, pretended) : download;
  pending.set(download.id, shown);
  planFlush(peek(download.id)?.state !== shown.state);
}

export function drop(id: string): void {
  truths.delete(id);
  pending.set(id, null);
  planFlush(true);
}

/** Newest of a download, shown or about to be. */
const newest = (id: string): DownloadItem | undefined => pending.get(id) ?? peek(id);

/**
 * Shows a download as it will be when a command has worked, until the server tells a state in which it does not last:
 * any other one, unless `lasts` says more. Answers how to end that: what the server said last is shown again.
 */
export function pretend(id: string, pretended: Partial<DownloadItem>, lasts?: Pretence["lasts"]): () => void {
  const truth = truths.get(id)?.truth ?? newest(id);
  if (!truth) return () => {};
  const mine = { truth, pretended, lasts: lasts ?? ((state) => state === truth.state) };
  truths.set(id, mine);
  pending.set(id, changed(truth, pretended));
  planFlush(true);
  return () => {
    if (truths.get(id) !== mine) return;
    truths.delete(id);
    put(mine.truth);
  };
}

/** A whole list: what is not in it is gone, except what `keep` names. */
export function replaceAll(all: readonly DownloadItem[], keep?: (download: DownloadItem) => boolean): void {
  const listed = new Set(all.map(({ id }) => id));
  for (const download of items()) if (!listed.has(download.id) && !keep?.(download)) drop(download.id);
  for (const download of all) put(download);
  isLoaded.value = true;
  flush();
}

/** Forgets everything, for a reader who has logged out. */
export function clear(): void {
  replaceAll([]);
  isLoaded.value = false;
  storage.value = null;
  settings.value = null;
  engines.value = null;
  models.value = null;
  samples.value = [];
}

/** Shows at once what has come; answers how many downloads that were. */
export function flush(): number {
  if (pending.size === 0) return 0;
  const changes = [...pending];
  pending.clear();
  const told: [DownloadItem, DownloadItem | undefined][] = [];
  batch(() => {
    const total = structuredClone(all.peek());
    const change = { isNewSet: false, isMoved: false, isRestless: false };
    const seen = view.peek();
    for (const [id, after] of withPlaces(changes)) {
      const before = rows.get(id)?.peek();
      if (before) count(total, before, -1);
      if (after) count(total, after, 1);
      if (after) show(after);
      else unshow(id);
      change.isNewSet ||= (before === undefined) !== (after === null);
      if (!before || !after) continue;
      change.isMoved ||= isMoved(before, after, seen);
      change.isRestless ||= isRestless(before, after, seen);
    }
    if (change.isNewSet) shownRows.value = new Map(rows);
    if (change.isNewSet || change.isMoved) shape.value += 1;
    else if (change.isRestless) planReshape();
    all.value = total;
    begun.clear();

    function show(after: DownloadItem): void {
      const known = rows.get(after.id);
      told.push([after, known?.peek() ?? begun.get(after.id)]);
      if (known) known.value = after;
      else rows.set(after.id, signal<DownloadItem | undefined>(after));
    }
  });
  for (const [after, before] of told) for (const listener of listeners) listener(after, before);
  return changes.length;
}

function unshow(id: string): void {
  const known = rows.get(id);
  if (!known) return;
  rows.delete(id);
  known.value = undefined;
}

/** The changes, and with them those of downloads that have moved up or down in the queue. */
function withPlaces(changes: readonly [string, DownloadItem | null][]): Map<string, DownloadItem | null> {
  const all = new Map(changes);
  const hasLeft = queue.remove(changes.filter(([, after]) => after?.state !== "queued").map(([id]) => id));
  const waiting = changes.flatMap(([id, after]) =>
    after?.state === "queued" ? [{ id, place: after.position }] : [],
  );
  const isChanged = queue.put(waiting) || hasLeft;
  for (const id of isChanged ? queue.ids : waiting.map((each) => each.id)) {
    const download = all.get(id) ?? rows.get(id)?.peek();
    const position = queue.place(id);
    if (download && download.position !== position) all.set(id, changed(download, { position }));
  }
  return all;
}

const changed = (download: DownloadItem, change: Partial<DownloadItem>): DownloadItem =>
  ({ ...download, ...change }) as DownloadItem;

/** Numbers that change all the time put rows in another order at most this often. */
const RESHAPE_MS = 2_000;
let isReshapePlanned = false;

function planReshape(): void {
  if (isReshapePlanned) return;
  isReshapePlanned = true;
  setTimeout(() => {
    isReshapePlanned = false;
    shape.value += 1;
  }, RESHAPE_MS);
}

/* -------------------------------------------------------------------- speed */

/** One sample a second, of the last five minutes; oldest first. */
export interface SpeedSample {
  /** Epoch milliseconds. */
  at: number;
  /** Bytes per second. */
  speed: number;
}
const HISTORY_SECONDS = 300;
const samples = signal<readonly SpeedSample[]>([]);
export const speedHistory: ReadonlySignal<readonly SpeedSample[]> = samples;

export function sampleSpeed(now = Date.now()): void {
  const from = now - HISTORY_SECONDS * 1000;
  samples.value = [...samples.peek().filter(({ at }) => at > from), { at: now, speed: all.peek().speed }];
}
