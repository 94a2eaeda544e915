import { delay } from "./delay.ts";
import type { State } from "./download.ts";
import { ModelhaulError } from "./errors.ts";
import { messages } from "./sse.ts";
import { type ModelhaulOptions, pathOf, type RequestOptions, Transport } from "./transport.ts";

/** Body of `POST /local/download`. */
export interface DownloadRequest {
  /** Hub repository, owner/name. */
  repo_id: string;
  filename: string;
}

export interface DownloadResponse {
  /** UUID. */
  download_id: string;
  message: string;
}

/** One download in the words of the local family. */
export interface DownloadStatus {
  download_id: string;
  repo_id: string;
  filename: string;
  status: "pending" | "downloading" | "completed" | "failed" | "cancelled";
  /** 0 to 100. */
  progress_percent: number;
  bytes_downloaded: number;
  total_bytes?: number | null;
  /** Megabits (10^6) per second. */
  download_speed_mbps?: number | null;
  eta_seconds?: number | null;
  error_message?: string | null;
  /** ISO 8601, UTC. */
  started_at?: string | null;
  completed_at?: string | null;
  local_file_path?: string | null;
  /** The same more exactly, as the native API has it. */
  state?: State;
}

export type StatusListener = (status: DownloadStatus) => void;

export interface ProgressManagerOptions extends Omit<ModelhaulOptions, "baseUrl"> {
  /** Milliseconds until a broken connection is made again, default 5000. */
  reconnectMs?: number;
  /** Told when the connection breaks or is refused; it is tried again whatever the reason. */
  onError?: (error: Error) => void;
}

const DEFAULT_BASE = "http://127.0.0.1:8000";
/** Downloads that have ended, whose last status is kept. */
const MOST_ENDED = 1000;
const isEnded = ({ status }: DownloadStatus): boolean =>
  status === "completed" || status === "failed" || status === "cancelled";

/** Starts downloading one file of a hub. Throws `ModelhaulError` and `ConnectionError`. */
export function startDownload(
  repoId: string,
  filename: string,
  options: ModelhaulOptions & RequestOptions = {},
): Promise<DownloadResponse> {
  const transport = new Transport({ baseUrl: DEFAULT_BASE, ...options });
  return start(transport, repoId, filename, options.signal);
}

const start = (
  transport: Transport,
  repo_id: string,
  filename: string,
  signal?: AbortSignal,
): Promise<DownloadResponse> =>
  transport.json("POST", "/local/download", { body: { repo_id, filename }, ...(signal && { signal }) });

/**
 * One stream of all downloads, handed out by download. It keeps the last status of each, so that whoever subscribes
 * is told at once how it stands, also when it has ended before. A listener is dropped when its download has ended.
 */
export class DownloadProgressManager {
  readonly #options: ProgressManagerOptions;
  readonly #listeners = new Map<string, Set<StatusListener>>();
  readonly #last = new Map<string, DownloadStatus>();
  #transport: Transport;
  #connection: AbortController | undefined;

  constructor(options: ProgressManagerOptions = {}) {
    this.#options = options;
    this.#transport = new Transport({ ...options, baseUrl: DEFAULT_BASE });
  }

  /** Listens to this server, and to no other any more. */
  connect(baseUrl: string = DEFAULT_BASE): void {
    this.disconnect();
    this.#transport = new Transport({ ...this.#options, baseUrl });
    this.#connection = new AbortController();
    void this.#listen(this.#transport, this.#connection.signal);
  }

  /** The last statuses are kept. */
  disconnect(): void {
    this.#connection?.abort();
    this.#connection = undefined;
  }

  /** Calls back with the last status there is, then with each new one. Answers how to be called no longer. */
  subscribe(downloadId: string, callback: StatusListener): () => void {
    const listeners = this.#listeners.get(downloadId) ?? new Set();
    this.#listeners.set(downloadId, listeners.add(callback));
    const last = this.#last.get(downloadId);
    // Behind the caller's own work, as every other status comes.
    if (last)
      queueMicrotask(() => {
        if (listeners.has(callback) && this.#last.get(downloadId) === last) this.#tell(last, [callback]);
      });
    return () => this.#drop(downloadId, callback);
  }

  /** Drops all listeners of this download. */
  unsubscribe(downloadId: string): void {
    this.#listeners.get(downloadId)?.clear();
    this.#listeners.delete(downloadId);
  }

  /** How a download stands, as far as it was heard of. */
  last(downloadId: string): DownloadStatus | undefined {
    return this.#last.get(downloadId);
  }

  /** Starts one at the server it is connected to. */
  startDownload(repoId: string, filename: string, options: RequestOptions = {}): Promise<DownloadResponse> {
    return start(this.#transport, repoId, filename, options.signal);
  }

  /** Cancels one. Throws `ModelhaulError` 404 `DOWNLOAD_NOT_FOUND`, 409 `DOWNLOAD_NOT_ACTIVE`. */
  cancelDownload(downloadId: string, options: RequestOptions = {}): Promise<{ message: string }> {
    return this.#transport.json("DELETE", pathOf`/local/download/${downloadId}`, options);
  }

  async #listen(transport: Transport, signal: AbortSignal): Promise<void> {
    const { reconnectMs = 5000, onError } = this.#options;
    while (!signal.aborted) {
      const release = new AbortController();
      try {
        const either = AbortSignal.any([signal, release.signal]);
        const answer = await transport.open("GET", "/local/download/status", { signal: either });
        for await (const { data } of messages(answer, () => release.abort())) {
          if (signal.aborted) return;
          this.#take(JSON.parse(data) as DownloadStatus);
        }
      } catch (error) {
        if (signal.aborted) return;
        onError?.(error instanceof Error ? error : new ModelhaulError(String(error), { status: 0 }));
      }
      await delay(reconnectMs, signal);
    }
  }

  #take(status: DownloadStatus): void {
    const id = status.download_id;
    this.#last.delete(id);
    this.#last.set(id, status);
    this.#tell(status, [...(this.#listeners.get(id) ?? [])]);
    if (isEnded(status)) this.#forgetOldest();
  }

  #tell(status: DownloadStatus, listeners: readonly StatusListener[]): void {
    for (const listener of listeners) {
      if (isEnded(status)) this.#drop(status.download_id, listener);
      try {
        listener(status);
      } catch (error) {
        // One listener's trouble is none of the others'.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  #drop(downloadId: string, listener: StatusListener): void {
    const listeners = this.#listeners.get(downloadId);
    listeners?.delete(listener);
    if (listeners?.size === 0) this.#listeners.delete(downloadId);
  }

  #forgetOldest(): void {
    const ended = [...this.#last.values()].filter(isEnded);
    for (const { download_id } of ended.slice(0, Math.max(0, ended.length - MOST_ENDED)))
      this.#last.delete(download_id);
  }
}
