/** Examples of the OpenAPI and AsyncAPI documents: the numbers and names of the seeds, with our own members beside them. */

const ID = "0b3c0c5e-7d0c-4f0e-9d64-0a6f4d0f8a11";
const START = 1_703_097_600_000;
const NOW = 1_703_097_610_000;

export const ENGINE_CREATION = {
  model_id: "my-model",
  engine_id: "my-model",
  load_immediately: true,
  main_gpu_id: 0,
  model_type: "llm",
  inference_engine: "llama-cpu",
};

/** Seed 001's download, ten seconds in. */
export const DOWNLOAD = {
  model_id: "my-model",
  status: "downloading",
  download_type: "regular",
  type: "regular",
  url: "https://huggingface.co/model/file.gguf",
  local_path: "./models/file.gguf",
  progress: {
    downloaded_bytes: 1_048_576,
    total_bytes: 10_485_760,
    percentage: 10,
    download_speed_bps: 524_288,
  },
  timing: { start_time: START, elapsed_seconds: 10, estimated_remaining_seconds: 90 },
  id: ID,
  state: "downloading",
  previous_state: "queued",
  attempts: 0,
  speed: 104_858,
  connections: 8,
  bottleneck: "remote",
  warnings: [],
  priority: 0,
  rate_limit_bps: 0,
  provider: "url",
  repo_id: "my-model",
  filename: "file.gguf",
  layout: "flat",
  model_type: "llm",
  files_total: 1,
  files_done: 0,
};

export const SUMMARY = {
  total_active: 1,
  startup_downloads: 0,
  regular_downloads: 1,
  embedding_model_downloads: 0,
  llm_model_downloads: 1,
};

/** Seed 001's list, with what seed 002 adds (A2). */
export const LIST = {
  active_downloads: [
    {
      ...DOWNLOAD,
      model_id: "model1",
      repo_id: "model1",
      filename: "model1.gguf",
      url: "https://example.com/model1.gguf",
      local_path: "./models/model1.gguf",
    },
  ],
  total_active: 1,
  summary: SUMMARY,
  timestamp: NOW,
};

/** Bodies of `POST /v1/downloads`. */
export const START_BODY = {
  repo_id: "TheBloke/Llama-2-7B-GGUF",
  filename: "llama-2-7b.Q4_K_M.gguf",
  model_id: "llama-2-7b",
};

export const CHANGE_BODY = { priority: 10, rate_limit_bps: 10_485_760 };

const command = (message: string, status: string, state: string) => ({
  success: true,
  message,
  model_id: "my-model",
  id: ID,
  status,
  state,
});

export const COMMAND_DONE = command("Download paused successfully", "paused", "paused");

export const CANCELLATION = {
  ...command("Download cancelled successfully", "cancelled", "cancelled"),
  previous_status: "downloading",
  download_type: "startup",
  timestamp: NOW,
  engine_creation: ENGINE_CREATION,
};

export const BULK_CANCELLATION = {
  success: true,
  message: "Bulk download cancellation completed",
  summary: {
    total_downloads: 1,
    successful_cancellations: 1,
    failed_cancellations: 0,
    startup_cancellations: 1,
    regular_cancellations: 0,
  },
  cancelled_count: 1,
  cancelled_downloads: [
    {
      model_id: "my-model",
      previous_status: "downloading",
      download_type: "startup",
      cancelled_at: NOW,
      engine_creation: ENGINE_CREATION,
    },
  ],
  failed_cancellations: [],
  timestamp: NOW,
};

/** Bulk pause and resume: `noun` and `verb` as in `failed_pauses` and `paused_downloads`. */
export const bulk = (noun: string, verb: string) => ({
  success: true,
  message: `Bulk download ${noun === "pauses" ? "pause" : "resume"} completed`,
  summary: { total_downloads: 1, [`successful_${noun}`]: 1, [`failed_${noun}`]: 0 },
  [`${verb}_downloads`]: [
    {
      model_id: "my-model",
      previous_status: verb === "paused" ? "downloading" : "paused",
      status: verb === "paused" ? "paused" : "downloading",
    },
  ],
  [`failed_${noun}`]: [],
  timestamp: NOW,
});

export const FILE = {
  id: 1,
  path: "file.gguf",
  size: 10_485_760,
  bytes: 10_485_760,
  state: "done",
  verified: true,
  digest: "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
  local_path: "./models/file.gguf",
};

/** R92. */
export const ERROR = {
  error: {
    message: "No download found for model ID: my-model",
    type: "not_found_error",
    param: "model_id",
    code: "download_not_found",
  },
};

export const SETTINGS = {
  max_concurrent: 3,
  connections_per_download: 8,
  rate_limit_bps: 0,
  retry: { max_attempts: 5, base_ms: 1000, max_ms: 60_000, jitter: 0.5 },
  paused: false,
};

const PARAMETERS = { n_ctx: 4096, n_gpu_layers: 100 };

export const ENGINE = {
  engine_id: "qwen-model",
  model_id: "qwen-model",
  status: "loaded",
  state: "loaded",
  model_type: "llm",
  model_path: "./models/Qwen/Qwen2.5-0.5B-Instruct-GGUF/qwen2.5-0.5b-instruct-q4_k_m.gguf",
  inference_engine: "llama-cpu",
  runtime: "register",
  load_immediately: true,
  main_gpu_id: 0,
  loading_parameters: PARAMETERS,
  created_at: NOW,
};

const created = {
  model_path: ENGINE.model_path,
  status: "loaded",
  load_immediately: true,
  loading_parameters: PARAMETERS,
  main_gpu_id: 0,
};
export const ENGINE_CREATED = { engine_id: "qwen-model", ...created, message: "Engine added successfully" };
export const MODEL_CREATED = {
  model_id: "qwen-model",
  model_type: "llm",
  inference_engine: "llama-cpu",
  ...created,
  message: "Model added successfully",
};
export const ENGINE_LIST = { engines: [ENGINE], total_count: 1 };
export const MODEL_LIST = {
  models: [ENGINE],
  total_count: 1,
  summary: {
    total_models: 1,
    embedding_models: 0,
    llm_models: 1,
    loaded_models: 1,
    unloaded_models: 0,
  },
};
export const MODEL_STATUS = {
  model_id: "qwen-model",
  status: "downloading",
  state: "downloading",
  message: "The model is being downloaded",
  progress_endpoint: "/download-progress/qwen-model",
};
export const ENGINE_LOG = { engine_id: "qwen-model", lines: ["main: server is listening"] };
export const removed = (id: "engine_id" | "model_id") => ({
  [id]: "qwen-model",
  status: "removed",
  message: `${id === "engine_id" ? "Engine" : "Model"} removed successfully`,
});

/** Seed 004's own line of progress. */
export const MODEL_PROGRESS = {
  status: "downloading",
  message: "downloading digestname",
  percent: 45.2,
  downloaded_bytes: 523_456_789,
  total_bytes: 1_157_890_123,
  downloaded: 523_456_789,
  total: 1_157_890_123,
  state: "downloading",
  id: ID,
};

const REPO_FILE = { path: START_BODY.filename, size: 4_400_000_000, digest: FILE.digest };
export const SOURCES = {
  sources: [
    { name: "huggingface", description: "Hugging Face Hub", lists: true },
    { name: "url", description: "Any http or https URL", lists: false },
  ],
};
export const REMOTE_FILES = {
  repo_id: START_BODY.repo_id,
  commit: "191239b3e26b2882fb562ffccdd1cf0f65402adb",
  gated: false,
  files: [{ ...REPO_FILE, quantization: "Q4_K_M" }],
};

export const FILES = {
  files: [
    {
      ...FILE,
      download_id: ID,
      model_id: "my-model",
      provider: "url",
      exists: true,
      verification: "verified",
      download_state: "completed",
      completed_at: NOW,
    },
  ],
};
export const FILE_DELETED = { success: true, message: "File deleted" };
export const VERIFICATION = {
  success: true,
  message: "The file is what it should be",
  matches: true,
  computed: FILE.digest,
  file: { ...FILE, checked_at: NOW, matches: true },
};
export const RECORDS_REMOVED = { success: true, message: "Finished records removed", removed_count: 1 };
export const SESSION_OPENED = { success: true, message: "Session opened" };
export const SESSION_CLOSED = { success: true, message: "Session closed" };
export const TICKET = { ticket: "q1w2e3r4t5y6u7i8o9p0", expires_in: 30 };
export const HEALTH = { status: "ok", version: "0.1.0", uptime_seconds: 42 };
export const OPENAPI = { openapi: "3.0.3", info: { title: "modelhaul", version: "0.1.0" }, paths: {} };
export const ASYNCAPI = {
  asyncapi: "3.0.0",
  info: { title: "modelhaul live", version: "0.1.0" },
  channels: {},
};
export const STORAGE = {
  free_bytes: 512_000_000_000,
  reserved_bytes: 4_400_000_000,
  models_bytes: 88_000_000_000,
  partial_bytes: 1_200_000_000,
};

const frame = (type: string, seq: number, data: object): string =>
  `id: ${seq}\nevent: ${type}\ndata: ${JSON.stringify({ type, seq, ...data })}\n\n`;
export const SNAPSHOT_FRAME = { type: "snapshot", seq: 41, downloads: [DOWNLOAD] };
export const DOWNLOAD_FRAME = { type: "download", seq: 42, previous_state: "queued", download: DOWNLOAD };
export const REMOVED_FRAME = { type: "removed", seq: 43, id: ID, model_id: "my-model" };
export const EVENTS =
  frame("snapshot", 41, SNAPSHOT_FRAME) +
  frame("download", 42, DOWNLOAD_FRAME) +
  frame("removed", 43, REMOVED_FRAME);
