import type { State } from "../../core/download.ts";
import type { DownloadError } from "../../core/errors.ts";
import type { Snapshot } from "../../core/feed.ts";
import { kolosalRefusal } from "../envelope.ts";
import type { Problem } from "../problem.ts";
import { json } from "../reply.ts";
import { pairOf } from "./pair.ts";

/** R150: words of the progress files and of `/api/download` (A4). */
export const FILE_WORDS = ["queued", "in-progress", "done", "failed"] as const;
export const FILE_STATUS: Record<State, (typeof FILE_WORDS)[number]> = {
  queued: "queued",
  downloading: "in-progress",
  paused: "queued",
  verifying: "in-progress",
  creating_engine: "in-progress",
  completed: "done",
  failed: "failed",
  cancelled: "failed",
};

/** R163: words of `/api/progress` (A4). */
export const VIEW_WORDS = ["queued", "downloading", "done", "failed"] as const;
export const VIEW_STATUS: Record<State, (typeof VIEW_WORDS)[number]> = {
  queued: "queued",
  downloading: "downloading",
  paused: "queued",
  verifying: "downloading",
  creating_engine: "downloading",
  completed: "done",
  failed: "failed",
  cancelled: "failed",
};

/** Whole tenths of a percent, rounded down: a hundred is shown when the last byte is there and not before. */
function percent({ state, bytes, total }: Snapshot): number {
  if (state === "completed") return 100;
  if (total === null || total <= 0) return 0;
  return Math.min(Math.floor((bytes / total) * 1000) / 10, 100);
}

/** What is only being tried again has no error yet. */
function errorOf({ state, error }: Snapshot): string | null {
  if (state === "cancelled") return "Download cancelled";
  return state === "failed" ? (error?.message ?? "Download failed") : null;
}

/** Content of a progress file: exactly these three (R149). */
export const presentFile = (download: Snapshot) => ({
  status: FILE_STATUS[download.state],
  progress: percent(download),
  error: errorOf(download),
});

/** Our own fields beside the three. `id` is good for every other family's routes, pause and resume for example. */
function extras(download: Snapshot) {
  const { repo, file } = pairOf(download);
  return {
    ModelRepo: repo,
    FilePath: file,
    id: download.id,
    model_id: download.modelId,
    state: download.state,
    downloaded_bytes: download.bytes,
    total_bytes: download.total ?? 0,
  };
}

/** One download as `/api/progress` shows it. */
export const presentView = (download: Snapshot) => ({
  ...presentFile(download),
  status: VIEW_STATUS[download.state],
  ...extras(download),
});

/** What `/api/download` answers: what is so, and in words what that means for the request. */
export const presentAnswer = (download: Snapshot, message: string) => ({
  ...presentFile(download),
  message,
  ...extras(download),
});

/** A5: how this family says no. */
export const refusalBody = (message: string) => ({ status: "failed", progress: 0, error: message });

/** `Family.refuse` of this family. */
export function refuseWingman(reason: Problem | DownloadError): Response {
  const { status, error, headers } = kolosalRefusal(reason);
  return json(refusalBody(error.message), status, headers);
}
