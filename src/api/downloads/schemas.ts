import { type Static, Type } from "@sinclair/typebox";
import { STATES, WAIT_REASONS } from "../../core/download.ts";
import { VERDICTS } from "../../core/errors.ts";
import { CHANGE_BODY, START_BODY } from "../examples.ts";
import { open, ref, text, whole, word } from "../wire.ts";

export const RetrySchema = open(
  {
    max_attempts: Type.Optional(whole("Consecutive tries that bring no new bytes before giving up", 1, 1000)),
    base_ms: Type.Optional(whole("First waiting time, at most max_ms", 0, 3_600_000)),
    max_ms: Type.Optional(whole("Longest waiting time", 0, 86_400_000)),
    jitter: Type.Optional(Type.Number({ minimum: 0, maximum: 1, description: "0 = none, 1 = full" })),
  },
  { description: "Retry policy" },
);

export const EngineSchema = open({
  engine_id: Type.Optional(text("Id of the engine; the model_id of the download when not given", 512)),
  model_id: Type.Optional(text("Another spelling of engine_id", 512)),
  model_type: Type.Optional(Type.Union([Type.Literal("llm"), Type.Literal("embedding")])),
  inference_engine: Type.Optional(text("Engine to use", 64)),
  load_immediately: Type.Optional(Type.Boolean()),
  main_gpu_id: Type.Optional(whole("GPU to use; -1 lets the engine choose", -1, 15)),
  loading_parameters: Type.Optional(
    open({
      n_ctx: Type.Optional(whole("Context length", 1, 1_000_000)),
      n_keep: Type.Optional(whole("Tokens kept when the context is full", 0, 1_000_000)),
      use_mlock: Type.Optional(Type.Boolean()),
      use_mmap: Type.Optional(Type.Boolean()),
      cont_batching: Type.Optional(Type.Boolean()),
      warmup: Type.Optional(Type.Boolean()),
      n_parallel: Type.Optional(whole("Parallel sequences", 1, 16)),
      n_gpu_layers: Type.Optional(whole("Layers on the GPU", 0, 1000)),
      n_batch: Type.Optional(whole("Batch size", 1, 8192)),
      n_ubatch: Type.Optional(whole("Physical batch size, at most n_batch", 1, 8192)),
    }),
  ),
});
export type EngineBody = Static<typeof EngineSchema>;

const Globs = Type.Array(text("Glob over paths in the repository", 512), { maxItems: 200 });

export const StartSchema = open(
  {
    action: Type.Optional(Type.Literal("cancel_all", { description: "Alone: cancels all downloads" })),
    url: Type.Optional(text("Any http or https URL", 16_384)),
    repo_id: Type.Optional(text("Hub repository, owner/name", 512)),
    filename: Type.Optional(text("Exact file of the repository, or file name for a URL", 1024)),
    include: Type.Optional(Globs),
    exclude: Type.Optional(Globs),
    revision: Type.Optional(text("Branch, tag or commit", 256)),
    provider: Type.Optional(text("One of GET /v1/sources", 64)),
    model: Type.Optional(text("Model name in the provider's own spelling", 512)),
    base_url: Type.Optional(
      text(
        "Server to use instead of the own one of ollama (also host, host:port or :port) or ollama-registry",
        2048,
      ),
    ),
    model_id: Type.Optional(text("Id to watch and control it by; derived when not given", 512)),
    sha256: Type.Optional(
      Type.String({ pattern: "^(sha256:)?[0-9a-fA-F]{64}$", description: "Digest the file must have" }),
    ),
    headers: Type.Optional(
      Type.Record(Type.String(), Type.String({ maxLength: 8192 }), {
        description: "Sent to the origin of the URL only",
      }),
    ),
    token: Type.Optional(text("Access token of the hub; kept secret", 8192)),
    priority: Type.Optional(whole("The higher runs first", -1_000_000, 1_000_000)),
    rate_limit_bps: Type.Optional(whole("Bytes per second, 0 = no limit")),
    retry: Type.Optional(RetrySchema),
    layout: Type.Optional(Type.Union([Type.Literal("flat"), Type.Literal("hf-cache")])),
    engine: Type.Optional(EngineSchema),
  },
  {
    title: "StartDownload",
    description: "What to download: url, or repo_id, or provider and model",
    example: START_BODY,
  },
);
export type StartBody = Static<typeof StartSchema>;

export const ChangeSchema = open(
  {
    priority: Type.Optional(whole("The higher runs first", -1_000_000, 1_000_000)),
    before: Type.Optional(text("Id of the queued download to stand before", 512)),
    after: Type.Optional(text("Id of the queued download to stand after", 512)),
    position: Type.Optional(whole("Place in the queue, 1 is next", 1)),
    rate_limit_bps: Type.Optional(whole("Bytes per second, 0 = no limit")),
    retry: Type.Optional(RetrySchema),
  },
  {
    title: "ChangeDownload",
    description: "At most one of before, after and position",
    minProperties: 1,
    example: CHANGE_BODY,
  },
);
export type ChangeBody = Static<typeof ChangeSchema>;

/* ---------------------------------------------------------------- answers; they document, handlers build them */

const Waiting = open({
  reason: word(WAIT_REASONS, "user: paused; all_paused: `paused` of the settings lets none run"),
  until: Type.Optional(whole("Epoch milliseconds")),
});

const Failure = open({ code: word(Object.keys(VERDICTS)), message: Type.String() });

export const FileSchema = open({
  id: whole("Number for /v1/files/{id}"),
  path: Type.String({ description: "Path in the repository, or file name" }),
  size: whole("Bytes; 0 while unknown"),
  bytes: whole("Bytes on disk"),
  state: word(["pending", "done", "failed"]),
  verified: Type.Boolean({ description: "Its promised digest was found to be right" }),
  checked_at: Type.Optional(whole("Epoch milliseconds of the last verification since it came")),
  matches: Type.Optional(
    Type.Boolean({ description: "What that found; left out when there was nothing to compare with" }),
  ),
  digest: Type.Optional(Type.String({ description: "algorithm:hex, promised or computed" })),
  exists: Type.Optional(
    Type.Boolean({ description: "It is still there, with its size; only where that was asked for" }),
  ),
  local_path: Type.Optional(Type.String()),
  error: Type.Optional(Failure),
});

export const EngineCreationSchema = open({
  model_id: Type.String(),
  engine_id: Type.String(),
  load_immediately: Type.Boolean(),
  main_gpu_id: Type.Integer(),
  model_type: word(["llm", "embedding"]),
  inference_engine: Type.String(),
  embedding_features: Type.Optional(Type.Record(Type.String(), Type.Boolean())),
  recommended_usage: Type.Optional(Type.Record(Type.String(), Type.Boolean())),
  llm_features: Type.Optional(Type.Record(Type.String(), Type.Boolean())),
});

export const STATUS_WORDS = [
  "downloading",
  "paused",
  "creating_engine",
  "completed",
  "cancelled",
  "failed",
] as const;

export const DownloadSchema = open(
  {
    model_id: Type.String(),
    status: word(STATUS_WORDS),
    download_type: word(["regular", "startup"]),
    type: word(["regular", "startup"]),
    url: Type.String(),
    local_path: Type.String({
      description: "Where the file, or the folder of many files, is or will be; empty until it is known",
    }),
    progress: open({
      downloaded_bytes: whole("Bytes on disk; of what was cancelled or has failed, how far it came"),
      total_bytes: whole("0 while unknown"),
      percentage: Type.Number({ minimum: 0, maximum: 100 }),
      download_speed_bps: whole("Bytes per second, average since the start"),
    }),
    timing: open({
      start_time: whole("Epoch milliseconds"),
      elapsed_seconds: whole("Since start_time"),
      estimated_remaining_seconds: Type.Optional(whole("Only while bytes move")),
      end_time: Type.Optional(whole("Epoch milliseconds")),
    }),
    error_message: Type.Optional(Type.String()),
    engine_creation: Type.Optional(ref("EngineCreation")),
    id: Type.String({ format: "uuid" }),
    state: word(STATES),
    previous_state: Type.Optional(word(STATES)),
    position: Type.Optional(whole("Place in the queue, 1 is next", 1)),
    attempts: whole("Consecutive tries that brought no new bytes"),
    speed: whole("Bytes per second now, 0 within 2 s of silence"),
    connections: whole("Connections in use"),
    bottleneck: Type.Optional(
      word(["remote", "own_limit", "host_limit", "disk", "digest"], "Why it is not faster"),
    ),
    status_line: Type.Optional(
      Type.String({ description: "What the program that fetches for us says it is doing, in its own words" }),
    ),
    waiting: Type.Optional(Waiting),
    error_code: Type.Optional(word(Object.keys(VERDICTS))),
    last_error: Type.Optional(Failure),
    warnings: Type.Array(Type.String()),
    priority: Type.Integer(),
    rate_limit_bps: whole("0 = no limit"),
    retry: Type.Optional(RetrySchema),
    provider: Type.String(),
    repo_id: Type.String(),
    filename: Type.String(),
    revision: Type.Optional(Type.String()),
    commit: Type.Optional(Type.String()),
    layout: word(["flat", "hf-cache", "ollama"]),
    model_type: word(["llm", "embedding"]),
    files_total: whole("Files of this download; 0 until it is known"),
    files_done: whole("Of these, how many are complete"),
    labels: Type.Optional(Type.Record(Type.String(), Type.String())),
    files: Type.Optional(Type.Array(ref("File"))),
  },
  { description: "One download" },
);

export const SummarySchema = open({
  total_active: whole("Unfinished downloads"),
  startup_downloads: whole("Of these, with an engine to come"),
  regular_downloads: whole("Of these, without"),
  embedding_model_downloads: whole("Of these, embedding models"),
  llm_model_downloads: whole("Of these, language models"),
});

export const ListSchema = open({
  active_downloads: Type.Array(ref("Download")),
  total_active: whole("Unfinished downloads"),
  summary: ref("Summary"),
  timestamp: whole("Epoch milliseconds"),
  next_cursor: Type.Optional(Type.String({ description: "Ask for the next page with it" })),
});

export const ControlSchema = open({
  success: Type.Boolean(),
  message: Type.String(),
  model_id: Type.String(),
  id: Type.String({ format: "uuid" }),
  status: word(STATUS_WORDS),
  state: word(STATES),
});

export const CancelSchema = open({
  success: Type.Boolean(),
  message: Type.String(),
  model_id: Type.String(),
  id: Type.String({ format: "uuid" }),
  status: word(STATUS_WORDS),
  previous_status: word(STATUS_WORDS),
  download_type: word(["regular", "startup"]),
  timestamp: whole("Epoch milliseconds"),
  engine_creation: Type.Optional(ref("EngineCreation")),
});

const Failed = Type.Array(
  open({ model_id: Type.String(), status: word(STATUS_WORDS), reason: Type.String() }),
);

export const BulkCancelSchema = open({
  success: Type.Boolean(),
  message: Type.String(),
  summary: open({
    total_downloads: whole("Tried"),
    successful_cancellations: whole("Cancelled"),
    failed_cancellations: whole("Not cancelled"),
    startup_cancellations: whole("Of the cancelled, with an engine to come"),
    regular_cancellations: whole("Of the cancelled, without"),
  }),
  cancelled_count: whole("Cancelled"),
  cancelled_downloads: Type.Array(
    open({
      model_id: Type.String(),
      previous_status: word(STATUS_WORDS),
      download_type: word(["regular", "startup"]),
      cancelled_at: whole("Epoch milliseconds"),
      engine_creation: Type.Optional(ref("EngineCreation")),
    }),
  ),
  failed_cancellations: Failed,
  timestamp: whole("Epoch milliseconds"),
});

/** Bulk pause and resume; `verb` is the seed's manner of naming, for example `paused`. */
export const bulkSchema = (noun: string, verb: string) =>
  open({
    success: Type.Boolean(),
    message: Type.String(),
    summary: open({
      total_downloads: whole("Tried"),
      [`successful_${noun}`]: whole("Done"),
      [`failed_${noun}`]: whole("Not done"),
    }),
    [`${verb}_downloads`]: Type.Array(
      open({ model_id: Type.String(), previous_status: word(STATUS_WORDS), status: word(STATUS_WORDS) }),
    ),
    [`failed_${noun}`]: Failed,
    timestamp: whole("Epoch milliseconds"),
  });

export const ErrorSchema = open(
  {
    error: open({
      message: Type.String(),
      type: word([
        "invalid_request_error",
        "not_found_error",
        "server_error",
        "model_download_error",
        "model_loading_error",
      ]),
      param: Type.Unsafe<string | null>({ type: "string", nullable: true }),
      code: Type.Unsafe<string | null>({ type: "string", nullable: true }),
    }),
    success: Type.Optional(Type.Boolean({ description: "false, on a pause or resume that failed" })),
    model_id: Type.Optional(Type.String()),
  },
  { description: "Every error of this API" },
);
