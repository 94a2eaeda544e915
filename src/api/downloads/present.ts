import type { Digest, Download, File, State } from "../../core/download.ts";
import type { Snapshot } from "../../core/feed.ts";
import { names } from "../names.ts";
import { engineBrief, engineFull } from "./present-engine.ts";

/** Kolosal's words for our states (A4): no client of that family ever sees another one. */
export const STATUS: Record<State, string> = {
  queued: "downloading",
  downloading: "downloading",
  paused: "paused",
  verifying: "downloading",
  creating_engine: "creating_engine",
  completed: "completed",
  failed: "failed",
  cancelled: "cancelled",
};

/** The kolosal object of one download with our own fields beside it (DESIGN §5). `now` is epoch milliseconds. */
export function present(download: Snapshot, now: number) {
  const { engine } = download;
  return {
    ...core(download, now),
    ...(engine === null ? {} : { engine_creation: engineBrief(engine) }),
    ...extras(download),
  };
}

/**
 * The same as shown alone: more about the engine (R69-R71), and the files when they are given; `whole` says of files by
 * id whether they are still there.
 */
export function presentOne(
  download: Snapshot,
  now: number,
  files?: readonly File[],
  whole?: ReadonlyMap<number, boolean>,
) {
  const { engine } = download;
  return {
    ...core(download, now),
    ...(engine === null ? {} : { engine_creation: engineFull(engine) }),
    ...extras(download),
    ...(files === undefined
      ? {}
      : {
          files: files.map((file) => ({
            ...presentFile(file),
            ...optional("exists", whole?.get(file.id) ?? null),
          })),
        }),
  };
}

/** The seed's own keys, in its order. */
function core(download: Snapshot, now: number) {
  const { type, state, error } = download;
  return {
    model_id: download.modelId,
    status: STATUS[download.state],
    download_type: type,
    type,
    url: download.source.url,
    local_path: download.localPath ?? "",
    progress: progress(download),
    timing: timing(download, now),
    ...(error === null || state !== "failed" ? {} : { error_message: error.message }),
  };
}

/** R88: of nothing known it is 0.0, and never a hundred before the last byte. */
function percentage(bytes: number, total: number): number {
  const share = (bytes / total) * 100;
  return Number.isFinite(share) ? Math.min(share, 100) : 0;
}

function progress(download: Snapshot) {
  const total = download.total ?? 0;
  return {
    downloaded_bytes: download.bytes,
    total_bytes: total,
    percentage: percentage(download.bytes, total),
    download_speed_bps: Math.round(download.averageBps),
  };
}

function timing(download: Snapshot, now: number) {
  const remaining = remainingSeconds(download);
  const end = download.endedAt;
  return {
    start_time: download.createdAt,
    elapsed_seconds: Math.max(0, Math.floor(((end ?? now) - download.createdAt) / 1000)),
    ...(remaining === undefined ? {} : { estimated_remaining_seconds: remaining }),
    ...(end === null ? {} : { end_time: end }),
  };
}

/** R90: only while bytes move and their number is known. */
function remainingSeconds({ state, total, bytes, speed, averageBps }: Snapshot): number | undefined {
  const rate = speed > 0 ? speed : averageBps;
  if (state !== "downloading" || total === null || total <= 0 || bytes <= 0 || rate < 1) return undefined;
  return Math.ceil(Math.max(0, total - bytes) / rate);
}

/** Our own fields. What is unknown is left out (A9). */
function extras(download: Snapshot) {
  const { source, waiting, retry, error } = download;
  const { repo, file } = names(download);
  return {
    id: download.id,
    state: download.state,
    ...optional("previous_state", download.previousState),
    ...optional("position", download.place),
    attempts: download.attempt,
    speed: Math.round(download.speed),
    connections: download.connections,
    ...optional("bottleneck", download.bottleneck),
    ...optional("status_line", download.statusLine ?? null),
    ...(waiting === null
      ? {}
      : { waiting: { reason: waiting.reason, ...optional("until", waiting.until ?? null) } }),
    ...errorFields(download.state, error),
    warnings: download.warnings,
    priority: download.priority,
    rate_limit_bps: download.rateLimit,
    ...(retry === null ? {} : { retry: presentRetry(retry) }),
    provider: source.provider,
    repo_id: repo,
    filename: file,
    ...optional("revision", source.revision ?? null),
    ...optional("commit", download.commit),
    layout: download.layout,
    model_type: download.modelType,
    files_total: download.filesTotal,
    files_done: download.filesDone,
    ...(Object.keys(download.labels).length === 0 ? {} : { labels: download.labels }),
  };
}

/** What is only being tried again has no error yet: the seeds' clients give up on one that has `error_message`. */
function errorFields(state: State, error: Download["error"]) {
  if (error === null) return {};
  return state === "failed" ? { error_code: error.code } : { last_error: error };
}

const optional = <K extends string, V>(key: K, value: V | null): { [P in K]?: V } =>
  value === null ? {} : ({ [key]: value } as { [P in K]: V });

export const presentRetry = (retry: NonNullable<Download["retry"]>) => ({
  max_attempts: retry.maxAttempts,
  base_ms: retry.baseMs,
  max_ms: retry.maxMs,
  jitter: retry.jitter,
});

export const digestText = ({ algorithm, hex }: Digest): string => `${algorithm}:${hex}`;

/** What its last verification found. */
function presentCheck(checked: File["checked"]) {
  if (checked === null) return {};
  return { checked_at: checked.at, ...optional("matches", checked.matches) };
}

export function presentFile(file: File) {
  const digest = file.digest ?? file.computed;
  const local = file.target;
  return {
    id: file.id,
    path: file.path,
    size: file.size ?? 0,
    bytes: file.bytes,
    state: file.state,
    verified: file.verified,
    ...presentCheck(file.checked),
    ...(digest === null ? {} : { digest: digestText(digest) }),
    ...(local === null ? {} : { local_path: local }),
    ...(file.error === null ? {} : { error: file.error }),
  };
}
