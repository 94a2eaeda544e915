/** Time that passes between two news of a download. */
import { signal } from "@preact/signals";
import { connection, isStale } from "../../state/connection.ts";
import { everySecond } from "../../state/frames.ts";
import { isFinished } from "../../state/tally.ts";
import type { DownloadItem } from "../../state/types.ts";

/** Epoch milliseconds, once a second while somebody looks. */
const now = signal(Date.now(), {
  watched() {
    now.value = Date.now();
    end = everySecond(() => {
      if (document.visibilityState !== "hidden") now.value = Date.now();
    });
  },
  unwatched: () => end(),
});
let end = (): void => {};

/** When each was first looked at; the server's clock may be another than this browser's. */
const seen = new WeakMap<DownloadItem, number>();

/** Seconds since it was asked for; goes on by itself until it has ended, or until nobody knows any more. */
export function elapsed(download: DownloadItem): number {
  const { elapsed_seconds } = download.timing;
  if (isFinished(download.state)) return elapsed_seconds;
  const first = seen.get(download) ?? Date.now();
  seen.set(download, first);
  const until = isStale.value ? connection.value.since : now.value;
  return elapsed_seconds + Math.max(0, (until - first) / 1000);
}

/** Whole seconds until then; undefined when that is past. */
export function secondsUntil(at: number | undefined): number | undefined {
  if (at === undefined) return undefined;
  const left = Math.ceil((at - now.value) / 1000);
  return left > 0 ? left : undefined;
}
