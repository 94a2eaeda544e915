import type { EngineAnswer } from "../../core/downloads.ts";
import type { Snapshot } from "../../core/feed.ts";
import type { Engine, EngineState } from "../../core/ports.ts";
import { engineFull } from "../downloads/present-engine.ts";
import { hasScheme, shownPath } from "./model-path.ts";

/** What lists say of each state: the seeds know no other words. The exact one stands in `state`. */
export const STATUS: Record<EngineState, "loaded" | "unloaded"> = {
  created: "unloaded",
  loading: "unloaded",
  loaded: "loaded",
  stopped: "unloaded",
  failed: "unloaded",
};

type Created = Extract<EngineAnswer, { outcome: "created" }>;
type Downloading = Exclude<EngineAnswer, Created>;

const NOTE =
  "Check download progress using the progress_endpoint. Engine creation will be deferred until download completes.";

const progressOf = (id: string): string => `/download-progress/${encodeURIComponent(id)}`;

/** R38: the seven fields. The endpoint names the download, which has the engine's id unless that was in use. */
export function presentStarted({ outcome, download }: Downloading, engineId: string) {
  const endpoint = progressOf(download.modelId);
  const message: Record<Downloading["outcome"], string> = {
    started: "Model download started successfully. Engine will be created once download completes.",
    resuming: "Model download resume started successfully. Engine will be created once download completes.",
    in_progress: `Model download already in progress. Use ${endpoint} to check status.`,
  };
  return {
    message: message[outcome],
    engine_id: engineId,
    download_status: outcome,
    download_url: download.source.url,
    local_path: download.localPath ?? "",
    progress_endpoint: endpoint,
    note: NOTE,
  };
}

/** What both generations say of an engine that is there at once; `modelPath` is as it was given. */
function createdBody({ engine, warnings }: Created, modelPath: string) {
  const shown = shownPath(modelPath);
  return {
    model_path: shown,
    status: engine.state === "loaded" ? ("loaded" as const) : ("created" as const),
    load_immediately: engine.loadImmediately,
    loading_parameters: engine.parameters,
    main_gpu_id: engine.mainGpuId,
    ...(hasScheme(modelPath)
      ? {
          download_info: {
            source_url: shown,
            local_path: engine.path,
            was_downloaded: engine.downloadId !== null,
          },
        }
      : {}),
    ...(warnings.length === 0 ? {} : { warnings }),
  };
}

export const presentCreated = (created: Created, modelPath: string) => ({
  engine_id: created.engine.engineId,
  ...createdBody(created, modelPath),
  message: "Engine added successfully",
});

/** The second generation's 202. */
export function presentModelStarted({ outcome, download }: Downloading, modelId: string) {
  const message: Record<Downloading["outcome"], string> = {
    started: "Download started in background",
    resuming: "Download resumed in background",
    in_progress: `Model download already in progress. Use /downloads/${encodeURIComponent(download.modelId)} to check status.`,
  };
  return {
    model_id: modelId,
    model_type: download.engine?.modelType ?? download.modelType,
    status: "downloading",
    message: message[outcome],
    download_url: download.source.url,
    local_path: download.localPath ?? "",
  };
}

export const presentModelCreated = (created: Created, modelPath: string) => ({
  model_id: created.engine.engineId,
  model_type: created.engine.modelType,
  inference_engine: created.engine.inferenceEngine,
  ...createdBody(created, modelPath),
  message: "Model added successfully",
});

/** One engine in lists and alone, with the features of its kind (R69-R71). What is unknown is left out (A9). */
export function presentEngine(engine: Engine) {
  const { details } = engine;
  return {
    ...engineFull(engine),
    status: STATUS[engine.state],
    state: engine.state,
    model_path: engine.path,
    runtime: engine.runtime,
    loading_parameters: engine.parameters,
    created_at: engine.createdAt,
    ...known({
      endpoint: engine.endpoint,
      error_message: engine.error,
      download_id: engine.downloadId,
      details: details && {
        format: details.format,
        ...known({
          architecture: details.architecture,
          quantization: details.quantization,
          context_length: details.contextLength,
          parameter_count: details.parameterCount,
          memory_bytes: details.memoryBytes,
        }),
      },
    }),
  };
}

const known = (members: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== null));

export const presentEngines = (engines: readonly Engine[]) => ({
  engines: engines.map(presentEngine),
  total_count: engines.length,
});

export function presentModels(engines: readonly Engine[]) {
  const count = (holds: (engine: Engine) => boolean): number => engines.filter(holds).length;
  const loaded = count(({ state }) => state === "loaded");
  return {
    models: engines.map(presentEngine),
    total_count: engines.length,
    summary: {
      total_models: engines.length,
      embedding_models: count(({ modelType }) => modelType === "embedding"),
      llm_models: count(({ modelType }) => modelType === "llm"),
      loaded_models: loaded,
      unloaded_models: engines.length - loaded,
    },
  };
}

const STATE_TEXT: Record<EngineState, string> = {
  created: "Registered, not loaded",
  loading: "Loading",
  loaded: "Loaded and ready",
  stopped: "Stopped",
  failed: "Failed",
};

export const presentModelStatus = (engine: Engine) => ({
  model_id: engine.engineId,
  status: STATUS[engine.state],
  state: engine.state,
  message: STATE_TEXT[engine.state],
  ...known({ error_message: engine.error, endpoint: engine.endpoint }),
});

/** The same while its file is still on the way. */
export const presentModelAwaited = (download: Snapshot, modelId: string) => ({
  model_id: modelId,
  status: "downloading",
  state: download.state,
  message: "Its download has not ended",
  progress_endpoint: progressOf(download.modelId),
});
