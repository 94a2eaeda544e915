import { DownloadError, type ErrorCode } from "../core/errors.ts";
import { isBelow } from "./path.ts";
import type { Problem } from "./problem.ts";
import { json } from "./reply.ts";
import { retryAfter, STATUS } from "./status.ts";

/** The kolosal error object: R91, exactly these four keys. */
export interface ErrorBody {
  message: string;
  type:
    | "invalid_request_error"
    | "not_found_error"
    | "server_error"
    | "model_download_error"
    | "model_loading_error";
  param: string | null;
  code: string | null;
}

/** A refusal in kolosal's words, before it becomes a Response or a WebSocket reply. */
export interface Refusal {
  status: number;
  error: ErrorBody;
  headers: Record<string, string>;
}

/** Codes of the seed's own table that stay null on the wire (R94, R97). */
const WITHOUT_CODE: ReadonlySet<ErrorCode> = new Set(["invalid_state", "internal"]);
const KOLOSAL_PREFIXES = ["/downloads", "/download-progress", "/engines", "/models", "/v1"];
const INTERNAL = "Server error: Internal processing failed";

function typeOf(status: number): ErrorBody["type"] {
  if (status === 404) return "not_found_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

/** How kolosal says it. Nothing of an unexpected error's own text goes out (F164); it belongs into the log. */
export function kolosalRefusal(reason: Problem | DownloadError): Refusal {
  if (reason instanceof DownloadError) return fromCore(reason);
  const { status, param, headers } = reason;
  if (reason.code === "internal") return internal();
  const message = status >= 500 ? `Server error: ${reason.message}` : reason.message;
  return { status, headers, error: { message, type: typeOf(status), param, code: reason.code } };
}

function fromCore(error: DownloadError): Refusal {
  const { code } = error;
  if (code === "internal") return internal();
  const status = STATUS[code];
  const message = status >= 500 ? `Server error: ${error.message}` : error.message;
  // The core speaks of downloads and engines alike; this family has a code of its own for the latter.
  const isEngineId = code === "model_id_conflict" && error.param?.endsWith("engine_id") === true;
  const shown = isEngineId ? "engine_id_exists" : WITHOUT_CODE.has(code) ? null : code;
  return {
    status,
    headers: retryAfter(error),
    error: { message, type: typeOf(status), param: error.param ?? null, code: shown },
  };
}

const internal = (): Refusal => ({
  status: 500,
  headers: {},
  error: { message: INTERNAL, type: "server_error", param: null, code: null },
});

/** The whole answer, with members beside `error` where the seed has them (A5). */
export function refusalResponse(refusal: Refusal, beside: Record<string, unknown> = {}): Response {
  return json({ ...beside, error: refusal.error }, refusal.status, refusal.headers);
}

/** `Family.refuse` of everything that speaks kolosal. */
export function refuseKolosal(reason: Problem | DownloadError, path: string): Response {
  const refusal = kolosalRefusal(reason);
  const isUnknown = !(reason instanceof DownloadError) && reason.code === "invalid_endpoint";
  if (!isUnknown) return refusalResponse(refusal);
  if (!KOLOSAL_PREFIXES.some((prefix) => isBelow(path, prefix))) {
    refusal.error.code = "not_found";
    return refusalResponse(refusal);
  }
  if (path.split("/").includes("", 1)) return refusalResponse(noModelId());
  return refusalResponse({
    status: 400,
    headers: {},
    error: { ...refusal.error, type: "invalid_request_error", param: "path" },
  });
}

/** R96, word for word. */
const noModelId = (): Refusal => ({
  status: 400,
  headers: {},
  error: {
    message: "Cannot extract model ID from request path",
    type: "invalid_request_error",
    param: "path",
    code: "invalid_path_format",
  },
});
