/** From what is told to what is shown: events, and the lists that fill what events leave out. */
import type { LiveEvent } from "../../src/client/index.ts";
import { ApiError, server } from "./api.ts";
import { drop, isLoaded, items, peek, put, replaceAll } from "./store.ts";
import { isFinished } from "./tally.ts";
import type { DownloadItem } from "./types.ts";

/** For each list that is being read, what events have told of meanwhile: there the list may be older. */
const reading = new Set<Set<string>>();
/** A few are asked for one by one, more as a list. */
const FEW = 20;
const PAGE = 1000;
const SOON_MS = 300;

/** Takes what a live event tells. */
export function take(event: LiveEvent): void {
  if (event.type === "removed") {
    isFresh(event.id);
    drop(event.id);
  } else if (event.type === "download") {
    isFresh(event.download.id);
    put(event.download);
    if (event.download.state === "queued" && event.download.position === undefined)
      askPlace(event.download.id);
  } else takeSnapshot(event.downloads);
}

function isFresh(id: string): void {
  for (const told of reading) told.add(id);
}

/** What a snapshot does not hold has ended long ago, or its record is gone. */
function takeSnapshot(downloads: readonly DownloadItem[]): void {
  const told = new Set(downloads.map(({ id }) => id));
  const missing = [...items()].filter(({ id, state }) => !told.has(id) && !isFinished(state));
  for (const download of downloads) {
    isFresh(download.id);
    put(download);
  }
  if (downloads.length > 0) isLoaded.value = true;
  if (missing.length > FEW) void loadAll().catch(() => {});
  else void askEach(missing.map(({ id }) => id));
}

/** Reads the whole list, history included, page by page; what is in none of them is gone. Throws as `server` does. */
export const loadAll = (): Promise<void> => load("all");

/** What has ended, beside the snapshot that has the rest. Where it fails, what is known stays. */
export async function loadFinished(): Promise<void> {
  await load("finished").catch(() => {});
  isLoaded.value = true;
}

async function load(state: "all" | "finished"): Promise<void> {
  const seen: DownloadItem[] = [];
  const told = new Set<string>();
  reading.add(told);
  try {
    for await (const download of server.downloads.all({ state, limit: PAGE })) seen.push(download);
  } finally {
    reading.delete(told);
  }
  const known = seen.filter(({ id }) => !told.has(id));
  replaceAll(
    known,
    (download) => told.has(download.id) || (state === "finished" && !isFinished(download.state)),
  );
}

async function askEach(ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    try {
      const { files: _, ...download } = await server.downloads.get(id);
      put(download);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) drop(id);
    }
  }
}

/* ------------------------------------------------------------ places in queue */

/** Events tell that a download waits, not where. */
const placeless = new Set<string>();

function askPlace(id: string): void {
  if (placeless.size === 0) setTimeout(askPlaces, SOON_MS);
  placeless.add(id);
}

async function askPlaces(): Promise<void> {
  const ids = [...placeless].filter((id) => peek(id)?.state === "queued");
  placeless.clear();
  if (ids.length <= FEW) return askEach(ids);
  try {
    for await (const download of server.downloads.all({ state: "queued", limit: PAGE })) put(download);
  } catch {
    // The next event asks again.
  }
}
