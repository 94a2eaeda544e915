import { DownloadError } from "../core/errors.ts";
import type { Credentials, Secret, StartRequest } from "../core/ports.ts";

/** RFC 9110 §5.6.2 token. */
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}$/;
/** Visible ASCII, space and tab: no CR, LF or NUL, so a value cannot become a second header (F159). */
const VALUE = /^[\t\u0020-\u007e]{0,8192}$/;
/** What the transfer itself decides; a second opinion would break ranges, framing or the connection. */
const OURS = new Set([
  "accept-encoding",
  "connection",
  "content-encoding",
  "content-length",
  "content-type",
  "expect",
  "host",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "if-unmodified-since",
  "keep-alive",
  "proxy-authorization",
  "proxy-connection",
  "range",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);
const MAX_HEADERS = 32;

function refuse(message: string, param: string): never {
  throw new DownloadError("invalid_request", message, { param });
}

/** Throws `invalid_request` for headers of a request that cannot or must not be sent. Values are never shown. */
export function checkHeaders(headers: Record<string, string> | undefined): void {
  const names = Object.keys(headers ?? {});
  if (names.length > MAX_HEADERS) refuse(`More than ${MAX_HEADERS} headers were given.`, "headers");
  for (const name of names) {
    if (!NAME.test(name)) refuse("A header name given in headers is not valid.", "headers");
    if (OURS.has(name.toLowerCase()))
      refuse(`The header ${name} is set by the transfer itself; leave it out.`, "headers");
    if (!VALUE.test(headers?.[name] ?? ""))
      refuse(
        `The value of the header ${name} has characters that a header cannot carry, or is too long.`,
        "headers",
      );
  }
}

/** The token without surrounding blanks and line ends, undefined when empty. Throws `invalid_request`. */
export function parseToken(token: string | undefined): string | undefined {
  const text = token?.replace(/^[\r\n\t ]+|[\r\n\t ]+$/g, "") ?? "";
  if (text === "") return undefined;
  if (!/^[\u0021-\u007e]{1,4096}$/.test(text))
    refuse("The token has blanks or characters that a header cannot carry, or is too long.", "token");
  return text;
}

/** Token and headers of a request, as they are kept apart from the row. Throws as the two checks do. */
export function requestSecret(request: StartRequest): Secret {
  checkHeaders(request.headers);
  const token = parseToken(request.token);
  const headers =
    request.headers && Object.keys(request.headers).length > 0 ? { ...request.headers } : undefined;
  if (
    token !== undefined &&
    headers &&
    Object.keys(headers).some((name) => name.toLowerCase() === "authorization")
  )
    refuse("Both token and an Authorization header were given; give one of them.", "token");
  return { ...(token === undefined ? {} : { token }), ...(headers === undefined ? {} : { headers }) };
}

/** The secret as headers for one origin only (F35); undefined when there is nothing to send. */
export function credentialsFor(
  origin: string,
  secret: Secret,
  fallbackToken?: string,
): Credentials | undefined {
  const headers: Record<string, string> = { ...secret.headers };
  const own = Object.keys(headers).some((name) => name.toLowerCase() === "authorization");
  const token = secret.token ?? (own ? undefined : fallbackToken);
  if (token !== undefined) headers.Authorization = `Bearer ${token}`;
  return Object.keys(headers).length === 0 ? undefined : { origin, headers };
}
