import type { Clock, Http, Log, Source } from "../core/ports.ts";
import { publicUrl } from "../core/redact.ts";
import { parseToken } from "./headers.ts";
import { createHuggingFace } from "./huggingface.ts";
import { createMlx } from "./mlx.ts";
import { createUrl } from "./url.ts";

export interface SourcesOptions {
  http: Http;
  /** Base URL of the Hugging Face Hub or of a mirror; default `https://huggingface.co`. */
  hfEndpoint?: string;
  /** The operator's token for that endpoint (`HF_TOKEN`). */
  hfToken?: string;
  clock: Clock;
  log: Log;
}

/** Where models come from, in order: the first source that accepts a request gets it, plain URLs come last. */
export function createSources(options: SourcesOptions): Source[] {
  const { http, clock, log, hfEndpoint = "https://huggingface.co" } = options;
  const token = parseToken(options.hfToken);
  if (token !== undefined && isExposed(hfEndpoint))
    log.warn("the hub token goes over plain http to this endpoint", { endpoint: publicUrl(hfEndpoint) });
  const hub = { http, clock, endpoint: hfEndpoint, ...(token === undefined ? {} : { token }) };
  return [createHuggingFace(hub), createMlx(hub), createUrl({ http, clock })];
}

function isExposed(endpoint: string): boolean {
  const { protocol, hostname } = new URL(endpoint);
  return protocol === "http:" && !/^(?:localhost|127\..*|\[::1\])$/.test(hostname);
}
