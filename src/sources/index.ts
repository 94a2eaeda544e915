import type { Clock, Http, Log, Source } from "../core/ports.ts";
import { publicUrl } from "../core/redact.ts";
import { parseToken } from "./headers.ts";
import { createHuggingFace } from "./huggingface.ts";
import { createMlx } from "./mlx.ts";
import { createModelScope } from "./modelscope.ts";
import { createOllama } from "./ollama.ts";
import { createOllamaRegistry } from "./ollama-registry.ts";
import { createUrl } from "./url.ts";

export interface SourcesOptions {
  http: Http;
  /** Base URL of the Hugging Face Hub or of a mirror; default `https://huggingface.co`. */
  hfEndpoint?: string;
  /** The operator's token for that endpoint (`HF_TOKEN`). */
  hfToken?: string;
  /** Base URL of a ModelScope site or of a mirror; default `https://modelscope.cn`. */
  modelscopeEndpoint?: string;
  /** The operator's token for that endpoint (`MODELSCOPE_API_TOKEN`). */
  modelscopeToken?: string;
  /** Base URL of Ollama's registry or of a mirror; default `https://registry.ollama.ai`. */
  ollamaRegistry?: string;
  /** Base URL of the Ollama server that pulls; default `http://127.0.0.1:11434`. */
  ollamaUrl?: string;
  clock: Clock;
  log: Log;
}

/** Where models come from, in order: the first source that accepts a request gets it, plain URLs come last. */
export function createSources(options: SourcesOptions): Source[] {
  const { http, clock, log } = options;
  const { hfEndpoint = "https://huggingface.co", modelscopeEndpoint = "https://modelscope.cn" } = options;
  const operated = (endpoint: string, text: string | undefined) => {
    const token = parseToken(text);
    if (token !== undefined && isExposed(endpoint))
      log.warn("the hub token goes over plain http to this endpoint", { endpoint: publicUrl(endpoint) });
    return { http, clock, endpoint, ...(token === undefined ? {} : { token }) };
  };
  const { ollamaRegistry = "https://registry.ollama.ai", ollamaUrl = "http://127.0.0.1:11434" } = options;
  const hub = operated(hfEndpoint, options.hfToken);
  return [
    createHuggingFace(hub),
    createMlx(hub),
    createModelScope(operated(modelscopeEndpoint, options.modelscopeToken)),
    createOllama({ http, clock, server: ollamaUrl }),
    createOllamaRegistry({ http, clock, registry: ollamaRegistry }),
    createUrl({ http, clock }),
  ];
}

function isExposed(endpoint: string): boolean {
  const { protocol, hostname } = new URL(endpoint);
  return protocol === "http:" && !/^(?:localhost|127\..*|\[::1\])$/.test(hostname);
}
