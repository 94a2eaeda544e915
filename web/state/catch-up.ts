/** From what is told to what is shown: events, and the lists that fill what events leave out. */
import type { LiveEvent } from "../../src/client/index.ts";
import { ApiError, server } from "./api.ts";
import { drop, isLoaded, items, put, replaceAll } from "./store.ts";
import { isFinished } from "./tally.ts";
import type { DownloadItem } from "./types.ts";

/** Told of by events while a list is being read: the list may be older. */
let fresh: Set<string> | undefined;
/** A few are asked for one by one, more as a list. */
const FEW = 20;
const PAGE = 1000;
const SOON_MS = 300;

/** Takes what a live event tells. */
export function take(event: LiveEvent): void {
  if (event.type === "removed") {
    fresh?.add(event.id);
    drop(event.id);
  } else if (event.type === "download") {
    fresh?.add(event.download.id);
    put(event.download);
    if (event.download.state === "queued" && event.download.position === undefined)
      askPlace(event.download.id);
  } else takeSnapshot(event.downloads);
}

/** What a snapshot does not hold has ended long ago, or its record is gone. */
function takeSnapshot(downloads: readonly DownloadItem[]): void {
  const told = new Set(downloads.map(({ id }) => id));
  const missing = [...items()].filter(({ id, state }) => !told.has(id) && !isFinished(state));
  for (const download of downloads) {
    fresh?.add(download.id);
    put(download);
  }
  if (missing.length > FEW) void loadAll().catch(() => {});
  else void askEach(missing.map(({ id }) => id));
}

/** Reads the whole list, history included, page by page; what is in none of them is gone. Throws as `server` does. */
export async function loadAll(): Promise<void> {
  const seen: DownloadItem[] = [];
  const told = new Set<string>();
  fresh = told;
  try {
    for await (const download of server.downloads.all({ limit: PAGE })) {
      seen.push(download);
      if (seen.length === PAGE && !isLoaded.peek())
        for (const each of seen) if (!told.has(each.id)) put(each);
    }
  } finally {
    if (fresh === told) fresh = undefined;
  }
  replaceAll(
    seen.filter(({ id }) => !told.has(id)),
    ({ id }) => told.has(id),
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
  const ids = [...placeless];
  placeless.clear();
  if (ids.length <= FEW) return askEach(ids);
  try {
    for await (const download of server.downloads.all({ state: "queued", limit: PAGE })) put(download);
  } catch {
    // The next event asks again.
  }
}
