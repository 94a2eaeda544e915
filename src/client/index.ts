/** A client of modelhaul for browsers, Bun, Deno and Node from 20 on: standard fetch, WebSocket and AbortSignal only. */
export { DownloadFailedError, downloadModel, Modelhaul, type WaitOptions } from "./client.ts";
export * from "./download.ts";
export type { DownloadProgress, DownloadProgressStatus, ModelRequest } from "./download-model.ts";
export type * from "./downloads.ts";
export type * from "./engines.ts";
export {
  ConnectionError,
  type ErrorCode,
  type ErrorType,
  ModelhaulError,
  WaitTimeoutError,
} from "./errors.ts";
export { formatBytes, formatDuration, formatSpeed, formatTime } from "./format.ts";
export type { Link, WatchOptions } from "./live.ts";
export type { DownloadEvent, LiveEvent, RemovedEvent, SnapshotEvent } from "./live-event.ts";
export {
  DownloadProgressManager,
  type DownloadRequest,
  type DownloadResponse,
  type DownloadStatus,
  type ProgressManagerOptions,
  type StatusListener,
  startDownload,
} from "./local.ts";
export { AdvancedDownloadManager, DownloadManager, type ManagerEvents } from "./manager.ts";
export type * from "./service.ts";
export { type DownloadStatistics, getDownloadStatistics } from "./statistics.ts";
export type { ModelhaulOptions, RequestOptions, SocketConstructor, SocketLike } from "./transport.ts";
