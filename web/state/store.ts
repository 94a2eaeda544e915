/** All that is shown. One signal per download: an update draws one row, at most once a frame. */
import { batch, computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { oncePerFrame } from "./frames.ts";
import { arrange, isMoved, type View } from "./order.ts";
import { prefs } from "./prefs.ts";
import { type Counters, count, noCounters } from "./tally.ts";
import type { DownloadItem, EngineItem, ModelFile, Settings, Storage } from "./types.ts";

/** A download; undefined once its record is gone. */
export type Row = ReadonlySignal<DownloadItem | undefined>;

const rows = signal<ReadonlyMap<string, Signal<DownloadItem | undefined>>>(new Map());
/** Changes whenever rows may have to be shown in another order. */
const shape = signal(0);
const sums = signal<Counters>(noCounters());
const loaded = signal(false);

export const downloads: ReadonlySignal<ReadonlyMap<string, Row>> = rows;
/** False until the first list has come: nothing is known, which is not the same as none. */
export const isLoaded: ReadonlySignal<boolean> = loaded;
export const counters: ReadonlySignal<Counters> = sums;
/** Bytes per second of all downloads together. */
export const totalSpeed: ReadonlySignal<number> = computed(() => sums.value.speed);

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
  return rows.value.get(id) ?? computed(() => rows.value.get(id)?.value);
}

/** Without subscribing to it. */
export const peek = (id: string): DownloadItem | undefined => rows.peek().get(id)?.peek();

function* items(): Generator<DownloadItem> {
  for (const each of rows.value.values()) {
    const download = each.peek();
    if (download) yield download;
  }
}

/* ------------------------------------------------------------------- changes */

/** What has come since the last frame; null for a record that is gone. */
const pending = new Map<string, DownloadItem | null>();
const planFlush = oncePerFrame(flush);

/** News of a download; shown with the next frame. */
export function put(download: DownloadItem): void {
  pending.set(download.id, download);
  planFlush();
}

export function drop(id: string): void {
  pending.set(id, null);
  planFlush();
}

/** A whole list: what is not in it is gone, unless `keep` says otherwise. */
export function replaceAll(
  all: readonly DownloadItem[],
  keep: (download: DownloadItem) => boolean = () => false,
): void {
  const listed = new Set(all.map(({ id }) => id));
  for (const download of items()) if (!listed.has(download.id) && !keep(download)) drop(download.id);
  for (const download of all) put(download);
  loaded.value = true;
  flush();
}

/** Shows at once what has come. */
export function flush(): void {
  if (pending.size === 0) return;
  const changes = [...pending];
  pending.clear();
  batch(() => {
    const next = new Map(rows.peek());
    const total = structuredClone(sums.peek());
    const seen = view.peek();
    let isNewSet = false;
    let isReshaped = false;
    for (const [id, after] of changes) {
      const known = next.get(id);
      const before = known?.peek();
      if (before) count(total, before, -1);
      if (after) count(total, after, 1);
      if (after && known) known.value = after;
      else if (after) next.set(id, signal<DownloadItem | undefined>(after));
      else if (known) {
        known.value = undefined;
        next.delete(id);
      }
      isNewSet ||= (known === undefined) !== (after === null);
      isReshaped ||= before !== undefined && after !== null && isMoved(before, after, seen);
    }
    if (isNewSet) rows.value = next;
    if (isNewSet || isReshaped) shape.value += 1;
    sums.value = total;
  });
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
  samples.value = [...samples.peek().filter(({ at }) => at > from), { at: now, speed: sums.peek().speed }];
}
