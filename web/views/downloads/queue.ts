/** The order of the queue: moved by hand; `web/state` keeps it true while others move it too. */
import { signal } from "@preact/signals";
import { tell } from "../../state/actions.ts";
import { server } from "../../state/api.ts";
import { comparer } from "../../state/order.ts";
import { prefs } from "../../state/prefs.ts";
import { flush, items, peek, pretend, put } from "../../state/store.ts";
import type { DownloadItem } from "../../state/types.ts";

/** Told to screen readers after a move. */
export const told = signal("");

/** Only a list in the order of the queue can be put into another one by hand. */
export const isQueueOrder = (): boolean => prefs.sort.value === "queue" && !prefs.descending.value;

export type Place = { before: string } | { after: string } | { position: number };

function queued(): DownloadItem[] {
  return [...items()]
    .filter(({ state }) => state === "queued")
    .sort(comparer({ sort: "queue", descending: false }));
}

/** Moves are sent one after the other: the next may be relative to this one. */
let sent: Promise<unknown> = Promise.resolve();

/** Moves a waiting download; shown at once, then as the server has it. Resolves with whether it moved. */
export async function moveTo(id: string, to: Place): Promise<boolean> {
  flush();
  const next = reordered(
    queued().map((item) => item.id),
    id,
    to,
  );
  const name = peek(id)?.model_id ?? id;
  if (next === undefined) return false;
  const place = next.indexOf(id) + 1;
  const end = pretend(id, { position: place });
  flush();
  const mine = sent.then(() => send(id, to));
  sent = mine;
  const hasMoved = await mine;
  end();
  told.value = hasMoved ? `${name}: place ${place} of ${next.length} in the queue` : `${name} was not moved`;
  return hasMoved;
}

/** Not through `actions`: a download that is being moved can be paused or cancelled all the same. */
async function send(id: string, to: Place): Promise<boolean> {
  try {
    put(await server.downloads.change(id, to));
    return true;
  } catch (error) {
    tell(error);
    return false;
  }
}

/** One place on, or back. */
export function step(id: string, by: 1 | -1): Promise<boolean> {
  const ids = queued().map((item) => item.id);
  const neighbour = ids[ids.indexOf(id) + by];
  if (neighbour === undefined) return Promise.resolve(false);
  return moveTo(id, by < 0 ? { before: neighbour } : { after: neighbour });
}

export const toFront = (id: string): Promise<boolean> => moveTo(id, { position: 1 });
export const toEnd = (id: string): Promise<boolean> => moveTo(id, { position: queued().length });

/** The ids with one of them elsewhere; undefined when that is where it is, or nowhere. Pure. */
export function reordered(ids: readonly string[], id: string, to: Place): string[] | undefined {
  const from = ids.indexOf(id);
  const rest = ids.filter((other) => other !== id);
  const at =
    "position" in to
      ? to.position - 1
      : "before" in to
        ? rest.indexOf(to.before)
        : rest.indexOf(to.after) + 1;
  const isKnown = "position" in to || ids.includes("before" in to ? to.before : to.after);
  if (from < 0 || at < 0 || at === from || !isKnown) return undefined;
  rest.splice(at, 0, id);
  return rest;
}
