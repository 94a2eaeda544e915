import type { Digest, UncheckedDigest } from "./digest.ts";
import type { ErrorCode } from "./errors.ts";
import type { TargetPath } from "./target-path.ts";

export * from "./digest.ts";

export const STATES = [
  "queued",
  "downloading",
  "paused",
  "verifying",
  "creating_engine",
  "completed",
  "failed",
  "cancelled",
] as const;
export type State = (typeof STATES)[number];

/** What a client wishes; the owner of the attempt (or the manager, when nobody owns it) moves the state. */
export type Intent = "pause" | "cancel";

/**
 * Every transition there is; the same truth stands as a trigger in `db/schema.sql`. Back to `queued` means: given back
 * (shutdown, crash), waiting for a retry or for the disk, resumed, or retried by hand.
 */
export const TRANSITIONS: Record<State, readonly State[]> = {
  queued: ["downloading", "paused", "failed", "cancelled"],
  downloading: ["queued", "paused", "verifying", "creating_engine", "completed", "failed", "cancelled"],
  verifying: ["queued", "downloading", "paused", "creating_engine", "completed", "failed", "cancelled"],
  creating_engine: ["queued", "completed", "failed", "cancelled"],
  paused: ["queued", "cancelled"],
  completed: [],
  failed: ["queued"],
  cancelled: ["queued"],
};

/** States an attempt is led in; a row in one of them has an owner and a lease. */
export const RUNNING: readonly State[] = ["downloading", "verifying", "creating_engine"];
export const FINISHED: readonly State[] = ["completed", "failed", "cancelled"];
export const UNFINISHED: readonly State[] = [
  "queued",
  "downloading",
  "paused",
  "verifying",
  "creating_engine",
];

export const isFinished = (state: State): boolean => FINISHED.includes(state);
export const isRunning = (state: State): boolean => RUNNING.includes(state);
export const canMove = (from: State, to: State): boolean => TRANSITIONS[from].includes(to);

/** `ollama`: manifest and blobs of an Ollama models directory, for sources that say so themselves. */
export type LayoutName = "flat" | "hf-cache" | "ollama";

/** What was asked for, in canonical form and without any secret. Made by `Source.parse`, kept in the row. */
export interface SourceRef {
  provider: string;
  /** Equal for equal requests: two unfinished downloads never share one. */
  key: string;
  /** Shown to people and used as `url` on the wire: no userinfo, no signed query. */
  url: string;
  /** Hub repository or model name, in the spelling asked for. */
  repo?: string;
  revision?: string;
  /** Exact paths inside the repository. */
  files?: string[];
  include?: string[];
  exclude?: string[];
  /** File name wished for a plain URL. */
  filename?: string;
  /** Digest promised by the client; the row may be damaged, so it is checked again by `knownDigest`. */
  digest?: UncheckedDigest;
  /** Server to use instead of the provider's own (Ollama). */
  baseUrl?: string;
  /** Key of the same thing without this download's own engine: it waits while another one is fetching that. */
  behind?: string;
}

/** The key of what is fetched, whoever it is for. */
export const contentKey = ({ key, behind }: SourceRef): string => behind ?? key;

export interface RetryPolicy {
  /** Consecutive tries that brought no new bytes before giving up. */
  maxAttempts: number;
  baseMs: number;
  maxMs: number;
  /** 0 = none, 1 = full jitter. */
  jitter: number;
}

export interface EngineSpec {
  engineId: string;
  modelType: "llm" | "embedding";
  inferenceEngine: string;
  loadImmediately: boolean;
  mainGpuId: number;
  parameters: Record<string, number | boolean | string>;
}

/** `all_paused`: the settings let no download run; whatever else it may wait for comes after that. */
export const WAIT_REASONS = ["user", "all_paused", "queue", "disk", "volume", "host_limit", "retry"] as const;
export type WaitReason = (typeof WAIT_REASONS)[number];
export interface Waiting {
  reason: WaitReason;
  /** Epoch milliseconds, when known. */
  until?: number;
}

/** Why a running download is not faster, from counters (DESIGN §5). */
export type Bottleneck = "remote" | "own_limit" | "host_limit" | "disk" | "digest";

/** A row of `downloads`. Times are epoch milliseconds, rates bytes per second (0 = no limit). */
export interface Download {
  id: string;
  /** Unique among unfinished downloads; case-sensitive. */
  modelId: string;
  type: "regular" | "startup";
  source: SourceRef;
  layout: LayoutName;
  state: State;
  /** State before the last change. */
  previousState: State | null;
  intent: Intent | null;
  /** The higher runs first; default 0. */
  priority: number;
  /** Order within one priority, ascending; fractional so that one move is one write. */
  position: number;
  /** Consecutive attempts that brought no new bytes. */
  attempt: number;
  notBefore: number | null;
  waiting: Waiting | null;
  owner: string | null;
  leaseUntil: number | null;
  bytes: number;
  total: number | null;
  filesTotal: number;
  filesDone: number;
  /** Average since the start, without paused time and without bytes of an earlier run. */
  averageBps: number;
  /** Repository in its canonical spelling, once resolved. */
  repo: string | null;
  /** Commit the revision was pinned to. */
  commit: string | null;
  /** Where the file (or the folder of a many-file download) is or will be. To be shown; `knownTarget` makes a place of it. */
  localPath: string | null;
  labels: Record<string, string>;
  engine: EngineSpec | null;
  modelType: "llm" | "embedding";
  error: { code: ErrorCode; message: string } | null;
  warnings: string[];
  rateLimit: number;
  retry: RetryPolicy | null;
  createdAt: number;
  startedAt: number | null;
  endedAt: number | null;
  seq: number;
}

/** What reading a finished file again has found. Times are epoch milliseconds. */
export interface Check {
  at: number;
  /** Whether it was what was promised or computed before; null when there was nothing to compare with. */
  matches: boolean | null;
  /** Digest of what was on disk then. */
  found: Digest;
  /** When the file had last been written to: what was found is true of those bytes only. */
  modifiedAt: number | null;
}

/** Whether a file was found not to be what it should be. */
export const isDamaged = ({ checked }: Pick<File, "checked">): boolean => checked?.matches === false;

export type FileState = "pending" | "done" | "failed";

/** What the bytes of a partial file belong to. Recorded per final origin: hubs and CDNs have different ETags. */
export interface Validator {
  /** Strong ETag with its quotes, or null. A weak one is never kept (F26). */
  etag: string | null;
  lastModified: string | null;
  size: number | null;
  /** Scheme, host and port the answer came from. */
  origin: string;
}

/** A row of `files`. */
export interface File {
  id: number;
  downloadId: string;
  /** Path inside the repository, or the file name; the identity of the file within its download. */
  path: string;
  size: number | null;
  /** Digest promised by hub, server or client; null when nobody promised one. */
  digest: Digest | null;
  /** SHA-256 (or the promised algorithm) of what is on disk, once computed. */
  computed: Digest | null;
  verified: boolean;
  /** The last verification of what is on disk; null when there was none since it came. */
  checked: Check | null;
  /** The source's own note of where to get it; opaque to core, no secret, no signed URL. */
  locator: string;
  state: FileState;
  /** Absolute path of the final name, once planned. */
  target: TargetPath | null;
  validator: Validator | null;
  /** Its partial file as the last orderly attempt has left it; null while it is written to, and after a crash. */
  partial: PartialMark | null;
  bytes: number;
  error: { code: ErrorCode; message: string } | null;
  completedAt: number | null;
}

/** What changes when somebody writes to a file. */
export interface PartialMark {
  size: number;
  /** Epoch milliseconds, with all digits the file system has. */
  modifiedAt: number;
}

/** Bytes [start, start + length) of a file have been written. Ranges may touch or overlap; their union counts. */
export interface Receipt {
  start: number;
  length: number;
}
