/** The database port: what is asked of the only durable state. */
import type { Download, File, Receipt, State } from "./download.ts";
import type { TargetPath } from "./target-path.ts";

export type NewDownload = Omit<
  Download,
  "seq" | "position" | "owner" | "leaseUntil" | "intent" | "previousState"
>;

/** Columns a guarded write may change. `seq` grows with every write. */
export type DownloadPatch = Partial<
  Omit<Download, "id" | "seq" | "createdAt" | "source" | "previousState" | "owner" | "leaseUntil">
> & { owner?: string | null; leaseUntil?: number | null };

export interface Guard {
  states?: readonly State[];
  owner?: string;
}

export interface DownloadFilter {
  states?: readonly State[];
  provider?: string;
  /** Case-insensitive text in model id, repository or file name. */
  q?: string;
  labels?: Record<string, string>;
  /** Finished after this time. */
  endedAfter?: number;
  sourceKey?: string;
}

export interface PageRequest {
  limit: number;
  /** Opaque, from the page before; `invalid_request` when it is not one of ours. */
  cursor?: string;
}

export interface Page<T> {
  items: T[];
  nextCursor: string | null;
}

export interface FileReceipts {
  fileId: number;
  receipts: Receipt[];
}

/** The only durable state. Every method is one transaction; losing a race is an answer (undefined), not an error. */
/** So many rows of one kind. */
export interface KindCount extends Pick<Download, "type" | "modelType"> {
  count: number;
}

export interface Database {
  /** A conflict is an unfinished one with this source, this engine id or this model id, looked for in this order. */
  insert(download: NewDownload): Promise<Download | { conflict: Download }>;
  get(id: string): Promise<Download | undefined>;
  /** The unfinished one with this model id, else the newest. */
  byModelId(modelId: string): Promise<Download | undefined>;
  /** The unfinished one that is to become this engine: there is one at most. */
  byEngineId(engineId: string): Promise<Download | undefined>;
  /** Ordered by creation, newest last; a page of `limit`. */
  list(filter: DownloadFilter, page: PageRequest): Promise<Page<Download>>;
  /** Guarded write: `UPDATE … WHERE id AND state AND owner RETURNING *`. Undefined when the guard did not hold. */
  update(id: string, guard: Guard, patch: DownloadPatch): Promise<Download | undefined>;
  /** Sets or clears the wish; undefined when the state is not one of `states`. */
  setIntent(id: string, states: readonly State[], intent: Download["intent"]): Promise<Download | undefined>;
  /**
   * Takes the next runnable row (queued, due, highest priority, lowest position) for `owner`; `startedAt` is `now` when
   * it is its first time. A row is due as well when it would wait longer than any policy lets it: the clock was set back.
   * Of the rows with an id of `only`, when given.
   */
  claim(
    owner: string,
    now: number,
    leaseUntil: number,
    only?: Iterable<string>,
  ): Promise<Download | undefined>;
  /** Extends the leases of an owner. */
  heartbeat(owner: string, leaseUntil: number): Promise<void>;
  /** Gives rows in a running state whose lease is over (or owned by nobody alive) back to the queue; returns them. */
  recover(now: number): Promise<Download[]>;
  /** Earliest `not_before` of a queued row after `now`, or undefined. */
  nextDue(now: number): Promise<number | undefined>;
  /** Moves a row in the queue; returns undefined when either is not queued. */
  move(
    id: string,
    to: { before: string } | { after: string } | { position: number },
  ): Promise<Download | undefined>;
  /** 1-based place of a queued row in claim order; undefined when it is not queued. */
  place(id: string): Promise<number | undefined>;
  /** The same for many at once; those that are not queued are not in the answer. */
  places(ids: readonly string[]): Promise<Map<string, number>>;
  counts(): Promise<Record<State, number>>;
  /** How many unfinished rows have this model id with something behind a hyphen. */
  numbered(modelId: string): Promise<number>;
  /** How many unfinished rows there are of each kind. */
  unfinished(): Promise<KindCount[]>;

  putFiles(downloadId: string, files: readonly Omit<File, "id">[]): Promise<File[]>;
  files(downloadId: string): Promise<File[]>;
  file(id: number): Promise<File | undefined>;
  updateFile(id: number, patch: Partial<Omit<File, "id" | "downloadId" | "path">>): Promise<File | undefined>;
  /** Files on disk or planned under this path by any download (unfinished, or finished `done`). */
  filesByTarget(path: TargetPath): Promise<File[]>;
  /** Finished files that lie on our disk, for `GET /v1/files`. */
  doneFiles(page: PageRequest): Promise<Page<File>>;
  /** The same for many files, a thousand in one transaction; not synced, a crash repeats what it lost. */
  updateFiles(
    patches: readonly { id: number; patch: Partial<Omit<File, "id" | "downloadId" | "path">> }[],
  ): Promise<void>;
  deleteFile(id: number): Promise<void>;
  /** Forgets the files (and receipts) of a download, so that the next attempt resolves anew. */
  dropFiles(downloadId: string): Promise<void>;

  /** Watermark of bytes written (good after a process death under the same boot) - unsynced, cheap, and now and then left out. */
  saveWritten(
    batch: readonly FileReceipts[],
    progress: readonly { id: string; bytes: number; averageBps: number }[],
  ): Promise<void>;
  /** Watermark of bytes synced (good after a power loss). */
  saveDurable(batch: readonly FileReceipts[]): Promise<void>;
  /** Receipts to trust now: written ones when the machine has not been restarted since, else durable ones. */
  receipts(fileId: number): Promise<Receipt[]>;
  dropReceipts(fileIds: readonly number[]): Promise<void>;

  setting(key: string): Promise<unknown>;
  saveSetting(key: string, value: unknown): Promise<void>;

  /** A number greater than every one given before, across restarts. Cheap. */
  nextSeq(): number;
  /** Rows changed after `seq`, and ids removed after it, oldest first. `gap` when removals that old were forgotten. */
  changes(
    seq: number,
    limit: number,
  ): Promise<{
    downloads: Download[];
    removed: { id: string; modelId: string; seq: number }[];
    gap: boolean;
  }>;
  /** Deletes the row with its files and receipts; leaves a numbered tombstone. */
  remove(id: string): Promise<number | undefined>;
  /** Ids of finished rows that ended before `endedBefore`. */
  expired(endedBefore: number, limit: number): Promise<string[]>;

  /** Registered engines. */
  putEngine(engine: Engine): Promise<void>;
  engine(id: string): Promise<Engine | undefined>;
  engines(): Promise<Engine[]>;
  deleteEngine(id: string): Promise<boolean>;

  close(): Promise<void>;
}

export interface Engine {
  engineId: string;
  downloadId: string | null;
  path: string;
  modelType: "llm" | "embedding";
  /** As it was asked for; `runtime` is what it came to. */
  inferenceEngine: string;
  /** Name of the runtime that has it. */
  runtime: string;
  loadImmediately: boolean;
  mainGpuId: number;
  parameters: Record<string, number | boolean | string>;
  state: EngineState;
  /** Base URL it answers on while it is loaded by a runtime that serves one. */
  endpoint: string | null;
  /** Why it failed, or stopped by itself. */
  error: string | null;
  details: ModelDetails | null;
  createdAt: number;
}

/** `created`: the record only. `loading`, `loaded`, `stopped`: of a runtime that runs something; `register` says `loaded`. */
export type EngineState = "created" | "loading" | "loaded" | "stopped" | "failed";

/** What a model file says of itself in its header; null where it says nothing. */
export interface ModelDetails {
  format: "gguf" | "safetensors" | "other";
  /** Of a folder, the file that a loader opens. */
  file?: string;
  architecture: string | null;
  quantization: string | null;
  contextLength: number | null;
  parameterCount: number | null;
  /** Memory it will take when loaded, about, bytes. */
  memoryBytes: number | null;
}
