import { delay } from "./delay.ts";
import type { Download } from "./download.ts";
import { ConnectionError, ModelhaulError } from "./errors.ts";
import { messages } from "./sse.ts";
import { pathOf, type Transport } from "./transport.ts";

export type DownloadProgressStatus = "starting" | "downloading" | "verifying" | "complete" | "error";

/** One step of `downloadModel`. */
export interface DownloadProgress {
  status: DownloadProgressStatus;
  /** For people. */
  message: string;
  /** 0 to 100, never falling; null while unknown. */
  percent: number | null;
  /** null while unknown. */
  downloaded_bytes: number | null;
  total_bytes: number | null;
  /** UUID of the download, for pause, resume and cancel; null before there is one. */
  id: string | null;
}

export interface ModelRequest {
  /** Access token of the hub, for gated models. */
  token?: string | undefined;
  /** Server to ask instead of the provider's own, for example of Ollama. */
  base_url?: string | undefined;
  /** `hf-cache` (default): the Hugging Face cache; `flat`: the models directory. */
  layout?: "hf-cache" | "flat" | undefined;
  revision?: string | undefined;
  /** Ends the iteration, without an error. The download goes on. */
  signal?: AbortSignal | undefined;
}

const PAUSE_MS = 1000;
/** A server that is restarted is back by then. */
const GIVE_UP_MS = 60_000;

type Payload = Partial<DownloadProgress> & { done?: boolean; error?: string };

/**
 * Downloads a model, or joins its download, and yields what happens up to `complete` or `error`, which is the last.
 * Whatever goes wrong comes as an `error` step, nothing is thrown (R182). A broken connection is taken up again.
 */
export async function* modelProgress(
  transport: Transport,
  provider: string,
  model: string,
  request: ModelRequest,
): AsyncGenerator<DownloadProgress> {
  const { signal = new AbortController().signal } = request;
  let last: DownloadProgress | undefined;
  let lastSign = Date.now();
  while (!signal.aborted) {
    try {
      const ended = last?.id ? await endOf(transport, last.id, signal) : undefined;
      if (ended) {
        yield step(ended, last);
        return;
      }
      for await (const payload of payloads(transport, provider, model, request, signal)) {
        lastSign = Date.now();
        if (payload.done || isRepeated(payload, last)) return;
        last = step(payload, last);
        yield last;
      }
      if (last?.status === "error" || last?.status === "complete") return;
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ConnectionError) || !last?.id || Date.now() - lastSign > GIVE_UP_MS) {
        yield step({ error: error instanceof Error ? error.message : String(error) }, last);
        return;
      }
    }
    await delay(PAUSE_MS, signal);
  }
}

/** The error once more, as an event of its own. */
const isRepeated = ({ error, status }: Payload, last: DownloadProgress | undefined): boolean =>
  error !== undefined && status === undefined && last?.status === "error";

/** Percentages never fall, also where a connection begins anew. */
function step(payload: Payload, last: DownloadProgress | undefined): DownloadProgress {
  const { error, percent = null } = payload;
  const highest = Math.max(percent ?? 0, last?.percent ?? 0);
  return {
    status: error === undefined ? (payload.status ?? "downloading") : "error",
    message: error ?? payload.message ?? "",
    percent: percent === null && (last?.percent ?? null) === null ? null : highest,
    downloaded_bytes: payload.downloaded_bytes ?? last?.downloaded_bytes ?? null,
    total_bytes: payload.total_bytes ?? last?.total_bytes ?? null,
    id: payload.id ?? last?.id ?? null,
  };
}

/** How a download has ended while nobody listened: asking for the model again would start it anew. */
async function endOf(transport: Transport, id: string, signal: AbortSignal): Promise<Payload | undefined> {
  let download: Download;
  try {
    download = await transport.json("GET", pathOf`/v1/downloads/${id}`, { signal });
  } catch (error) {
    if (error instanceof ModelhaulError && error.status === 404)
      return { error: "The record of this download was removed" };
    throw error;
  }
  if (download.state === "failed") return { error: download.error_message ?? "The download failed" };
  return download.state === "cancelled" ? { error: "Download cancelled" } : undefined;
}

async function* payloads(
  transport: Transport,
  provider: string,
  model: string,
  { token, base_url, layout, revision }: ModelRequest,
  signal: AbortSignal,
): AsyncGenerator<Payload> {
  const abort = new AbortController();
  const release = (): void => abort.abort();
  signal.addEventListener("abort", release);
  // A page of another origin may not send that header; elsewhere it keeps the token out of URLs.
  const isPage = "document" in globalThis;
  try {
    const answer = await transport.open("GET", "/api/models/download", {
      query: { provider, model, base_url, layout, revision, token: isPage ? token : undefined },
      ...(token === undefined || isPage ? {} : { headers: { "X-Hub-Token": token } }),
      signal: abort.signal,
    });
    for await (const { data } of messages(answer, release)) yield JSON.parse(data) as Payload;
  } finally {
    signal.removeEventListener("abort", release);
    release();
  }
}
