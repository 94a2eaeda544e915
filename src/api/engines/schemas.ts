import { type Static, Type } from "@sinclair/typebox";
import { EngineSchema } from "../downloads/schemas.ts";
import { open, ref, text, whole, word } from "../wire.ts";

const { engine_id, model_id, ...settings } = EngineSchema.properties;

const shared = {
  model_path: text(
    "URL, hub reference (hf:org/name/file, org/name/file.gguf) or path in the models directory",
    16_384,
  ),
  ...settings,
  token: Type.Optional(text("Access token of the hub; kept secret", 8192)),
  sha256: Type.Optional(
    Type.String({ pattern: "^(sha256:)?[0-9a-fA-F]{64}$", description: "Digest the file must have" }),
  ),
};

/** Which of the two spellings of the id is given is the handler's to see (A3). */
export const AddEngineSchema = open({ engine_id, model_id, ...shared }, { title: "AddEngine" });
export type AddEngineBody = Static<typeof AddEngineSchema>;

const ModelType = Type.Union([Type.Literal("llm"), Type.Literal("embedding")]);
export const AddModelSchema = open(
  { model_id: text("Id of the model", 512), ...shared, model_type: ModelType },
  { title: "AddModel" },
);

export const ENGINE_BODY = {
  engine_id: "qwen-model",
  model_path:
    "https://huggingface.co/Qwen/Qwen2.5-0.5B-Instruct-GGUF/resolve/main/qwen2.5-0.5b-instruct-q4_k_m.gguf",
  load_immediately: true,
};
export const MODEL_BODY = { model_id: "qwen-model", model_path: ENGINE_BODY.model_path, model_type: "llm" };

/* ---------------------------------------------------------------- answers; they document, handlers build them */

const Parameters = Type.Record(Type.String(), Type.Unknown(), {
  description: "With every default filled in",
});
const DownloadInfo = open({
  source_url: Type.String(),
  local_path: Type.String(),
  was_downloaded: Type.Boolean({ description: "false for a file that somebody put there" }),
});
const Warnings = Type.Optional(Type.Array(Type.String()));

export const EngineStartedSchema = open({
  message: Type.String(),
  engine_id: Type.String(),
  download_status: word(["started", "resuming", "in_progress"]),
  download_url: Type.String(),
  local_path: Type.String(),
  progress_endpoint: Type.String(),
  note: Type.String(),
});

export const EngineCreatedSchema = open({
  engine_id: Type.String(),
  model_path: Type.String(),
  status: word(["loaded", "created"]),
  load_immediately: Type.Boolean(),
  loading_parameters: Parameters,
  main_gpu_id: Type.Integer(),
  message: Type.String(),
  download_info: Type.Optional(DownloadInfo),
  warnings: Warnings,
});

export const ModelStartedSchema = open({
  model_id: Type.String(),
  model_type: word(["llm", "embedding"]),
  status: word(["downloading"]),
  message: Type.String(),
  download_url: Type.String(),
  local_path: Type.String(),
});

export const ModelCreatedSchema = open({
  model_id: Type.String(),
  model_type: word(["llm", "embedding"]),
  model_path: Type.String(),
  inference_engine: Type.String(),
  status: word(["loaded", "created"]),
  load_immediately: Type.Boolean(),
  loading_parameters: Parameters,
  main_gpu_id: Type.Integer(),
  message: Type.String(),
  download_info: Type.Optional(DownloadInfo),
  warnings: Warnings,
});

const Details = open({
  format: word(["gguf", "safetensors", "other"]),
  architecture: Type.Optional(Type.String()),
  quantization: Type.Optional(Type.String()),
  context_length: Type.Optional(whole("Tokens it was trained for")),
  parameter_count: Type.Optional(whole("Weights")),
  memory_bytes: Type.Optional(whole("Memory it takes when loaded, about")),
});

export const EngineViewSchema = open({
  engine_id: Type.String(),
  model_id: Type.String(),
  status: word(["loaded", "unloaded"]),
  state: word(["created", "loading", "loaded", "stopped", "failed"]),
  model_type: word(["llm", "embedding"]),
  model_path: Type.String(),
  inference_engine: Type.String(),
  runtime: Type.String(),
  load_immediately: Type.Boolean(),
  main_gpu_id: Type.Integer(),
  loading_parameters: Parameters,
  created_at: whole("Epoch milliseconds"),
  endpoint: Type.Optional(Type.String({ description: "Where it answers while it runs" })),
  error_message: Type.Optional(Type.String({ description: "Why it failed" })),
  download_id: Type.Optional(Type.String({ description: "What brought its file" })),
  details: Type.Optional(Details),
  embedding_features: Type.Optional(Type.Record(Type.String(), Type.Boolean())),
  recommended_usage: Type.Optional(Type.Record(Type.String(), Type.Boolean())),
  llm_features: Type.Optional(Type.Record(Type.String(), Type.Boolean())),
});

export const EngineListSchema = open({
  engines: Type.Array(ref("Engine")),
  total_count: whole("Engines"),
});

export const ModelListSchema = open({
  models: Type.Array(ref("Engine")),
  total_count: whole("Models"),
  summary: open({
    total_models: whole("All of them"),
    embedding_models: whole("Of these, embedding models"),
    llm_models: whole("Of these, language models"),
    loaded_models: whole("Of these, loaded"),
    unloaded_models: whole("Of these, not loaded"),
  }),
});

export const RemovedSchema = (id: "engine_id" | "model_id") =>
  open({ [id]: Type.String(), status: word(["removed"]), message: Type.String() });

export const LogSchema = open({ engine_id: Type.String(), lines: Type.Array(Type.String()) });

export const ModelStatusSchema = open({
  model_id: Type.String(),
  status: word(["loaded", "unloaded", "downloading"]),
  state: Type.String({ description: "Exact state of the engine, or of its download" }),
  message: Type.String(),
  error_message: Type.Optional(Type.String()),
  endpoint: Type.Optional(Type.String()),
  progress_endpoint: Type.Optional(Type.String({ description: "While it is downloaded" })),
});
