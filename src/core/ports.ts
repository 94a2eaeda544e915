/** What core asks of the other rooms. Small required interfaces; a capability is there when its method is there. */

import type { Engine } from "./database.ts";
import type {
  Bottleneck,
  Digest,
  EngineSpec,
  File,
  LayoutName,
  Receipt,
  RetryPolicy,
  SourceRef,
  Validator,
} from "./download.ts";
import type { ModelPath, RepoPath } from "./paths.ts";
import type { RemoteUrl } from "./remote-url.ts";
import type { PartFile } from "./storage.ts";

export * from "./database.ts";
export * from "./storage.ts";

/* ------------------------------------------------------------------ clock and log */

export interface Clock {
  /** Epoch milliseconds. */
  now(): number;
  /** Monotonic milliseconds: for durations and speeds, never for dates (F111). */
  monotonic(): number;
  /** Resolves after `ms`, soon when that is in the past; rejects with the signal's reason when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export interface Log {
  debug(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}

/* ------------------------------------------------------------------ http */

/** Header names and values that belong to one origin and are sent to no other (F35, F36). */
export interface Credentials {
  /** Scheme, host and port, as `URL.origin` spells it. */
  origin: string;
  headers: Record<string, string>;
}

export interface HttpRequest {
  url: RemoteUrl;
  method?: "GET" | "HEAD" | "POST" | "DELETE";
  headers?: Record<string, string>;
  credentials?: Credentials;
  /** Of a POST or DELETE. A Blob of a file is streamed from disk. */
  body?: string | Blob;
  signal?: AbortSignal;
  /** `follow` (default): by hand, at most 10 hops, each checked. `manual`: a 3xx is an answer. */
  redirect?: "follow" | "manual";
  /** Deadline for the answer's headers after the connection stands; default 30 000 ms. */
  headerTimeoutMs?: number;
  /** Deadline for reaching any address of the host; default 10 000 ms. */
  connectTimeoutMs?: number;
  /** The operator named this address (HF_ENDPOINT and its kin): private addresses allowed on the first hop only (A26). */
  operator?: boolean;
}

export interface Hop {
  url: RemoteUrl;
  status: number;
  headers: Headers;
}

/** An answer whose body has not been read. Exactly one of the readers or `cancel` must be called. */
export interface HttpResponse {
  status: number;
  headers: Headers;
  /** URL behind all redirects. May carry a signature: never store or show it. */
  url: RemoteUrl;
  /** Redirects passed on the way, first first. */
  hops: readonly Hop[];
  /** The next bytes, or null at the end. Rejects with `network` when the peer cuts. Backpressure: unread stays unread. */
  read(): Promise<Uint8Array | null>;
  /** Lets go of the body and its connection. */
  cancel(): Promise<void>;
  /** Whole body as text; `protocol` beyond `limit` bytes (default 8 MiB). */
  text(limit?: number): Promise<string>;
  json(limit?: number): Promise<unknown>;
}

/** The one hardened client. Rejects with DownloadError (`dns connect timeout tls network redirects forbidden_address protocol proxy_auth`). */
export interface Http {
  request(request: HttpRequest): Promise<HttpResponse>;
  /** Whether this URL could be asked at all (scheme, userinfo, port, literal address); throws `invalid_url` or `forbidden_address`. */
  check(url: string): URL;
}

/* ------------------------------------------------------------------ sources */

/** A start request as the API families hand it in: parsed, not yet judged. */
export interface StartRequest {
  url?: string;
  repoId?: string;
  filename?: string;
  include?: string[];
  exclude?: string[];
  revision?: string;
  provider?: string;
  model?: string;
  baseUrl?: string;
  modelId?: string;
  sha256?: string;
  /** Sent with requests to the URL's own origin only; kept as a secret. */
  headers?: Record<string, string>;
  token?: string;
  priority?: number;
  rateLimit?: number;
  retry?: Partial<RetryPolicy>;
  layout?: LayoutName;
  engine?: EngineSpec;
  labels?: Record<string, string>;
}

/** Kept apart from rows, in a file only its owner can read; given back to the source of that download alone. */
export interface Secret {
  token?: string;
  /** Full URL, when its query carries a signature or key. */
  url?: string;
  headers?: Record<string, string>;
}

export interface SourceContext {
  secret: Secret;
  signal: AbortSignal;
  log: Log;
}

export interface ManifestFile {
  /** Safe to write, and checked to be so: what a hub lists is as strange as what a client asks for (F124-F134). */
  path: RepoPath | ModelPath;
  size: number | null;
  digest: Digest | null;
  locator: string;
  /** Strong ETag the server showed for it, where no digest is promised: tells a file fetched before from a new one. */
  etag?: string;
  /** The same where there is none: a Last-Modified that is old enough to tell (F29). */
  lastModified?: string;
}

export interface Manifest {
  /** Repository in its canonical spelling; absent for a plain URL. */
  repo?: string;
  /** Commit everything was pinned to (F76). */
  commit?: string;
  files: ManifestFile[];
  warnings?: string[];
  /** What the source has found out about the model (`format: "mlx"`): added to the download's labels. */
  labels?: Record<string, string>;
}

/** A hub file as pickers show it. */
export interface RemoteFile {
  path: RepoPath | ModelPath;
  size: number | null;
  digest: Digest | null;
  /** `Q4_K_M`, `F16`, … read from the name, where it says one. */
  quantization: string | null;
  /** Shared by all shards of one set; files with one shard set are one choice. */
  shardSet: string | null;
  shard: { number: number; count: number } | null;
}

export interface RemoteListing {
  repo: string;
  commit: string | null;
  gated: boolean;
  files: RemoteFile[];
}

/** Where to get a file now. Never stored: it may carry a signature. */
export interface FetchRequest {
  url: RemoteUrl;
  headers?: Record<string, string>;
  credentials?: Credentials;
  operator?: boolean;
}

/** How a program that fetches by itself is led (`Source.bring`). */
export interface BringContext extends SourceContext {
  /** An earlier attempt was under way and broke off: a program that is away now may be coming back. */
  again: boolean;
}

/** What such a program tells of its work. Each call is waited for before the next. */
export interface BringObserver {
  /** One piece of the whole, by what identifies it. `completed` may be more than 0 at first, and may fall. */
  layer(layer: { digest: string; size: number; completed: number }): Promise<void>;
  /** The program's own words for what it does; whether it fetches or checks what it has, when they say so. */
  status(line: string, phase?: "downloading" | "verifying"): Promise<void>;
  /** Not a failure, but worth telling (`warnings[]`). */
  warning(text: string): void;
}

export interface Source {
  /** Provider name, as in `POST /v1/downloads {provider}`. */
  readonly name: string;
  /** One line for `GET /v1/sources`. */
  readonly description: string;
  /** Layouts its files can rest in, when not every one: for another one asked for the first of them is used. */
  readonly layouts?: readonly LayoutName[];
  /** First source of the list that accepts a request gets it. */
  accepts(request: StartRequest): boolean;
  /** Judges the request; throws `invalid_request`, `invalid_url`, `invalid_path`. No I/O. */
  parse(request: StartRequest): SourceRef;
  /** What of the request must be kept apart: token, headers, a URL whose query is a credential. */
  secretOf?(request: StartRequest): Secret;
  /** `model_id` when the client gives none. */
  defaultModelId(ref: SourceRef): string;
  /** Reference -> list of files, everything pinned to one revision. Throws typed errors (`gated`, `not_found`, …). */
  resolve(ref: SourceRef, context: SourceContext): Promise<Manifest>;
  /** A request that can be made right now. Called again when a link has expired. */
  locate(ref: SourceRef, file: Pick<File, "path" | "locator">, context: SourceContext): Promise<FetchRequest>;
  /** The whole content of a file that came with the listing, from its locator: it is written without a request. */
  content?(file: Pick<File, "path" | "locator">): string | undefined;
  /** What an error status on such a request means in this hub's words; undefined = no special meaning. */
  explain?(ref: SourceRef, status: number, headers: Headers): Error | undefined;
  /**
   * Instead of `resolve`, `locate` and our own transfer: leads another program, which fetches by itself and keeps what
   * it fetched, through the whole of it. Resolves only when that program has said that it has succeeded. An aborted
   * signal stops the program as well; then it rejects with the signal's reason. Such a download has no file on our
   * disk, and goes on where the program finds its own partial data.
   */
  bring?(ref: SourceRef, context: BringContext, observer: BringObserver): Promise<void>;
  /** Listing for pickers. */
  list?(repo: string, revision: string | undefined, context: SourceContext): Promise<RemoteListing>;
}

/* ------------------------------------------------------------------ transfer */

export interface TransferObserver {
  /** First good answer: what the file is. Called again after a restart. */
  identified(identity: { size: number | null; validator: Validator | null; ranges: boolean }): void;
  /** Bytes [start, start + length) stand on disk; `gained` of them are new. Called after each write. */
  written(start: number, length: number, gained: number): void;
  /** All bytes so far are void: the remote changed or cannot be continued. Progress goes back to 0. */
  restarted(reason: string): void;
  /** Every byte is there, the digest is not finished yet. */
  verifying(): void;
  /** Connections in use now. */
  connections(count: number): void;
  bottleneck(kind: Bottleneck): void;
  /** Not a failure, but worth telling (`warnings[]`). */
  warning(text: string): void;
}

export interface TransferJob {
  downloadId: string;
  /** File name for messages. */
  label: string;
  size: number | null;
  digest: Digest | null;
  /** What the receipts belong to. */
  validator: Validator | null;
  /** Ranges that can be trusted to be on disk. */
  receipts: readonly Receipt[];
  part: PartFile;
  /** A request that can be made now; asked again on expiry. */
  locate(): Promise<FetchRequest>;
  /** Source's own reading of an error status. */
  explain?(status: number, headers: Headers): Error | undefined;
  observer: TransferObserver;
  signal: AbortSignal;
}

export interface TransferResult {
  size: number;
  /** Of the whole file, when one was promised. */
  digest: Digest | null;
  verified: boolean;
}

export interface Transfer {
  /**
   * Fetches what is missing of one file into its part file and verifies it. Resolves only when the length is right
   * and the promised digest, if any, matches. Rejects with DownloadError, or with the signal's reason.
   * Bytes reported by `written` stay valid after a rejection unless `restarted` was called.
   */
  fetch(job: TransferJob): Promise<TransferResult>;
  /** In force at once, running transfers included. Bytes per second, 0 = no limit. */
  setGlobalRate(bps: number): void;
  setDownloadRate(downloadId: string, bps: number): void;
  /** Most connections one download may use. */
  setConnections(perDownload: number): void;
  /** A download has ended: forget its limits. */
  forget(downloadId: string): void;
}

/* ------------------------------------------------------------------ engines */

/** What became of a file as an engine. */
export interface EngineReport {
  /** `loaded`, or `created` where nothing was to be started. */
  state: Engine["state"];
  endpoint: string | null;
  details: Engine["details"];
  /** As the header says, else as asked for (A23). */
  modelType: EngineSpec["modelType"];
  warnings: string[];
}

/** What is done with a verified file when an engine was asked for (A16). */
export interface EngineRuntime {
  readonly name: string;
  /** What it starts goes with our process: what was loaded is started again with the next one. */
  readonly resident?: boolean;
  /**
   * Judges the file (or folder, of which only `among` count when given) and, with `loadImmediately`, makes the engine
   * ready; also starts a stopped one again. Rejects with `engine_failed` or the signal's reason; nothing is left
   * running then.
   */
  create(
    spec: EngineSpec,
    path: string,
    signal: AbortSignal,
    among?: readonly string[],
  ): Promise<EngineReport>;
  /** Ends what runs; resolves when it has ended. Stopping what does not run is no error. */
  stop?(engine: Engine): Promise<void>;
  /** As `stop`, and takes out what the runtime keeps elsewhere. Absent: `stop` is all there is to do. */
  remove?(engine: Engine): Promise<void>;
  /** Whether something runs for this engine now. */
  runs?(engineId: string): boolean;
  /** The last lines it has said. */
  log?(engineId: string): string[];
  /** `tell` is called when an engine changes by itself: it crashed, is ready again, was given up. */
  watch?(
    tell: (engineId: string, change: Partial<Pick<Engine, "state" | "endpoint" | "error">>) => void,
  ): void;
  /** Our own exit: ends everything that runs. */
  close?(): Promise<void>;
}

/** Secrets given with requests, in one owner-only file (0600). */
export interface Secrets {
  get(downloadId: string): Promise<Secret>;
  put(downloadId: string, secret: Secret): Promise<void>;
  delete(downloadId: string): Promise<void>;
  /** Downloads that something is kept for. */
  ids(): Promise<string[]>;
}
