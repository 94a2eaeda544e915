import { DownloadError, type ErrorCode } from "../core/errors.ts";
import { retryAfterMs } from "../core/wait.ts";

/** Statuses of RFC 9110 that every server means alike: code, and what it says of the thing asked for. */
const MEANING: Record<number, [ErrorCode, string]> = {
  401: ["auth_required", "asks for credentials: give a token or an Authorization header that may read it"],
  402: ["forbidden", "asks for payment"],
  403: [
    "forbidden",
    "refuses access: check that the link has not expired and that the credentials may read it",
  ],
  404: ["not_found", "does not have it: check the address"],
  407: ["proxy_auth", "asks for credentials of the proxy: check the proxy setting"],
  408: ["timeout", "gave up waiting for the request"],
  410: ["gone", "says it is gone for good"],
  425: ["server_error", "is not ready for the request yet"],
  429: ["rate_limited", "asks for fewer requests"],
  451: ["forbidden", "may not give it out for legal reasons"],
};

/** The error of a status outside 200-299 (F38, F42, F44, F48). `what` names the thing and its host, `now` is epoch ms. */
export function statusError(status: number, headers: Headers, what: string, now: number): DownloadError {
  const [code, text] = MEANING[status] ?? fallback(status);
  const waits = status === 429 || status === 503 ? retryAfterMs(headers, now) : undefined;
  const retryAfter = waits === undefined ? {} : { retryAfterMs: waits };
  return new DownloadError(code, `${what}: the server ${text} (HTTP ${status}).`, { status, ...retryAfter });
}

function fallback(status: number): [ErrorCode, string] {
  if (status >= 500) return ["server_error", "reports a fault of its own"];
  if (status >= 400) return ["rejected", "rejects the request"];
  return ["protocol", "gave an answer that does not fit the request"];
}
