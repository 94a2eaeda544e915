import type { ModelType } from "./download.ts";
import type { EngineRequest } from "./downloads.ts";
import { pathOf, type RequestOptions, type Transport } from "./transport.ts";

interface AddRequest extends Omit<EngineRequest, "engine_id" | "model_id"> {
  /** URL, hub reference (`hf:org/name/file`) or path in the models directory. */
  model_path: string;
  /** Access token of the hub; kept secret. */
  token?: string;
  /** 64 hex digits the file must have. */
  sha256?: string;
}
export interface AddEngine extends AddRequest {
  engine_id: string;
}
export interface AddModel extends AddRequest {
  model_id: string;
  model_type: ModelType;
}

export interface DownloadInfo {
  source_url: string;
  local_path: string;
  /** false for a file that somebody put there. */
  was_downloaded: boolean;
}

/** 202: it is being downloaded; the engine is made when that is done. */
export interface EngineStarted {
  message: string;
  engine_id: string;
  download_status: "started" | "resuming" | "in_progress";
  download_url: string;
  local_path: string;
  progress_endpoint: string;
  note: string;
}

interface Created {
  model_path: string;
  status: "loaded" | "created";
  load_immediately: boolean;
  loading_parameters: Record<string, unknown>;
  main_gpu_id: number;
  message: string;
  download_info?: DownloadInfo;
  warnings?: string[];
}
/** 201: the file was there. */
export interface EngineCreated extends Created {
  engine_id: string;
}
export interface ModelCreated extends Created {
  model_id: string;
  model_type: ModelType;
  inference_engine: string;
}
export interface ModelStarted {
  model_id: string;
  model_type: ModelType;
  status: "downloading";
  message: string;
  download_url: string;
  local_path: string;
}

export interface Engine {
  engine_id: string;
  model_id: string;
  status: "loaded" | "unloaded";
  state: "created" | "loading" | "loaded" | "stopped" | "failed";
  model_type: ModelType;
  model_path: string;
  inference_engine: string;
  runtime: string;
  load_immediately: boolean;
  main_gpu_id: number;
  loading_parameters: Record<string, unknown>;
  /** Epoch milliseconds. */
  created_at: number;
  /** Where it answers while it runs. */
  endpoint?: string;
  error_message?: string;
  download_id?: string;
  details?: {
    format: "gguf" | "safetensors" | "other";
    architecture?: string;
    quantization?: string;
    /** Tokens it was trained for. */
    context_length?: number;
    parameter_count?: number;
    /** Bytes it takes when loaded, about. */
    memory_bytes?: number;
  };
  embedding_features?: Record<string, boolean>;
  recommended_usage?: Record<string, boolean>;
  llm_features?: Record<string, boolean>;
}

export interface EngineList {
  engines: Engine[];
  total_count: number;
}
export interface ModelList {
  models: Engine[];
  total_count: number;
  summary: {
    total_models: number;
    embedding_models: number;
    llm_models: number;
    loaded_models: number;
    unloaded_models: number;
  };
}
export interface ModelStatus {
  model_id: string;
  status: "loaded" | "unloaded" | "downloading";
  /** Exact state of the engine, or of its download. */
  state: string;
  message: string;
  error_message?: string;
  endpoint?: string;
  progress_endpoint?: string;
}
export interface EngineLog {
  engine_id: string;
  /** Oldest first. */
  lines: string[];
}

/** Loading a model takes as long as it takes. */
const UNLIMITED = { timeoutMs: 0 };

/** `/v1/engines`. All methods throw `ModelhaulError` (404 `engine_not_found`) and `ConnectionError`. */
export class Engines {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  list(options: RequestOptions = {}): Promise<EngineList> {
    return this.#transport.json("GET", "/v1/engines", options);
  }

  /** Made at once when the file is there, else when its download is done. 409 `engine_id_exists`, 422 no such URL. */
  add(request: AddEngine, options: RequestOptions = {}): Promise<EngineCreated | EngineStarted> {
    return this.#transport.json("POST", "/v1/engines", { ...options, ...UNLIMITED, body: request });
  }

  get(id: string, options: RequestOptions = {}): Promise<Engine> {
    return this.#transport.json("GET", pathOf`/v1/engines/${id}`, options);
  }

  status(id: string, options: RequestOptions = {}): Promise<Engine> {
    return this.#transport.json("GET", pathOf`/v1/engines/${id}/status`, options);
  }

  /** Stops and forgets it; its file stays. */
  remove(
    id: string,
    options: RequestOptions = {},
  ): Promise<{ engine_id: string; status: string; message: string }> {
    return this.#transport.json("DELETE", pathOf`/v1/engines/${id}`, options);
  }

  /** Answers when it is ready. */
  start(id: string, options: RequestOptions = {}): Promise<Engine> {
    return this.#transport.json("POST", pathOf`/v1/engines/${id}/start`, { ...options, ...UNLIMITED });
  }

  stop(id: string, options: RequestOptions = {}): Promise<Engine> {
    return this.#transport.json("POST", pathOf`/v1/engines/${id}/stop`, options);
  }

  log(id: string, options: RequestOptions = {}): Promise<EngineLog> {
    return this.#transport.json("GET", pathOf`/v1/engines/${id}/log`, options);
  }
}

/** `/v1/models`: the same engines in the words of the second generation. */
export class Models {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  list(options: RequestOptions = {}): Promise<ModelList> {
    return this.#transport.json("GET", "/v1/models", options);
  }

  add(request: AddModel, options: RequestOptions = {}): Promise<ModelCreated | ModelStarted> {
    return this.#transport.json("POST", "/v1/models", { ...options, ...UNLIMITED, body: request });
  }

  get(id: string, options: RequestOptions = {}): Promise<Engine> {
    return this.#transport.json("GET", pathOf`/v1/models/${id}`, options);
  }

  status(id: string, options: RequestOptions = {}): Promise<ModelStatus> {
    return this.#transport.json("GET", pathOf`/v1/models/${id}/status`, options);
  }

  remove(
    id: string,
    options: RequestOptions = {},
  ): Promise<{ model_id: string; status: string; message: string }> {
    return this.#transport.json("DELETE", pathOf`/v1/models/${id}`, options);
  }
}
