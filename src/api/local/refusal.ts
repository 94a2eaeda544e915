import { DownloadError, type ErrorCode } from "../../core/errors.ts";
import type { Problem } from "../problem.ts";
import { json } from "../reply.ts";
import { retryAfter, STATUS } from "../status.ts";
import { isoTime } from "./present.ts";

/** A cancel that comes too late is a conflict here (A10). */
const STATUSES: Record<ErrorCode, number> = { ...STATUS, invalid_state: 409 };
/** The seed's own words; every other code is its name in capitals. */
const CODES: Partial<Record<ErrorCode, string>> = { invalid_state: "DOWNLOAD_NOT_ACTIVE" };
const INTERNAL = "The server could not process the request; its log says why";

interface Refusal {
  status: number;
  code: string;
  message: string;
  field: string | null;
  headers: Record<string, string>;
}

/** `Family.refuse` of this family: the error, and the same once more under `detail` (A5). `now` is epoch milliseconds. */
export function refusalResponse(reason: Problem | DownloadError, path: string, now: number): Response {
  const { status, code, message, field, headers } =
    reason instanceof DownloadError ? fromCore(reason) : fromEdge(reason, path);
  const details = field === null ? null : { field };
  const error = { error_code: code, code, message, details, timestamp: isoTime(now) };
  return json({ ...error, detail: error }, status, headers);
}

function fromCore(error: DownloadError): Refusal {
  const { code, message, param } = error;
  return {
    status: STATUSES[code],
    code: CODES[code] ?? code.toUpperCase(),
    // Nothing of an unexpected error's own text goes out (F164).
    message: code === "internal" ? INTERNAL : message,
    field: param ?? null,
    headers: retryAfter(error),
  };
}

function fromEdge({ code, status, message, param, headers }: Problem, path: string): Refusal {
  // An id that is not there is a malformed path, not an unknown one (A19).
  if (code === "invalid_endpoint" && path.split("/").includes("", 1))
    return {
      status: 400,
      code: "INVALID_PATH_FORMAT",
      message: "The request path has an empty part where an id belongs",
      field: "path",
      headers,
    };
  return {
    status,
    code: code.toUpperCase(),
    message: code === "internal" ? INTERNAL : message,
    field: param,
    headers,
  };
}
