import type { EngineSpec } from "../../core/download.ts";

type Parameters = EngineSpec["parameters"];

/** Parameters that are passed on with their value, by the names of this API (REQUIREMENTS section C). */
const VALUES: Readonly<Record<string, string>> = {
  n_ctx: "--ctx-size",
  n_keep: "--keep",
  n_batch: "--batch-size",
  n_ubatch: "--ubatch-size",
  n_parallel: "--parallel",
  n_gpu_layers: "--n-gpu-layers",
};
/** Switches, and the value that asks for them; the other value is the server's own default. */
const SWITCHES: Readonly<Record<string, readonly [when: boolean, flag: string]>> = {
  use_mlock: [true, "--mlock"],
  use_mmap: [false, "--no-mmap"],
  cont_batching: [false, "--no-cont-batching"],
  warmup: [false, "--no-warmup"],
};

/** The command line of `llama-server` for this engine. Only numbers and known switches of a request get into it. */
export function serverArguments(spec: EngineSpec, file: string, port: number): string[] {
  const { parameters, mainGpuId, modelType } = spec;
  return [
    ...["-m", file],
    ...["--host", "127.0.0.1", "--port", String(port)],
    // -1 leaves the choice to the server.
    ...(mainGpuId >= 0 ? ["--main-gpu", String(mainGpuId)] : []),
    ...Object.entries(VALUES).flatMap(([name, flag]) => valued(parameters, name, flag)),
    ...Object.entries(SWITCHES).flatMap(([name, [when, flag]]) => (parameters[name] === when ? [flag] : [])),
    ...(modelType === "embedding" ? ["--embedding"] : []),
  ];
}

function valued(parameters: Parameters, name: string, flag: string): string[] {
  const value = parameters[name];
  return typeof value === "number" && Number.isSafeInteger(value) ? [flag, String(value)] : [];
}
