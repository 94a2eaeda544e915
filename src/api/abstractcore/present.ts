import { Type } from "@sinclair/typebox";
import { STATES, type State } from "../../core/download.ts";
import type { Snapshot } from "../../core/feed.ts";
import { open, whole, word } from "../wire.ts";
import { type Asked, completeText, errorText, isDaemon, pulls, startingText } from "./providers.ts";

export const STATUS_WORDS = ["starting", "downloading", "verifying", "complete", "error"] as const;
export type Status = (typeof STATUS_WORDS)[number];

/** The seed's words for our states (A4, R167). */
export const STATUS: Record<State, Status> = {
  queued: "starting",
  downloading: "downloading",
  paused: "downloading",
  verifying: "verifying",
  creating_engine: "verifying",
  completed: "complete",
  failed: "error",
  cancelled: "error",
};

const orNull = <T extends object>(schema: T) => Type.Unsafe<unknown>({ ...schema, nullable: true });

/** One progress event: R166 with both spellings of the byte counts (R169), and our own fields beside them. */
export const ProgressSchema = open(
  {
    status: word(STATUS_WORDS),
    message: Type.String({ description: "For people; may change between versions" }),
    percent: orNull(
      Type.Number({ minimum: 0, maximum: 100, description: "Never falls; null while unknown" }),
    ),
    downloaded_bytes: orNull(whole("Bytes on disk; null while unknown")),
    total_bytes: orNull(whole("null while unknown")),
    downloaded: orNull(whole("The same as downloaded_bytes")),
    total: orNull(whole("The same as total_bytes")),
    state: orNull(word(STATES, "The exact state; null before there is a download")),
    id: orNull(Type.String({ format: "uuid", description: "For GET and DELETE /v1/downloads/{id}" })),
  },
  { description: "Progress of one model" },
);

/** The last event of a stream (R170, R171). */
export const MODEL_EVENTS = {
  done: open({ done: Type.Literal(true) }),
  error: open({ error: Type.String({ description: "For people" }) }),
};

export interface ProgressEvent {
  status: Status;
  message: string;
  percent: number | null;
  downloaded_bytes: number | null;
  total_bytes: number | null;
  downloaded: number | null;
  total: number | null;
  state: State | null;
  id: string | null;
}

/** An event about no download yet, or about one that never came to be. */
export const bare = (status: Status, message: string): ProgressEvent => ({
  status,
  message,
  ...counted(null, null),
  percent: null,
  state: null,
  id: null,
});

export const starting = ({ provider, model }: Asked): ProgressEvent =>
  bare("starting", startingText(provider, model));

/** `highest` is the percentage told before: it never falls, whatever is fetched again or found to be larger (A25). */
export function present(asked: Asked, download: Snapshot, highest: number | null): ProgressEvent {
  const { id, state, bytes, total } = download;
  const isDone = state === "completed";
  const isKnown = total !== null || bytes > 0;
  return {
    status: STATUS[state],
    message: messageOf(asked, download),
    percent: isDone ? 100 : atLeast(percentOf(asked, bytes, total), highest),
    ...counted(isKnown ? bytes : null, isDone ? (total ?? bytes) : total),
    state,
    id,
  };
}

const counted = (downloaded: number | null, total: number | null) => ({
  downloaded_bytes: downloaded,
  total_bytes: total,
  downloaded,
  total,
});

/** To two digits, rounded down: a hundred is the last byte. A daemon may still find more to fetch until it says so. */
function percentOf({ provider }: Asked, bytes: number, total: number | null): number | null {
  if (total === null || (total === 0 && bytes === 0)) return null;
  const share = Math.floor((bytes / total) * 10_000) / 100;
  return Math.min(share, isDaemon(provider) ? 99 : 100);
}

const atLeast = (percent: number | null, highest: number | null): number | null =>
  percent === null || highest === null ? (percent ?? highest) : Math.max(percent, highest);

function messageOf(asked: Asked, download: Snapshot): string {
  const { provider, model } = asked;
  switch (download.state) {
    case "queued":
      return waitingText(asked, download);
    case "downloading":
      return downloadingText(asked, download);
    case "paused":
      return "Paused";
    case "verifying":
      return verifyingText(asked, download);
    case "creating_engine":
      return `Creating the engine of ${model}`;
    case "completed":
      return completeText(provider, model);
    case "cancelled":
      return "Download cancelled";
    case "failed":
      return download.error ? errorText(asked, download.error) : `Download of ${model} failed`;
  }
}

function waitingText(asked: Asked, { waiting, error }: Snapshot): string {
  const why = error === null ? "" : `: ${errorText(asked, error)}`;
  switch (waiting?.reason) {
    case "all_paused":
      return "Waiting: all downloads are paused";
    case "disk":
    case "volume":
      return `Waiting for the disk${why}`;
    case "host_limit":
    case "retry":
      return `Waiting to try again${why}`;
    default:
      return `Waiting in the queue for ${asked.model}`;
  }
}

/** Of a daemon that says more than this one thing, what comes after the check is told as it says it. */
function verifyingText({ provider, model }: Asked, { statusLine = "" }: Snapshot): string {
  if (/^(verif|writ|remov)/i.test(statusLine)) return statusLine;
  return pulls(provider) ? "verifying sha256 digest" : `Verifying ${model}`;
}

/** A daemon's own lines are the seed's (R175). */
function downloadingText({ provider, model }: Asked, download: Snapshot): string {
  const { filesTotal, filesDone, statusLine } = download;
  if (statusLine !== undefined) return statusLine;
  if (filesTotal === 0)
    return pulls(provider) ? "pulling manifest" : `Asking for the list of files of ${model}`;
  const noun = pulls(provider) ? "layers" : "files";
  const count = filesTotal > 1 ? ` (${filesDone} of ${filesTotal} ${noun} complete)` : "";
  return `${pulls(provider) ? "downloading" : "Downloading"} ${model}${count}`;
}
