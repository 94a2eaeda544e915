import type { RetryPolicy } from "../../core/download.ts";
import type { StartRequest } from "../../core/ports.ts";
import { Problem } from "../problem.ts";
import { engineSpec } from "./engine-spec.ts";
import type { ChangeBody, StartBody } from "./schemas.ts";

const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/;
const HEADER_VALUE = /^[\t\u0020-\u007e\u0080-\u00ff]*$/;
const MOST_HEADERS = 32;

/** A start request of this wire as the core wants it: the known fields and no others (F142). Throws `invalid_request`. */
export function startRequest(body: StartBody): StartRequest {
  if (body.action !== undefined) throw invalid("'action' stands alone", "action");
  if (body.url === undefined && body.repo_id === undefined && body.model === undefined)
    throw invalid("Give 'url', or 'repo_id', or 'provider' and 'model'", null);
  if (body.url !== undefined && body.repo_id !== undefined)
    throw invalid("Give either 'url' or 'repo_id', not both", "url");
  return withoutUndefined({
    url: body.url,
    repoId: body.repo_id,
    filename: body.filename,
    include: body.include,
    exclude: body.exclude,
    revision: body.revision,
    provider: body.provider,
    model: body.model,
    baseUrl: body.base_url,
    modelId: body.model_id,
    sha256: body.sha256?.replace(/^sha256:/, "").toLowerCase(),
    headers: body.headers === undefined ? undefined : headers(body.headers),
    token: body.token === undefined ? undefined : token(body.token),
    priority: body.priority,
    rateLimit: body.rate_limit_bps,
    retry: body.retry === undefined ? undefined : retryPatch(body.retry),
    layout: body.layout,
    ...engine(body),
  });
}

/** The engine with its id as a label, by which `/download-progress/{engine-id}` finds it (R27). */
function engine(body: StartBody): Pick<StartRequest, "engine" | "labels"> {
  if (body.engine === undefined) return {};
  const names = [body.url, body.repo_id, body.filename, body.model].join(" ");
  const spec = engineSpec(body.engine, body.model_id, names);
  return { engine: spec, labels: { engine_id: spec.engineId } };
}

/** Snake case to the core's names; absent stays absent. */
export function retryPatch(retry: NonNullable<ChangeBody["retry"]>): Partial<RetryPolicy> {
  return withoutUndefined({
    maxAttempts: retry.max_attempts,
    baseMs: retry.base_ms,
    maxMs: retry.max_ms,
    jitter: retry.jitter,
  });
}

/** Names and values that cannot smuggle a second header (F159). */
function headers(given: Record<string, string>): Record<string, string> {
  const entries = Object.entries(given).filter(([name]) => name !== "__proto__");
  if (entries.length > MOST_HEADERS) throw invalid(`At most ${MOST_HEADERS} headers`, "headers");
  for (const [name, value] of entries) {
    if (!HEADER_NAME.test(name)) throw invalid("'headers' has a name that is no header name", "headers");
    if (!HEADER_VALUE.test(value)) throw invalid("'headers' has a value with control characters", "headers");
  }
  return Object.fromEntries(entries);
}

function token(given: string): string {
  if (!/^[\u0021-\u007e]+$/.test(given)) throw invalid("'token' has characters no token has", "token");
  return given;
}

/** Without its undefined members: for the core, absent and undefined are the same, but types and spreads differ. */
export function withoutUndefined<T extends object>(object: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const given = Object.entries(object).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as { [K in keyof T]: Exclude<T[K], undefined> };
}

export const invalid = (message: string, param: string | null): Problem =>
  new Problem("invalid_request", message, param === null ? {} : { param });
