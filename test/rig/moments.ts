import type { LiveEvents } from "../support/live.ts";
import { between, oneOf } from "../support/random.ts";

/** When a process is ended. */
export interface Moment {
  name: string;
  /** Resolves when it has come, or when it does not come in time. */
  reached: Promise<boolean>;
}

const EARLIEST_MS = 50;
const LATEST_MS = 1500;
/** After a marker: at once, or as long as the steps behind it take. */
const LATER_MS = [0, 0, 1, 3, 8, 20];

interface Seen {
  state: string;
  progress: { downloaded_bytes: number; total_bytes: number | null };
}

/** Points of a download's life between whose steps a crash would hurt most. */
const MARKERS: Record<string, (download: Seen, previous: string | undefined) => boolean> = {
  downloading: ({ state }, previous) => state === "downloading" && previous !== "downloading",
  "last bytes": ({ state, progress: { downloaded_bytes, total_bytes } }) =>
    state === "downloading" && total_bytes !== null && downloaded_bytes > 0.9 * total_bytes,
  verifying: ({ state }) => state === "verifying",
  completed: ({ state }) => state === "completed",
  paused: ({ state }) => state === "paused",
};

/** Half of the moments are anywhere within a second and a half, half of them just after a marker. */
export function momentOf(next: () => number, events: LiveEvents): Moment {
  if (next() < 0.5) {
    const wait = between(next, EARLIEST_MS, LATEST_MS);
    return { name: "at random", reached: Bun.sleep(wait).then(() => true) };
  }
  // Most of a life is spent before its end, so the end is aimed at more often.
  const name = oneOf(next, [
    "downloading",
    "last bytes",
    "verifying",
    "verifying",
    "completed",
    "completed",
    "paused",
  ]);
  const holds = MARKERS[name]!;
  const later = oneOf(next, LATER_MS);
  const known = events.all.length;
  const fits = (event: LiveEvents["all"][number]): boolean =>
    events.all.indexOf(event) >= known &&
    event.data.download !== undefined &&
    holds(event.data.download as Seen, event.data.previous_state as string | undefined);
  const reached = events.next(fits, LATEST_MS).then(
    () => Bun.sleep(later).then(() => true),
    () => false,
  );
  return { name, reached };
}
