import type { Download, DownloadType, EngineCreation, ModelType, Retry, State, Status } from "./download.ts";
import { pathOf, type Query, type RequestOptions, type Transport } from "./transport.ts";

export interface LoadingParameters {
  n_ctx?: number;
  n_keep?: number;
  use_mlock?: boolean;
  use_mmap?: boolean;
  cont_batching?: boolean;
  warmup?: boolean;
  n_parallel?: number;
  n_gpu_layers?: number;
  n_batch?: number;
  n_ubatch?: number;
}

/** An engine to make of the file once it is there. */
export interface EngineRequest {
  engine_id?: string;
  model_id?: string;
  model_type?: ModelType;
  inference_engine?: string;
  load_immediately?: boolean;
  /** -1 lets the engine choose. */
  main_gpu_id?: number;
  loading_parameters?: LoadingParameters;
}

/** What to download: `url`, or `repo_id`, or `provider` and `model`. */
export interface StartRequest {
  url?: string;
  /** Hub repository, owner/name. */
  repo_id?: string;
  /** Exact file of the repository, or file name for a URL. */
  filename?: string;
  /** Globs over paths in the repository. */
  include?: string[];
  exclude?: string[];
  /** Branch, tag or commit. */
  revision?: string;
  provider?: string;
  model?: string;
  /** Server to use instead of the provider's own. */
  base_url?: string;
  /** Id to watch and control it by; derived when not given. */
  model_id?: string;
  /** 64 hex digits the file must have. */
  sha256?: string;
  /** Sent to the origin of the URL only. */
  headers?: Record<string, string>;
  /** Access token of the hub; kept secret. */
  token?: string;
  priority?: number;
  /** Bytes per second, 0 = no limit. */
  rate_limit_bps?: number;
  retry?: Retry;
  layout?: "flat" | "hf-cache";
  engine?: EngineRequest;
}

/** At most one of `before`, `after` and `position`. */
export interface ChangeRequest {
  priority?: number;
  /** Id of the queued download to stand before. */
  before?: string;
  after?: string;
  /** 1 is next. */
  position?: number;
  /** Bytes per second, 0 = no limit. */
  rate_limit_bps?: number;
  retry?: Retry;
}

export interface ListQuery {
  /** `all`, `active`, `finished`, or states; without any of these members the list of active ones. */
  state?: "all" | "active" | "finished" | State | State[];
  provider?: string;
  /** Text in model id, repository or file name. */
  q?: string;
  /** Most records of a page, 1 to 1000. */
  limit?: number;
  /** `next_cursor` of the page before. */
  cursor?: string;
}

export interface Summary {
  total_active: number;
  startup_downloads: number;
  regular_downloads: number;
  embedding_model_downloads: number;
  llm_model_downloads: number;
}

export interface DownloadList {
  active_downloads: Download[];
  total_active: number;
  summary: Summary;
  /** Epoch milliseconds. */
  timestamp: number;
  next_cursor?: string;
}

export interface CommandDone {
  success: boolean;
  message: string;
  model_id: string;
  id: string;
  status: Status;
  state: State;
}

export interface Cancellation {
  success: boolean;
  message: string;
  model_id: string;
  id: string;
  status: Status;
  previous_status: Status;
  download_type: DownloadType;
  /** Epoch milliseconds. */
  timestamp: number;
  engine_creation?: EngineCreation;
}

export interface BulkFailure {
  model_id: string;
  status: Status;
  reason: string;
}

export interface BulkCancellation {
  success: boolean;
  message: string;
  summary: {
    total_downloads: number;
    successful_cancellations: number;
    failed_cancellations: number;
    startup_cancellations: number;
    regular_cancellations: number;
  };
  cancelled_count: number;
  cancelled_downloads: {
    model_id: string;
    previous_status: Status;
    download_type: DownloadType;
    /** Epoch milliseconds. */
    cancelled_at: number;
    engine_creation?: EngineCreation;
  }[];
  failed_cancellations: BulkFailure[];
  /** Epoch milliseconds. */
  timestamp: number;
}

export interface BulkChange {
  model_id: string;
  previous_status: Status;
  status: Status;
}

export interface BulkPause {
  success: boolean;
  message: string;
  summary: { total_downloads: number; successful_pauses: number; failed_pauses: number };
  paused_downloads: BulkChange[];
  failed_pauses: BulkFailure[];
  timestamp: number;
}

export interface BulkResume {
  success: boolean;
  message: string;
  summary: { total_downloads: number; successful_resumes: number; failed_resumes: number };
  resumed_downloads: BulkChange[];
  failed_resumes: BulkFailure[];
  timestamp: number;
}

const PATH = "/v1/downloads";

/** `/v1/downloads`. An id is a `model_id` or a UUID. All methods throw `ModelhaulError` and `ConnectionError`. */
export class Downloads {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Starts a download, or answers the equal one that is not finished or goes on after its failure. 409: the `model_id` is in use for another. */
  start(request: StartRequest, options: RequestOptions = {}): Promise<Download> {
    return this.#transport.json("POST", PATH, { ...options, body: request });
  }

  /** One page; without a query all active ones and those that have ended in the last seconds. */
  list(query: ListQuery = {}, options: RequestOptions = {}): Promise<DownloadList> {
    const { state, ...rest } = query;
    const words = Array.isArray(state) ? state.join(",") : state;
    return this.#transport.json("GET", PATH, { ...options, query: { ...rest, state: words } as Query });
  }

  /** Every download that fits, page after page. */
  async *all(query: Omit<ListQuery, "cursor"> = {}, options: RequestOptions = {}): AsyncGenerator<Download> {
    let cursor: string | undefined;
    do {
      const page = await this.list({ state: "all", ...query, ...(cursor ? { cursor } : {}) }, options);
      yield* page.active_downloads;
      cursor = page.next_cursor;
    } while (cursor !== undefined);
  }

  /**
   * One with its files, finished ones too as long as history keeps them. 404 when there is none. `exists`: each finished
   * file says whether it is still on disk.
   */
  get(id: string, { exists, ...options }: RequestOptions & { exists?: boolean } = {}): Promise<Download> {
    const query = exists === undefined ? {} : { exists };
    return this.#transport.json("GET", pathOf`/v1/downloads/${id}`, { ...options, query });
  }

  /** As `get`, by the id of the engine it was started for, too. */
  progress(id: string, options: RequestOptions = {}): Promise<Download> {
    return this.#transport.json("GET", pathOf`/v1/download-progress/${id}`, options);
  }

  change(id: string, change: ChangeRequest, options: RequestOptions = {}): Promise<Download> {
    return this.#transport.json("PATCH", pathOf`/v1/downloads/${id}`, { ...options, body: change });
  }

  /** Its bytes stay. 400 when it has finished. */
  pause(id: string, options: RequestOptions = {}): Promise<CommandDone> {
    return this.#transport.json("POST", pathOf`/v1/downloads/${id}/pause`, options);
  }

  resume(id: string, options: RequestOptions = {}): Promise<CommandDone> {
    return this.#transport.json("POST", pathOf`/v1/downloads/${id}/resume`, options);
  }

  /** Its partial data is deleted. 400 when it has finished. */
  cancel(id: string, options: RequestOptions = {}): Promise<Cancellation> {
    return this.#transport.json("POST", pathOf`/v1/downloads/${id}/cancel`, options);
  }

  /** Queues a failed or cancelled one again. */
  retry(id: string, options: RequestOptions = {}): Promise<CommandDone> {
    return this.#transport.json("POST", pathOf`/v1/downloads/${id}/retry`, options);
  }

  pauseAll(options: RequestOptions = {}): Promise<BulkPause> {
    return this.#transport.json("POST", `${PATH}/pause`, options);
  }

  resumeAll(options: RequestOptions = {}): Promise<BulkResume> {
    return this.#transport.json("POST", `${PATH}/resume`, options);
  }

  cancelAll(options: RequestOptions = {}): Promise<BulkCancellation> {
    return this.#transport.json("POST", `${PATH}/cancel`, options);
  }
}
