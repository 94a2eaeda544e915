/** What the monitor knows of the server: types of the native API, and nothing of its own. */
import type { present, presentOne } from "../../src/api/downloads/present.ts";
import type { ChangeBody, StartBody } from "../../src/api/downloads/schemas.ts";

/** A download as lists and live events show it. */
export type DownloadItem = ReturnType<typeof present>;
/** The same as shown alone: more of its engine, and its files. */
export type DownloadDetails = ReturnType<typeof presentOne>;
export type FileItem = NonNullable<DownloadDetails["files"]>[number];
export type State = DownloadItem["state"];
export type { ChangeBody, StartBody };

export interface Retry {
  max_attempts: number;
  base_ms: number;
  max_ms: number;
  jitter: number;
}

export interface Settings {
  max_concurrent: number;
  connections_per_download: number;
  /** Bytes per second of all together, 0 = no limit. */
  rate_limit_bps: number;
  retry: Retry;
  /** Nothing new is started. */
  paused: boolean;
}

export interface Storage {
  free_bytes: number;
  reserved_bytes: number;
  models_bytes: number;
}

export interface EngineItem {
  engine_id: string;
  model_id: string;
  status: "loaded" | "unloaded";
  state: "created" | "loading" | "loaded" | "stopped" | "failed";
  model_type: "llm" | "embedding";
  model_path: string;
  inference_engine: string;
  runtime: string;
  load_immediately: boolean;
  main_gpu_id: number;
  loading_parameters: Record<string, unknown>;
  created_at: number;
  endpoint?: string;
  error_message?: string;
  download_id?: string;
  details?: {
    format: "gguf" | "safetensors" | "other";
    architecture?: string;
    quantization?: string;
    context_length?: number;
    parameter_count?: number;
    memory_bytes?: number;
  };
}

/** A finished file on disk, `GET /v1/files`. */
export interface ModelFile extends FileItem {
  download_id: string;
  model_id: string;
  provider: string;
  repo_id?: string;
  /** It is still there, with its size. */
  exists: boolean;
  completed_at?: number;
}

export interface Verification {
  success: boolean;
  message: string;
  matches?: boolean;
  computed: string;
  file: FileItem;
}

export interface SourceItem {
  name: string;
  description: string;
  lists: boolean;
}

export interface RemoteFile {
  path: string;
  size: number;
  digest?: string;
  quantization?: string;
  shard_set?: string;
  shard?: { number: number; count: number };
}

export interface RemoteListing {
  repo_id: string;
  commit?: string;
  gated: boolean;
  files: RemoteFile[];
}

/** What of a state may be asked for. */
export type Verb = "pause" | "resume" | "cancel" | "retry";
