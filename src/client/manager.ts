import { Modelhaul, type WaitOptions } from "./client.ts";
import { delay } from "./delay.ts";
import type { Download, Progress, Status, Timing } from "./download.ts";
import { isFinished } from "./download.ts";
import type { BulkCancellation, Cancellation, CommandDone, DownloadList, Summary } from "./downloads.ts";
import { Emitter } from "./emitter.ts";
import { ModelhaulError } from "./errors.ts";
import { formatBytes, formatDuration, formatSpeed, formatTime } from "./format.ts";
import { type DownloadStatistics, describeStatistics, getDownloadStatistics } from "./statistics.ts";
import type { ModelhaulOptions } from "./transport.ts";

/** What happens, by name, with what comes along. */
export interface ManagerEvents {
  downloadCancelled: Cancellation & { modelId: string };
  downloadPaused: CommandDone & { modelId: string };
  downloadResumed: CommandDone & { modelId: string };
  allDownloadsCancelled: BulkCancellation;
  monitoringStarted: { intervalMs: number };
  monitoringStopped: undefined;
  monitoringError: Error;
  downloadStarted: Download;
  downloadStatusChanged: { modelId: string; oldStatus: Status; newStatus: Status; download: Download };
  downloadProgress: { modelId: string; progress: Progress; timing: Timing };
  downloadCompleted: Download;
  downloadError: { modelId: string; error: string; download: Download };
  downloadRemoved: { modelId: string; lastStatus: Status };
  downloadSummaryUpdate: Summary;
}

/** Percentage points from which on progress is told. */
const NOTABLE = 1;

/**
 * The kolosal family's calls in few words: start elsewhere, list, look, control, wait. Errors read
 * `API Error (404): …` and are `ModelhaulError`s.
 */
export class DownloadManager {
  readonly formatBytes = formatBytes;
  readonly formatSpeed = formatSpeed;
  readonly formatTime = formatTime;
  readonly formatDuration = formatDuration;
  protected readonly client: Modelhaul;

  constructor(
    baseURL = "http://localhost:8080",
    apiKey: string | null = null,
    options: Omit<ModelhaulOptions, "baseUrl" | "apiKey"> = {},
  ) {
    this.client = new Modelhaul({ ...options, baseUrl: baseURL, apiKey });
  }

  getAllDownloads(): Promise<DownloadList> {
    return named(this.client.downloads.list());
  }

  getDownloadStatus(modelId: string): Promise<Download> {
    return named(this.client.downloads.get(modelId));
  }

  cancelDownload(modelId: string): Promise<Cancellation> {
    return named(this.client.downloads.cancel(modelId));
  }

  pauseDownload(modelId: string): Promise<CommandDone> {
    return named(this.client.downloads.pause(modelId));
  }

  resumeDownload(modelId: string): Promise<CommandDone> {
    return named(this.client.downloads.resume(modelId));
  }

  cancelAllDownloads(): Promise<BulkCancellation> {
    return named(this.client.downloads.cancelAll());
  }

  /**
   * Resolves with the download once it is complete, at once when it is already, whether or not anything is monitored.
   * Rejects when it fails, is cancelled or unknown, and after `timeoutMs`; leaves nothing behind.
   */
  waitForDownloadCompletion(
    modelId: string,
    timeoutMs = 300_000,
    options: Omit<WaitOptions, "timeoutMs"> = {},
  ): Promise<Download> {
    return named(this.client.wait(modelId, { ...options, timeoutMs }));
  }
}

async function named<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof ModelhaulError)) throw error;
    const { status, type, code, param, retryAfterSeconds } = error;
    throw new ModelhaulError(`API Error (${status}): ${error.message}`, {
      status,
      type,
      code,
      param,
      ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
      cause: error,
    });
  }
}

/** The same with events: of its own commands, and of everything else while it is monitoring. */
export class AdvancedDownloadManager extends DownloadManager {
  readonly #events = new Emitter<ManagerEvents>();
  #known = new Map<string, Download>();
  /** Percentage told last of each: what moves slowly is told as often as what moves fast. */
  #told = new Map<string, number>();
  #monitoring: AbortController | undefined;

  on<K extends keyof ManagerEvents>(name: K, listener: (payload: ManagerEvents[K]) => void): () => void {
    return this.#events.on(name, listener);
  }

  once<K extends keyof ManagerEvents>(name: K, listener: (payload: ManagerEvents[K]) => void): () => void {
    return this.#events.once(name, listener);
  }

  off<K extends keyof ManagerEvents>(name: K, listener: (payload: ManagerEvents[K]) => void): void {
    this.#events.off(name, listener);
  }

  removeAllListeners(name?: keyof ManagerEvents): void {
    this.#events.removeAllListeners(name);
  }

  listenerCount(name: keyof ManagerEvents): number {
    return this.#events.listenerCount(name);
  }

  override async cancelDownload(modelId: string): Promise<Cancellation> {
    const result = await super.cancelDownload(modelId);
    this.#events.emit("downloadCancelled", { ...result, modelId });
    return result;
  }

  override async pauseDownload(modelId: string): Promise<CommandDone> {
    const result = await super.pauseDownload(modelId);
    this.#events.emit("downloadPaused", { ...result, modelId });
    return result;
  }

  override async resumeDownload(modelId: string): Promise<CommandDone> {
    const result = await super.resumeDownload(modelId);
    this.#events.emit("downloadResumed", { ...result, modelId });
    return result;
  }

  override async cancelAllDownloads(): Promise<BulkCancellation> {
    const result = await super.cancelAllDownloads();
    this.#events.emit("allDownloadsCancelled", result);
    return result;
  }

  get isMonitoring(): boolean {
    return this.#monitoring !== undefined;
  }

  /** Asks every `intervalMs`, never twice at once; does nothing while it is doing so already. */
  startMonitoring(intervalMs = 2000): void {
    if (this.#monitoring) return;
    this.#monitoring = new AbortController();
    const { signal } = this.#monitoring;
    const watch = async (): Promise<void> => {
      while (!signal.aborted) {
        await this.#look(signal);
        await delay(intervalMs, signal);
      }
    };
    void watch();
    this.#events.emit("monitoringStarted", { intervalMs });
  }

  stopMonitoring(): void {
    if (!this.#monitoring) return;
    this.#monitoring.abort();
    this.#monitoring = undefined;
    this.#events.emit("monitoringStopped", undefined);
  }

  async #look(signal: AbortSignal): Promise<void> {
    try {
      const list = await named(this.client.downloads.list({}, { signal }));
      if (!signal.aborted) this.processDownloadUpdates(list);
    } catch (error) {
      if (signal.aborted) return;
      this.#events.emit("monitoringError", error instanceof Error ? error : new Error(String(error)));
    }
  }

  /**
   * Tells what has changed since the list before. One first seen when it has ended already is told as started and
   * ended, and one that is tried again under the same `model_id` as another download.
   */
  processDownloadUpdates({
    active_downloads,
    summary,
  }: Pick<DownloadList, "active_downloads" | "summary">): void {
    const before = this.#known;
    this.#known = new Map(active_downloads.map((download) => [download.id, download]));
    this.#told = new Map(
      active_downloads.map(({ id, progress }) => [id, this.#told.get(id) ?? progress.percentage]),
    );
    for (const download of active_downloads) this.#compare(before.get(download.id), download);
    for (const [id, { model_id, status }] of before)
      if (!this.#known.has(id))
        this.#events.emit("downloadRemoved", { modelId: model_id, lastStatus: status });
    this.#events.emit("downloadSummaryUpdate", summary);
  }

  #compare(before: Download | undefined, now: Download): void {
    const { model_id: modelId, progress, timing } = now;
    if (!before) this.#events.emit("downloadStarted", now);
    else if (before.status !== now.status)
      this.#events.emit("downloadStatusChanged", {
        modelId,
        oldStatus: before.status,
        newStatus: now.status,
        download: now,
      });
    if (Math.abs(progress.percentage - (this.#told.get(now.id) ?? 0)) >= NOTABLE) {
      this.#told.set(now.id, progress.percentage);
      this.#events.emit("downloadProgress", { modelId, progress, timing });
    }
    if (!isFinished(now) || (before && isFinished(before))) return;
    if (now.state === "completed") this.#events.emit("downloadCompleted", now);
    else if (now.state === "failed")
      this.#events.emit("downloadError", {
        modelId,
        error: now.error_message ?? "Download failed",
        download: now,
      });
  }

  /** Of what was last seen while monitoring. */
  getDownloadStatistics(): DownloadStatistics {
    return getDownloadStatistics(this.#known.values());
  }

  printDownloadSummary(print: (line: string) => void = console.log): void {
    for (const line of describeStatistics(this.getDownloadStatistics())) print(line);
  }
}
