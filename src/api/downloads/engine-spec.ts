import { guessModelType } from "../../core/admission.ts";
import type { EngineSpec } from "../../core/download.ts";
import { Problem } from "../problem.ts";
import type { EngineBody } from "./schemas.ts";

/** What a real server of this family assumes for parameters nobody gave (REQUIREMENTS section C). */
const LOADING_DEFAULTS = {
  n_ctx: 4096,
  n_keep: 2048,
  use_mlock: true,
  use_mmap: true,
  cont_batching: true,
  warmup: false,
  n_parallel: 1,
  n_gpu_layers: 100,
  n_batch: 2048,
  n_ubatch: 512,
};

/**
 * The engine asked for, with every default filled in. `names` is what the model's kind is guessed from, `fallbackId`
 * the id when the body has none. Throws `invalid_request` for parameters that contradict each other.
 */
export function engineSpec(body: EngineBody, fallbackId: string | undefined, names: string): EngineSpec {
  const engineId = body.engine_id ?? body.model_id ?? fallbackId;
  if (engineId === undefined || engineId === "")
    throw new Problem("invalid_request", "'engine.engine_id' or 'model_id' is needed to create an engine", {
      param: "engine.engine_id",
    });
  return {
    engineId,
    modelType: body.model_type ?? guessModelType(`${engineId} ${names}`),
    inferenceEngine: body.inference_engine ?? "llama-cpu",
    loadImmediately: body.load_immediately ?? true,
    mainGpuId: body.main_gpu_id ?? 0,
    parameters: loadingParameters(body.loading_parameters ?? {}),
  };
}

function loadingParameters(given: NonNullable<EngineBody["loading_parameters"]>): EngineSpec["parameters"] {
  const known = Object.keys(LOADING_DEFAULTS) as (keyof typeof LOADING_DEFAULTS)[];
  const all = Object.fromEntries(
    known.map((name) => [name, given[name] ?? LOADING_DEFAULTS[name]]),
  ) as typeof LOADING_DEFAULTS;
  // Only a value that was given can contradict; a default gives way to it.
  if (given.n_keep === undefined) all.n_keep = Math.min(all.n_keep, all.n_ctx);
  if (given.n_ubatch === undefined) all.n_ubatch = Math.min(all.n_ubatch, all.n_batch);
  atMost("n_keep", all.n_keep, "n_ctx", all.n_ctx);
  atMost("n_ubatch", all.n_ubatch, "n_batch", all.n_batch);
  return all;
}

function atMost(name: string, value: number, limitName: string, limit: number): void {
  if (value <= limit) return;
  throw new Problem(
    "invalid_request",
    `'loading_parameters.${name}' must not be larger than '${limitName}'`,
    {
      param: `loading_parameters.${name}`,
    },
  );
}
