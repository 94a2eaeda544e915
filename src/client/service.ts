import type { DownloadFile, Retry, State } from "./download.ts";
import { ConnectionError, errorOf } from "./errors.ts";
import { messages } from "./sse.ts";
import { pathOf, type RequestOptions, type Transport } from "./transport.ts";

export interface Settings {
  /** Downloads that run at once. */
  max_concurrent?: number;
  connections_per_download?: number;
  /** Bytes per second of all downloads together, 0 = no limit. */
  rate_limit_bps?: number;
  retry?: Retry;
  /** No download runs; those that ran wait in the queue. */
  paused?: boolean;
}

export interface SourceInfo {
  name: string;
  description: string;
  /** `hub.files` works for it. */
  lists: boolean;
}

export interface RemoteFile {
  path: string;
  /** Bytes; 0 when the hub does not say. */
  size: number;
  digest?: string;
  quantization?: string;
  /** The same for all shards of one model. */
  shard_set?: string;
  shard?: { number: number; count: number };
}

export interface RemoteListing {
  repo_id: string;
  commit?: string;
  /** A licence must be accepted at the hub first. */
  gated: boolean;
  files: RemoteFile[];
}

/** What a reference means, or why it cannot be read. */
export interface Reading {
  provider?: string;
  model_id?: string;
  lists?: boolean;
  repo_id?: string;
  revision?: string;
  filename?: string;
  include?: string[];
  error?: { message: string; code: string | null };
}

export interface DiskFile extends DownloadFile {
  download_id: string;
  model_id: string;
  provider: string;
  repo_id?: string;
  /** It is still there, with its size. */
  exists: boolean;
  /** `damaged`: not what it should be. `changed`: written to since that was known. `missing`: gone. */
  verification: "verified" | "unverified" | "damaged" | "changed" | "missing";
  /** Of its download; a file of one that has not ended cannot be deleted. */
  download_state?: State;
  /** Epoch milliseconds. */
  completed_at?: number;
}

export interface FileList {
  files: DiskFile[];
  next_cursor?: string;
}

export interface Verification {
  /** false when it does not match. */
  success: boolean;
  message: string;
  /** Left out where no digest was promised. */
  matches?: boolean;
  /** `algorithm:hex` of what is on disk. */
  computed: string;
  file: DownloadFile;
}

export interface Done {
  success: boolean;
  message: string;
}

/** `/v1/history`: finished records. */
export class History {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Removes one finished record; 400 while it is not finished. `files` also deletes its files. */
  remove(
    id: string,
    options: RequestOptions & { files?: boolean } = {},
  ): Promise<Done & { removed_count: number }> {
    const { files, signal } = options;
    return this.#transport.json("DELETE", pathOf`/v1/history/${id}`, {
      query: { files },
      ...(signal && { signal }),
    });
  }

  clear(options: RequestOptions & { files?: boolean } = {}): Promise<Done & { removed_count: number }> {
    const { files, signal } = options;
    return this.#transport.json("DELETE", "/v1/history", { query: { files }, ...(signal && { signal }) });
  }
}

/** `/v1/settings`: kept by the server, and in force at once. */
export class SettingsApi {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  get(options: RequestOptions = {}): Promise<Settings> {
    return this.#transport.json("GET", "/v1/settings", options);
  }

  /** All values given, or none. */
  change(settings: Settings, options: RequestOptions = {}): Promise<Settings> {
    return this.#transport.json("PATCH", "/v1/settings", { ...options, body: settings });
  }
}

/** What hubs offer. */
export class Hub {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  sources(options: RequestOptions = {}): Promise<{ sources: SourceInfo[] }> {
    return this.#transport.json("GET", "/v1/sources", options);
  }

  /** Files of a repository. `token` is the hub's own, for private and gated ones; 403 without it. */
  files(
    provider: string,
    repo: string,
    options: RequestOptions & { revision?: string; token?: string } = {},
  ): Promise<RemoteListing> {
    const { revision, token, signal } = options;
    return this.#transport.json("GET", pathOf`/v1/sources/${provider}/files`, {
      query: { repo, revision },
      ...(token === undefined ? {} : { headers: { "X-Hub-Token": token } }),
      ...(signal && { signal }),
    });
  }

  /** What references and URLs mean; nothing is asked of a hub. One reading each, in their order. */
  read(references: readonly string[], options: RequestOptions = {}): Promise<{ readings: Reading[] }> {
    return this.#transport.json("POST", "/v1/references", { ...options, body: { references } });
  }
}

/** `/v1/files`: what is on disk. */
export class Files {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** One page of at most `limit` (1 to 1000) finished files. */
  list(options: RequestOptions & { limit?: number; cursor?: string } = {}): Promise<FileList> {
    const { limit, cursor, signal } = options;
    return this.#transport.json("GET", "/v1/files", { query: { limit, cursor }, ...(signal && { signal }) });
  }

  /** Deletes it from disk. */
  remove(id: number, options: RequestOptions = {}): Promise<Done> {
    return this.#transport.json("DELETE", pathOf`/v1/files/${id}`, options);
  }

  /**
   * Reads it and compares its digest; answers when the whole file has been read, without a time limit. `onProgress`
   * hears a few times a second how many bytes of how many have been.
   */
  async verify(
    id: number,
    { onProgress, ...options }: RequestOptions & { onProgress?: (bytes: number, total: number) => void } = {},
  ): Promise<Verification> {
    const path = pathOf`/v1/files/${id}/verify`;
    if (!onProgress) return this.#transport.json("POST", path, { ...options, timeoutMs: 0 });
    const headers = { Accept: "text/event-stream" };
    const answer = await this.#transport.open("POST", path, { ...options, headers });
    // A server that knows no progress answers as ever.
    if (!answer.headers.get("content-type")?.startsWith("text/event-stream")) return await answer.json();
    try {
      for await (const { event, data } of messages(answer, () => {})) {
        const told = JSON.parse(data);
        if (event === "progress") onProgress(told.bytes, told.total);
        else if (event === "verdict") return told;
        else if (event === "error") throw errorOf(500, told, null);
      }
    } catch (error) {
      options.signal?.throwIfAborted();
      throw error;
    }
    throw new ConnectionError("The connection ended before the file was read; try again");
  }
}

/** Login by cookie for pages of the server's own origin, and passes for streams. */
export class SessionApi {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Exchanges the key for a session cookie. 401 when it is wrong. */
  open(key: string, options: RequestOptions = {}): Promise<Done> {
    return this.#transport.json("POST", "/v1/session", { ...options, body: { key } });
  }

  close(options: RequestOptions = {}): Promise<Done> {
    return this.#transport.json("DELETE", "/v1/session", options);
  }

  /** Opens one stream with `?ticket=` within `expires_in` seconds. */
  ticket(options: RequestOptions = {}): Promise<{ ticket: string; expires_in: number }> {
    return this.#transport.json("POST", "/v1/tickets", options);
  }
}

export interface Health {
  status: string;
  version: string;
  uptime_seconds: number;
}

export interface StorageInfo {
  free_bytes: number;
  /** Promised to downloads that run. */
  reserved_bytes: number;
  /** In finished files. */
  models_bytes: number;
  /** In what is not finished yet. */
  partial_bytes: number;
}

/** The service itself. */
export class Service {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Needs no key. */
  health(options: RequestOptions = {}): Promise<Health> {
    return this.#transport.json("GET", "/health", options);
  }

  storage(options: RequestOptions = {}): Promise<StorageInfo> {
    return this.#transport.json("GET", "/v1/storage", options);
  }

  /** In Prometheus' text format. */
  metrics(options: RequestOptions = {}): Promise<string> {
    return this.#transport.text("GET", "/metrics", options);
  }

  openapi(options: RequestOptions = {}): Promise<Record<string, unknown>> {
    return this.#transport.json("GET", "/openapi.json", options);
  }

  asyncapi(options: RequestOptions = {}): Promise<Record<string, unknown>> {
    return this.#transport.json("GET", "/asyncapi.json", options);
  }
}
