/** The wire's objects of downloads, as `/v1/downloads` shows them. Times are epoch milliseconds, rates bytes per second. */

export type State =
  | "queued"
  | "downloading"
  | "paused"
  | "verifying"
  | "creating_engine"
  | "completed"
  | "failed"
  | "cancelled";

/** The coarser words of the kolosal family: `queued` and `verifying` are `downloading` there. */
export type Status = "downloading" | "paused" | "creating_engine" | "completed" | "cancelled" | "failed";

export type DownloadType = "regular" | "startup";
export type ModelType = "llm" | "embedding";
export type Layout = "flat" | "hf-cache" | "ollama";

/** Retry policy. */
export interface Retry {
  /** Consecutive tries that bring no new bytes before it gives up. */
  max_attempts?: number;
  /** First waiting time, milliseconds. */
  base_ms?: number;
  /** Longest waiting time, milliseconds. */
  max_ms?: number;
  /** 0 = none, 1 = full. */
  jitter?: number;
}

export interface Progress {
  /** Bytes on disk; of what was cancelled or has failed, how far it came. */
  downloaded_bytes: number;
  /** Bytes of all files together; 0 while unknown. */
  total_bytes: number;
  /** 0 to 100; falls only where a file is visibly restarted. */
  percentage: number;
  /** Bytes per second, average since the start. */
  download_speed_bps: number;
}

export interface Timing {
  /** Epoch milliseconds. */
  start_time: number;
  elapsed_seconds: number;
  /** Only while bytes move. */
  estimated_remaining_seconds?: number;
  /** Epoch milliseconds. */
  end_time?: number;
}

export interface EngineCreation {
  model_id: string;
  engine_id: string;
  load_immediately: boolean;
  main_gpu_id: number;
  model_type: ModelType;
  inference_engine: string;
  embedding_features?: Record<string, boolean>;
  recommended_usage?: Record<string, boolean>;
  llm_features?: Record<string, boolean>;
}

export interface Failure {
  code: string;
  /** For people. */
  message: string;
}

/** A file of a download. */
export interface DownloadFile {
  /** Number for `files.remove` and `files.verify`. */
  id: number;
  /** Path in the repository, or file name. */
  path: string;
  /** Bytes; 0 while unknown. */
  size: number;
  /** Bytes on disk. */
  bytes: number;
  state: "pending" | "done" | "failed";
  /** Its promised digest was found to be right. */
  verified: boolean;
  /** Of the last verification since it came, epoch milliseconds. */
  checked_at?: number;
  /** What that found; left out when there was nothing to compare with. */
  matches?: boolean;
  /** It is still there, with its size; only where that was asked for. */
  exists?: boolean;
  /** `algorithm:hex`. */
  digest?: string;
  local_path?: string;
  error?: Failure;
}

/** Why it does not run; `until` in epoch milliseconds. */
export interface Waiting {
  /** `user`: it is paused. `all_paused`: the settings let no download run. */
  reason: "user" | "all_paused" | "queue" | "disk" | "volume" | "host_limit" | "retry";
  until?: number;
}

export interface Download {
  /** UUID; every route takes it in place of the `model_id`. */
  id: string;
  model_id: string;
  state: State;
  status: Status;
  previous_state?: State;
  download_type: DownloadType;
  type: DownloadType;
  url: string;
  /** Where the file, or the folder of many files, is or will be; empty until it is known. */
  local_path: string;
  progress: Progress;
  timing: Timing;
  /** Why it failed; only then. */
  error_message?: string;
  error_code?: string;
  /** What made the last try fail, while it is being tried again. */
  last_error?: Failure;
  engine_creation?: EngineCreation;
  /** Place in the queue, 1 is next. */
  position?: number;
  /** Consecutive tries that brought no new bytes. */
  attempts: number;
  /** Bytes per second now, smoothed; 0 within 2 s of silence. */
  speed: number;
  connections: number;
  /** Why it is not faster. */
  bottleneck?: "remote" | "own_limit" | "host_limit" | "disk" | "digest";
  /** What the program that fetches for the server says it is doing. */
  status_line?: string;
  waiting?: Waiting;
  warnings: string[];
  /** The higher runs first. */
  priority: number;
  /** Bytes per second, 0 = no limit. */
  rate_limit_bps: number;
  retry?: Retry;
  provider: string;
  repo_id: string;
  filename: string;
  revision?: string;
  commit?: string;
  layout: Layout;
  model_type: ModelType;
  /** 0 until it is known. */
  files_total: number;
  files_done: number;
  labels?: Record<string, string>;
  /** Where one download is asked for, not in lists and events. */
  files?: DownloadFile[];
}

export const FINISHED: readonly State[] = ["completed", "failed", "cancelled"];

/** Whether it will not change again unless somebody retries it. */
export const isFinished = ({ state }: Pick<Download, "state">): boolean => FINISHED.includes(state);
