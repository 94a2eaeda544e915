import { toDownloadError } from "../core/errors.ts";
import type { Digests, EngineRuntime, Http } from "../core/ports.ts";
import { find, type LlamaServerOptions, llamaServer } from "./llama-server.ts";
import { ollama } from "./ollama.ts";
import { register } from "./register.ts";

export interface RuntimeOptions {
  /** Name of the runtime that makes engines when the request names none. */
  standard?: string;
  /** For `llama-server`; null: looked for on PATH. */
  llamaServer?: LlamaServerOptions["program"];
  llamaTiming?: LlamaServerOptions["timing"];
  environment?: LlamaServerOptions["environment"];
  ollamaUrl?: string;
  http: Http;
  digests: Digests;
  clock: LlamaServerOptions["clock"];
  log: LlamaServerOptions["log"];
}

/** Every engine runtime of this build, the default first. Adding one is one file and one line here. */
export function createRuntimes(options: RuntimeOptions): EngineRuntime[] {
  const { clock, log, environment = {} } = options;
  const runtimes = [
    register,
    llamaServer({
      program: options.llamaServer ?? null,
      environment,
      clock,
      log,
      ...(options.llamaTiming && { timing: options.llamaTiming }),
    }),
    ollama({
      url: options.ollamaUrl ?? "http://127.0.0.1:11434",
      http: options.http,
      digests: options.digests,
      log,
    }),
  ];
  if (options.standard === "llama-server") tellIfMissing(options);
  const isStandard = ({ name }: EngineRuntime): boolean => name === (options.standard ?? register.name);
  return runtimes.sort((a, b) => Number(isStandard(b)) - Number(isStandard(a)));
}

/** Better at the start than after hours of downloading. */
function tellIfMissing({ llamaServer: program, environment, log }: RuntimeOptions): void {
  try {
    find(program ?? null, environment?.PATH);
  } catch (error) {
    log.warn("engines cannot be created yet", { error: toDownloadError(error).message });
  }
}
