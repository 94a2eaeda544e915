import { closeSync, openSync } from "node:fs";
import { devNull } from "node:os";
import { DownloadError, type ErrorCode } from "../core/errors.ts";

/** What TLS refusals mean to a person (F63). Certificates are always checked; there is no way to turn that off. */
const CERTIFICATE: Record<string, string> = {
  CERT_HAS_EXPIRED: "its certificate has expired",
  CERT_NOT_YET_VALID: "its certificate is not valid yet; check this machine's clock",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is self-signed",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate comes from an unknown authority",
  UNABLE_TO_GET_ISSUER_CERT: "its certificate comes from an unknown authority",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "its certificate comes from an unknown authority",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate comes from an unknown authority",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another name",
  HOSTNAME_MISMATCH: "its certificate is for another name",
  CERT_REVOKED: "its certificate was revoked",
  EPROTO: "it does not speak TLS we understand on this port",
};
const TLS =
  /^(?:ERR_TLS_|ERR_SSL_|ERR_OSSL_|CERT_|CRL_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|INVALID_(?:CA|PURPOSE)|PATH_LENGTH_)/;

const CONNECT: Record<string, string> = {
  ECONNREFUSED: "the connection was refused",
  ConnectionRefused: "the connection was refused",
  ECONNRESET: "the connection was reset",
  EHOSTUNREACH: "there is no route to it",
  ENETUNREACH: "there is no route to it",
  EADDRNOTAVAIL: "there is no route to it",
  ETIMEDOUT: "it did not answer",
};

/** What this machine is short of is no fault of the host: it is waited for, and costs no attempt (F113). */
const SHORTAGE: Record<string, string> = {
  EMFILE: "this process has too many open files",
  ENFILE: "this machine has too many open files",
};

const DNS = new Set(["ENOTFOUND", "EAI_AGAIN", "EAI_NONAME", "EAI_FAIL", "ESERVFAIL", "ETIMEOUT", "ENODATA"]);

/** What Bun calls an answer that is no HTTP (F17, F18, F53, F67, F68). */
const MALFORMED =
  /Malformed|InvalidHTTPResponse|InvalidContentLength|ResponseHeadersTooLarge|UnrequestedUpgrade|HPE_|Header|Chunk|Transfer|Encoding/i;

export const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error ? String(error.code) : "";

const REFUSED = new Set(["ECONNREFUSED", "ConnectionRefused"]);

/** Bun 1.4.4 calls it refused as well when it could not make the socket; whether it could have is asked apart. */
function shortageNow(): string | undefined {
  try {
    closeSync(openSync(devNull, "r"));
    return undefined;
  } catch (error) {
    return SHORTAGE[codeOf(error)];
  }
}

/** Failure to reach any address of a host. */
export function connectFailed(host: string, error: unknown): DownloadError {
  const code = codeOf(error);
  const shortage = SHORTAGE[code] ?? (REFUSED.has(code) ? shortageNow() : undefined);
  if (shortage !== undefined)
    return new DownloadError(
      "io",
      `Could not connect to ${host}: ${shortage}; it goes on when some are closed.`,
    );
  return new DownloadError(
    "connect",
    `Could not connect to ${host}: ${CONNECT[code] ?? `the system says ${code || "no more"}`}.`,
  );
}

export const dnsFailed = (host: string, reason: string): DownloadError =>
  new DownloadError("dns", `The name ${host} could not be resolved: ${reason}.`);

/**
 * A rejection of the runtime's own client in our words. The original is not kept as cause: its message repeats the
 * whole URL, signature included (F194). `peer` is the proxy where there is one.
 */
export function fetchFailed(host: string, error: unknown, peer = host): DownloadError {
  if (error instanceof DownloadError) return error;
  const code = codeOf(error);
  const text = error instanceof Error ? error.message : "";
  if (code === "ERR_PROXY_TUNNEL") return tunnelFailed(host, text);
  if (DNS.has(code)) return dnsFailed(peer, "the resolver knows no such name");
  if (code === "EPROTO" || TLS.test(code) || code in CERTIFICATE)
    return new DownloadError(
      "tls",
      `No secure connection to ${host}: ${CERTIFICATE[code] ?? `its certificate was refused (${code})`}.`,
    );
  if (code === "ECONNRESET" || code === "EPIPE" || code === "ConnectionClosed") return cut(host);
  if (code in CONNECT || code in SHORTAGE) return connectFailed(peer, error);
  if (MALFORMED.test(code))
    return new DownloadError("protocol", `${host} sent an answer that is not valid HTTP (${code}).`);
  return new DownloadError("network", `The connection to ${host} failed${code ? ` (${code})` : ""}.`);
}

const SOCKET: Record<string, string> = {
  ENOENT: "there is no such socket",
  ENOTSOCK: "it is no socket",
  EACCES: "it belongs to another user",
};

/** The same for what is behind a Unix socket. */
export function socketFailed(path: string, error: unknown): DownloadError {
  const reason = SOCKET[codeOf(error)];
  if (reason === undefined) return fetchFailed(path, error);
  return new DownloadError("connect", `Could not connect to ${path}: ${reason}.`);
}

export const cut = (host: string): DownloadError =>
  new DownloadError("network", `${host} closed the connection before the answer was complete.`);

export const malformed = (host: string, what: string): DownloadError =>
  new DownloadError("protocol", `${host} sent an answer that is not valid HTTP: ${what}.`);

export const oversized = (host: string): DownloadError =>
  new DownloadError("protocol", `${host} answered with too many or too long header fields.`);

export const proxyLogin = (): DownloadError =>
  new DownloadError(
    "proxy_auth",
    "The proxy wants a login (407). Set user name and password in the proxy URL.",
    { status: 407 },
  );

function tunnelFailed(host: string, text: string): DownloadError {
  const status = Number(/: (\d{3})\b/.exec(text)?.[1] ?? 0);
  if (status === 407) return proxyLogin();
  return new DownloadError(
    "connect",
    `The proxy could not connect to ${host}${status ? ` (${status})` : ""}.`,
  );
}

/** Deadline passed while `doing` something with a host. */
export const tooSlow = (code: ErrorCode, host: string, doing: string, ms: number): DownloadError =>
  new DownloadError(code, `${host} ${doing} within ${Math.ceil(ms / 1000)} s.`);
