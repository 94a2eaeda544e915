import { type Download, isFinished } from "../../core/download.ts";
import type { Downloads, FeedEvent, Snapshot } from "../../core/downloads.ts";
import { canonicalPairOf, isOwn, isTracked, keyOf, type Pair, pairOf } from "./pair.ts";

/** One record of a pair, with what decides which of them speaks for it. */
interface Entry {
  id: string;
  rank: number;
  isOver: boolean;
  createdAt: number;
  /** Of its row. */
  seq: number;
}

interface Bucket {
  pair: Pair;
  /** Repository as the hub itself spells it. */
  canonical: string;
  entries: Map<string, Entry>;
  /** The one that speaks; looked for anew only when it has stepped back, for one name may be that of very many (F224). */
  speaker: Entry;
}

/** Told after each change; `download` is null when another record than the one that changed speaks for the pair now. */
export type PairListener = (key: string, download: Snapshot | null) => void;

/**
 * Which record speaks for which pair. Several records may name the same file (tried again after its file was deleted,
 * another revision): what `/api/download` would bring goes before other files of a hub, those before the rest; then what
 * is under way, then the newest. Read once, then kept up by the events; holds a few words for each record there is, not the records.
 */
export class Pairs {
  readonly #downloads: Pick<Downloads, "everything" | "feed">;
  readonly #listener: PairListener;
  readonly #buckets = new Map<string, Bucket>();
  /** Key by record. */
  readonly #keys = new Map<string, string>();
  /** Key by that of the hub's own spelling, where it differs. */
  readonly #aliases = new Map<string, string>();
  /** Records that went away while the others were being read. */
  #gone: Set<string> | undefined;
  #ready: Promise<void> | undefined;
  #unsubscribe: () => void = () => {};

  constructor(downloads: Pick<Downloads, "everything" | "feed">, listener: PairListener = () => {}) {
    this.#downloads = downloads;
    this.#listener = listener;
  }

  /** Resolves when all records are known. `rest` is awaited after each page of them. */
  ready(rest: () => Promise<void> = async () => {}): Promise<void> {
    this.#ready ??= this.#load(rest).catch((error) => {
      // The next who asks has it read again.
      this.stop();
      this.#ready = undefined;
      throw error;
    });
    return this.#ready;
  }

  stop(): void {
    this.#unsubscribe();
  }

  /** Id of the record that speaks for the pair, asked for or as the hub spells it. */
  find(pair: Pair): string | undefined {
    const key = keyOf(pair);
    return (this.#speaker(key) ?? this.#speaker(this.#aliases.get(key) ?? ""))?.id;
  }

  /** Id of the record that speaks for this key, if it is one that has a progress file. */
  tracked(key: string): string | undefined {
    const entry = this.#speaker(key);
    return entry && entry.rank > 0 ? entry.id : undefined;
  }

  /** Whether this record speaks for its pair. */
  isSpeaker({ id }: Pick<Download, "id">): boolean {
    return this.#speaker(this.#keys.get(id) ?? "")?.id === id;
  }

  /** Whether the pair of this record has this repository, this file, or any. */
  isAbout(id: string, wanted: Partial<Pair>): boolean {
    const bucket = this.#buckets.get(this.#keys.get(id) ?? "");
    return bucket !== undefined && isAbout(bucket, wanted);
  }

  /** Records that speak for pairs with this repository, or this file, or any; `seq` of the newest, and whether all have ended. */
  matching(wanted: Partial<Pair>): { ids: string[]; seq: number; isOver: boolean } {
    const found = { ids: [] as string[], seq: 0, isOver: true };
    for (const bucket of this.#buckets.values()) {
      const entry = bucket.speaker;
      if (!isAbout(bucket, wanted)) continue;
      found.ids.push(entry.id);
      found.seq = Math.max(found.seq, entry.seq);
      found.isOver &&= entry.isOver;
    }
    return found;
  }

  async #load(rest: () => Promise<void>): Promise<void> {
    this.#buckets.clear();
    this.#keys.clear();
    this.#aliases.clear();
    this.#gone = new Set();
    this.#unsubscribe = this.#downloads.feed.subscribe((event) => this.#apply(event));
    for await (const page of this.#downloads.everything()) {
      // What an event has told is newer than what was read.
      for (const row of page) if (!this.#keys.has(row.id) && !this.#gone.has(row.id)) this.#see(row);
      await rest();
    }
    this.#gone = undefined;
  }

  #apply(event: FeedEvent): void {
    if (event.type === "removed") this.#forget(event.id);
    else this.#see(event.download);
  }

  #forget(id: string): void {
    this.#gone?.add(id);
    const key = this.#keys.get(id);
    if (key === undefined) return;
    this.#drop(id, key);
    this.#listener(key, null);
  }

  #see(download: Snapshot): void {
    const { id, createdAt, seq, state } = download;
    const pair = pairOf(download);
    const key = bucketOf(pair, id);
    const before = this.#keys.get(id);
    // The file name of a URL may change when the server has spoken.
    if (before !== undefined && before !== key) this.#drop(id, before);
    const canonical = canonicalPairOf(download);
    const rank = isOwn(download) ? 2 : isTracked(download) ? 1 : 0;
    const entry: Entry = { id, rank, isOver: isFinished(state), createdAt, seq };
    const known = this.#buckets.get(key);
    const entries = known?.entries ?? new Map<string, Entry>();
    entries.set(id, entry);
    const speaker = speakerOf(entries, entry, known?.speaker);
    const bucket: Bucket = { pair, canonical: canonical.repo, entries, speaker };
    this.#buckets.set(key, bucket);
    this.#keys.set(id, key);
    if (canonical.repo !== pair.repo) this.#aliases.set(keyOf(canonical), key);
    this.#listener(key, speaker === entry ? download : null);
  }

  #drop(id: string, key: string): void {
    this.#keys.delete(id);
    const bucket = this.#buckets.get(key);
    if (!bucket) return;
    bucket.entries.delete(id);
    const [any] = bucket.entries.values();
    if (any && bucket.speaker.id === id) bucket.speaker = first(bucket.entries, any);
    if (any) return;
    this.#buckets.delete(key);
    for (const [alias, to] of this.#aliases) if (to === key) this.#aliases.delete(alias);
  }

  #speaker(key: string): Entry | undefined {
    return this.#buckets.get(key)?.speaker;
  }
}

const byRank = (a: Entry, b: Entry): number =>
  b.rank - a.rank || Number(a.isOver) - Number(b.isOver) || b.createdAt - a.createdAt;

/** Who speaks now that `changed` is as it is. */
function speakerOf(entries: ReadonlyMap<string, Entry>, changed: Entry, before: Entry | undefined): Entry {
  if (!before) return changed;
  const isFirst = byRank(changed, before) < 0;
  if (isFirst) return changed;
  return before.id === changed.id ? first(entries, changed) : before;
}

/** Of equal ones the first that came; `any` is one of them. */
function first(entries: ReadonlyMap<string, Entry>, any: Entry): Entry {
  let best: Entry | undefined;
  for (const entry of entries.values()) if (!best || byRank(entry, best) < 0) best = entry;
  return best ?? any;
}

/** Selections of one repository are different downloads under one name: each speaks for itself (R160). */
const bucketOf = (pair: Pair, id: string): string =>
  pair.file === "" ? JSON.stringify([pair.repo, "", id]) : keyOf(pair);

const isAbout = ({ pair, canonical }: Bucket, { repo, file }: Partial<Pair>): boolean =>
  (repo === undefined || repo === pair.repo || repo === canonical) &&
  (file === undefined || file === pair.file);
