/** A download in words. */
import { percent, safe, size, speed } from "./format.ts";
import type { WireDownload } from "./wire.ts";

/** `org/name: downloading 10.0% (1.2 GB of 12 GB, 35 MB/s)` */
export function describe(download: WireDownload): string {
  const { downloaded_bytes: done, total_bytes: total } = download.progress;
  const share = percent(done, total);
  const amount = total > 0 ? `${size(done)} of ${size(total)}` : size(done);
  const rate = download.speed !== undefined && download.speed > 0 ? `, ${speed(download.speed)}` : "";
  const why = waitingFor(download);
  return `${safe(download.model_id)}: ${download.state}${share && ` ${share}`} (${amount}${rate})${why && `, ${why}`}`;
}

const REASONS: Record<string, string> = {
  user: "paused",
  all_paused: "waiting: all downloads are paused by the settings",
  queue: "waiting for a free place",
  disk: "waiting for disk space",
  volume: "waiting for the volume to come back",
  host_limit: "waiting because the server asked for it",
  retry: "waiting to try again",
};

/** Why it does not move, with the error that led to it. */
export function waitingFor(download: WireDownload): string {
  const reason = download.waiting?.reason;
  if (reason === undefined || reason === "user" || reason === "queue") return "";
  // What made it wait before does not matter meanwhile.
  const error =
    download.last_error && reason !== "all_paused" ? `: ${safe(download.last_error.message)}` : "";
  const isFull = (download.last_error?.code ?? "no_space") === "no_space";
  const words = reason === "disk" && !isFull ? "waiting for the disk" : (REASONS[reason] ?? safe(reason));
  return words + error;
}
