import { after } from "./delay.ts";
import { type Download, isFinished } from "./download.ts";
import { type DownloadProgress, type ModelRequest, modelProgress } from "./download-model.ts";
import { Downloads, type StartRequest } from "./downloads.ts";
import { Engines, Models } from "./engines.ts";
import { ModelhaulError, WaitTimeoutError } from "./errors.ts";
import { type WatchOptions, watch } from "./live.ts";
import type { LiveEvent } from "./live-event.ts";
import { Files, History, Hub, Service, SessionApi, SettingsApi } from "./service.ts";
import { type ModelhaulOptions, type RequestOptions, Transport } from "./transport.ts";

export interface WaitOptions extends RequestOptions {
  /** Milliseconds; default without end. Then it rejects with `WaitTimeoutError`. */
  timeoutMs?: number;
  /** Called with each state and progress on the way. */
  onProgress?: (download: Download) => void;
}

/** A download that was waited for has failed or was cancelled. */
export class DownloadFailedError extends Error {
  override readonly name = "DownloadFailedError";
  /** As it ended; `state` is `failed` or `cancelled`. */
  readonly download: Download;

  constructor(download: Download) {
    super(
      download.state === "cancelled"
        ? `Download of ${download.model_id} was cancelled`
        : `Download of ${download.model_id} failed: ${download.error_message ?? "no reason was given"}`,
    );
    this.download = download;
  }
}

/**
 * A client of one modelhaul server, for browsers, Bun, Deno and Node. Methods throw `ModelhaulError` for what the
 * server refuses and `ConnectionError` when there is no answer.
 *
 * ```ts
 * const modelhaul = new Modelhaul({ baseUrl: "http://localhost:8080" });
 * const { id } = await modelhaul.downloads.start({ repo_id: "acme/tiny-gguf", filename: "tiny-Q4_K_M.gguf" });
 * const done = await modelhaul.wait(id, { onProgress: ({ progress }) => console.log(progress.percentage) });
 * ```
 */
export class Modelhaul {
  readonly downloads: Downloads;
  readonly history: History;
  readonly settings: SettingsApi;
  readonly hub: Hub;
  readonly files: Files;
  readonly engines: Engines;
  readonly models: Models;
  readonly session: SessionApi;
  readonly service: Service;
  readonly #transport: Transport;

  constructor(options: ModelhaulOptions = {}) {
    const transport = new Transport(options);
    this.#transport = transport;
    this.downloads = new Downloads(transport);
    this.history = new History(transport);
    this.settings = new SettingsApi(transport);
    this.hub = new Hub(transport);
    this.files = new Files(transport);
    this.engines = new Engines(transport);
    this.models = new Models(transport);
    this.session = new SessionApi(transport);
    this.service = new Service(transport);
  }

  /** Live events over WebSocket, else server-sent events, else polling; see `watch`. */
  watch(options: WatchOptions = {}): AsyncGenerator<LiveEvent> {
    return watch(this.#transport, options);
  }

  /**
   * Resolves with the download once it is complete, at once when it is already. Rejects with `DownloadFailedError`,
   * `WaitTimeoutError`, the signal's reason, and with `ModelhaulError` 404 when there is none or its record is removed.
   */
  async wait(id: string, options: WaitOptions = {}): Promise<Download> {
    const { signal, timeoutMs, onProgress } = options;
    const over = new AbortController();
    const stop = (): void => over.abort();
    let isLate = false;
    const timer =
      timeoutMs === undefined
        ? undefined
        : after(timeoutMs, () => {
            isLate = true;
            stop();
          });
    signal?.addEventListener("abort", stop);
    try {
      signal?.throwIfAborted();
      for await (const event of this.watch({ ids: [id], signal: over.signal })) {
        for (const download of downloadsOf(event)) {
          onProgress?.(download);
          if (download.state === "completed") return download;
          if (isFinished(download)) throw new DownloadFailedError(download);
        }
      }
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    }
    signal?.throwIfAborted();
    if (isLate) throw new WaitTimeoutError(`${id} was not complete within ${timeoutMs} ms`);
    throw new ModelhaulError(`The record of ${id} was removed`, { status: 404, code: "download_not_found" });
  }

  /** Starts a download and resolves when it is complete; see `wait`. */
  async download(request: StartRequest, options: WaitOptions = {}): Promise<Download> {
    const { signal } = options;
    const { id } = await this.downloads.start(request, signal && { signal });
    return this.wait(id, options);
  }

  /** A model by its provider's own name, with progress; see `downloadModel`. */
  downloadModel(
    provider: string,
    model: string,
    request: ModelRequest = {},
  ): AsyncGenerator<DownloadProgress> {
    return modelProgress(this.#transport, provider, model, request);
  }
}

/** One call that downloads a model of any provider and tells how far it is (see `modelProgress`). */
export function downloadModel(
  provider: string,
  model: string,
  { token, base_url, layout, revision, signal, ...options }: ModelRequest & ModelhaulOptions = {},
): AsyncGenerator<DownloadProgress> {
  const request = { token, base_url, layout, revision, signal };
  return new Modelhaul(options).downloadModel(provider, model, request);
}

function downloadsOf(event: LiveEvent): readonly Download[] {
  if (event.type === "snapshot") return event.downloads;
  return event.type === "download" ? [event.download] : [];
}
