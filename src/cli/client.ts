/** A small client of the native API (DESIGN §5): REST, and SSE that reconnects where it stopped. */
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { DownloadError } from "../core/errors.ts";
import type { Http, HttpResponse } from "../core/ports.ts";
import { parseRemoteUrl } from "../core/remote-url.ts";
import type { WatchEvent, WireDownload, WireFile } from "./wire.ts";

/** A daemon sends a heartbeat every 5 s; after this silence the connection is taken for dead. */
const SILENCE_MS = 20_000;
const RECONNECT_MS = 1000;
/** A daemon that is restarted is back by then. */
const GIVE_UP_MS = 60_000;
const PAGE = 500;
/** What a Unix socket leads to is this machine, by the name that every daemon answers for. */
const BEHIND_SOCKET = "http://localhost";

export interface ClientOptions {
  /** Base URL of the daemon, without a trailing slash; `unix:PATH` where `http` leads to that socket. */
  server: string;
  apiKey: string | null;
  http: Http;
}

export type Verb = "pause" | "resume" | "cancel" | "retry";

/** What the daemon answered instead of doing it. */
export class DaemonError extends Error {
  override readonly name = "DaemonError";
  readonly status: number;
  /** Closed error code of the daemon, when it sent one. */
  readonly code: string | null;

  constructor(status: number, code: string | null, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export class Client {
  readonly #options: ClientOptions;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  start(body: Record<string, unknown>): Promise<WireDownload> {
    return this.#json("POST", "/v1/downloads", body) as Promise<WireDownload>;
  }

  /** By model id or UUID, with its files. */
  one(id: string): Promise<WireDownload> {
    return this.#json("GET", `/v1/downloads/${encodeURIComponent(id)}`) as Promise<WireDownload>;
  }

  control(id: string, verb: Verb): Promise<unknown> {
    return this.#json("POST", `/v1/downloads/${encodeURIComponent(id)}/${verb}`);
  }

  /** Active ones, with `query` (`state=all`, …) history as well, all pages. */
  list(query: Record<string, string> = {}): Promise<WireDownload[]> {
    return this.#pages("/v1/downloads", "active_downloads", query) as Promise<WireDownload[]>;
  }

  files(): Promise<WireFile[]> {
    return this.#pages("/v1/files", "files", { limit: String(PAGE) }) as Promise<WireFile[]>;
  }

  async verify(fileId: number): Promise<{ matches: boolean | null; digest: string }> {
    // Hashing a large file takes minutes before the answer begins.
    const answer = await this.#json("POST", `/v1/files/${fileId}/verify`, {}, 3_600_000);
    const { matches = null, computed } = answer as { matches?: boolean; computed: string };
    return { matches, digest: computed };
  }

  openapi(): Promise<unknown> {
    return this.#json("GET", "/openapi.json");
  }

  asyncapi(): Promise<unknown> {
    return this.#json("GET", "/asyncapi.json");
  }

  /** Everything that changes, first what there is. Ends with the signal; throws when the daemon stays away. */
  async *watch(signal: AbortSignal): AsyncGenerator<WatchEvent> {
    let lastId: string | undefined;
    let failingSince: number | undefined;
    while (!signal.aborted) {
      try {
        const headers: Record<string, string> = lastId === undefined ? {} : { "Last-Event-ID": lastId };
        const answer = await this.#request("GET", "/v1/events", { headers, signal });
        failingSince = undefined;
        for await (const message of messages(answer)) {
          if (message.id !== undefined) lastId = message.id;
          yield* events(message);
        }
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof DaemonError && error.status < 500) throw error;
        failingSince ??= performance.now();
        if (performance.now() - failingSince > GIVE_UP_MS) throw error;
      }
      await pause(RECONNECT_MS, signal);
    }
  }

  async #pages(path: string, key: string, query: Record<string, string>): Promise<unknown[]> {
    const items: unknown[] = [];
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const parameters = new URLSearchParams({ ...query, ...(cursor === undefined ? {} : { cursor }) });
      const page = (await this.#json("GET", `${path}?${parameters}`)) as Record<string, unknown>;
      items.push(...((page[key] as unknown[] | undefined) ?? []));
      cursor = typeof page.next_cursor === "string" ? page.next_cursor : null;
    }
    return items;
  }

  async #json(method: "GET" | "POST", path: string, body?: unknown, timeoutMs?: number): Promise<unknown> {
    const headers: Record<string, string> = body === undefined ? {} : { "Content-Type": "application/json" };
    const text = body === undefined ? {} : { body: JSON.stringify(body) };
    const wait = timeoutMs === undefined ? {} : { headerTimeoutMs: timeoutMs };
    return (await this.#request(method, path, { headers, ...text, ...wait })).json();
  }

  async #request(
    method: "GET" | "POST",
    path: string,
    more: { headers: Record<string, string>; body?: string; signal?: AbortSignal; headerTimeoutMs?: number },
  ): Promise<HttpResponse> {
    const { server, apiKey, http } = this.#options;
    const base = server.startsWith("unix:") ? BEHIND_SOCKET : server;
    const credentials = { origin: new URL(base).origin, headers: { Authorization: `Bearer ${apiKey}` } };
    const answer = await http
      .request({
        ...more,
        url: parseRemoteUrl(base + path),
        method,
        redirect: "manual",
        operator: true,
        ...(apiKey === null ? {} : { credentials }),
      })
      .catch((error) => {
        if (!(error instanceof DownloadError) || error.code !== "connect") throw error;
        const hint = "start one with `modelhaul serve`, or name it with --server URL";
        throw new DownloadError("connect", `No daemon answers at ${server}; ${hint}.`, { cause: error });
      });
    if (answer.status >= 200 && answer.status < 300) return answer;
    throw await refusal(answer, server);
  }
}

async function refusal(answer: HttpResponse, server: string): Promise<DaemonError> {
  const body = (await answer.json().catch(() => ({}))) as {
    error?: { message?: unknown; code?: unknown };
    error_code?: unknown;
  };
  if (answer.status === 401)
    return new DaemonError(401, "auth_required", `${server} wants an API key; give --api-key-file FILE.`);
  const code = body.error_code ?? body.error?.code;
  const message = body.error?.message;
  return new DaemonError(
    answer.status,
    typeof code === "string" ? code : null,
    typeof message === "string"
      ? message
      : `${server} answered ${answer.status}; is that a modelhaul daemon?`,
  );
}

/** The messages of one event stream, until it ends or falls silent. */
async function* messages(answer: HttpResponse): AsyncGenerator<EventSourceMessage> {
  const ready: EventSourceMessage[] = [];
  const parser = createParser({ onEvent: (message) => ready.push(message) });
  const decoder = new TextDecoder();
  try {
    for (;;) {
      const chunk = await withinSilence(answer.read());
      if (chunk === null) return;
      parser.feed(decoder.decode(chunk, { stream: true }));
      yield* ready.splice(0);
    }
  } finally {
    await answer.cancel();
  }
}

/** The next bytes, or null when there were none for too long. */
async function withinSilence(next: Promise<Uint8Array | null>): Promise<Uint8Array | null> {
  const { promise, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(() => resolve(null), SILENCE_MS);
  try {
    return await Promise.race([next, promise]);
  } finally {
    clearTimeout(timer);
  }
}

function* events(message: EventSourceMessage): Generator<WatchEvent> {
  const data = JSON.parse(message.data);
  if (message.event === "snapshot")
    yield { type: "snapshot", more: data.more === true, downloads: data.downloads ?? [] };
  else if (message.event === "download")
    yield { type: "download", previousState: data.previous_state ?? null, download: data.download ?? data };
  else if (message.event === "removed") yield { type: "removed", id: String(data.id) };
}

/** Waits, shorter when the signal comes. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => resolve(), { once: true });
  return promise.finally(() => clearTimeout(timer));
}
