import type { State } from "../../core/download.ts";
import type { Snapshot } from "../../core/feed.ts";
import type { Told, Tongue } from "../frames.ts";
import { names } from "../names.ts";
import type { StatusWord } from "./schemas.ts";

/** This family's words for our states (A4). */
export const STATUS: Record<State, StatusWord> = {
  queued: "pending",
  downloading: "downloading",
  paused: "pending",
  verifying: "downloading",
  creating_engine: "downloading",
  completed: "completed",
  failed: "failed",
  cancelled: "cancelled",
};

const BITS = 8;
const MEGA = 1_000_000;

/** The seed's DownloadStatus: its 13 keys, always all of them, null where nothing is known (A9); ours is `state`. */
export function present(download: Snapshot) {
  const { id, state, bytes, total, error, startedAt, endedAt } = download;
  const { repo, file } = names(download);
  const isComplete = state === "completed";
  return {
    download_id: id,
    repo_id: repo,
    filename: file,
    status: STATUS[state],
    progress_percent: isComplete ? 100 : percent(bytes, total),
    bytes_downloaded: bytes,
    total_bytes: total,
    download_speed_mbps: megabits(download),
    eta_seconds: remainingSeconds(download),
    error_message: state === "failed" ? (error?.message ?? "The download failed") : null,
    started_at: isoTime(startedAt),
    completed_at: isComplete ? isoTime(endedAt) : null,
    local_file_path: isComplete ? download.localPath : null,
    state,
  };
}

/** Unnamed events (R7), one for each download. There is no word for a record that is removed. */
export const LOCAL: Tongue = {
  say(told: Told): string {
    if (told.type === "removed") return "";
    const downloads = told.type === "snapshot" ? told.downloads : [told.download];
    return downloads.map((download) => `data: ${JSON.stringify(present(download))}\n\n`).join("");
  },
};

/** ISO 8601 in UTC as the seed writes it, in whole seconds (A8). `ms` are epoch milliseconds. */
export const isoTime = (ms: number | null): string | null =>
  ms === null ? null : new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");

/** R11: always a number, 0 while the size is unknown. */
function percent(bytes: number, total: number | null): number {
  if (total === null || total <= 0) return 0;
  return Math.min((bytes / total) * 100, 100);
}

/** R13: null unless bytes move, or have moved just now. */
function megabits({ state, speed, averageBps }: Snapshot): number | null {
  if (state !== "downloading" || (speed === 0 && averageBps === 0)) return null;
  return Math.round((speed * BITS * 1000) / MEGA) / 1000;
}

function remainingSeconds({ state, total, bytes, speed, averageBps }: Snapshot): number | null {
  const rate = speed > 0 ? speed : averageBps;
  if (state !== "downloading" || total === null || rate < 1) return null;
  return Math.ceil(Math.max(0, total - bytes) / rate);
}
