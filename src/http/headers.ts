import { DownloadError } from "../core/errors.ts";
import type { HttpRequest } from "../core/ports.ts";
import { publicUrl } from "../core/redact.ts";
import { oversized } from "./faults.ts";

/** Largest answer head and largest single field we accept (F67; Bun itself stops only at some hundred KiB). */
export const MAX_HEAD = 256 * 1024;
const MAX_FIELD = 64 * 1024;
const MAX_REQUEST_FIELD = 16 * 1024;

const NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Fields that frame the message or the connection: ours alone (F159, RFC 9110 §7.6.1). */
const RESERVED = new Set([
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** The only fields another origin gets to see: whatever else a request carries may be a secret (F35). */
const HARMLESS = new Set([
  "accept",
  "accept-language",
  "cache-control",
  "content-type",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "if-unmodified-since",
  "range",
  "user-agent",
]);

function checkField(name: string, value: string): void {
  if (!NAME.test(name) || name.length > 256)
    throw new DownloadError("invalid_request", "A header name contains characters that are not allowed.", {
      param: "headers",
    });
  if (RESERVED.has(name.toLowerCase()))
    throw new DownloadError("invalid_request", `The header ${name} cannot be set.`, { param: "headers" });
  if (!VALUE.test(value) || value.length > MAX_REQUEST_FIELD)
    throw new DownloadError(
      "invalid_request",
      `The value of the header ${name} is too long or contains characters that are not allowed.`,
      {
        param: "headers",
      },
    );
}

/**
 * Header fields for each hop of one request. Credentials go to their exact origin only, other fields that may be
 * secret to the origin of the first hop only, and neither once the chain has been elsewhere (F35, F36).
 */
export function requestHeaders(request: HttpRequest, first: URL, userAgent: string): (hop: URL) => Headers {
  const own = Object.entries(request.headers ?? {});
  const secret = Object.entries(request.credentials?.headers ?? {});
  for (const [name, value] of [...own, ...secret]) checkField(name, value);
  let left = false;

  return (hop) => {
    left ||= hop.origin !== first.origin;
    const headers = new Headers({ accept: "*/*", "user-agent": userAgent });
    for (const [name, value] of own) if (!left || HARMLESS.has(name.toLowerCase())) headers.set(name, value);
    if (!left && request.credentials?.origin === hop.origin)
      for (const [name, value] of secret) headers.set(name, value);
    headers.set("accept-encoding", "identity");
    return headers;
  };
}

/** Refuses heads that are too large or whose length is no number (F18, F67). */
export function checkHead(url: URL, headers: Headers): void {
  let size = 0;
  for (const [name, value] of headers) {
    if (value.length > MAX_FIELD) throw oversized(publicUrl(url.href));
    size += name.length + value.length + 4;
  }
  if (size > MAX_HEAD) throw oversized(publicUrl(url.href));
  const length = headers.get("content-length");
  if (length !== null && !(/^\d+$/.test(length) && Number.isSafeInteger(Number(length))))
    throw new DownloadError("protocol", `${publicUrl(url.href)} answered with an impossible Content-Length.`);
}
