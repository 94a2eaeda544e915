import { DownloadError } from "../core/errors.ts";
import type { Clock, Http, HttpRequest, HttpResponse, Log, Hop as PastHop } from "../core/ports.ts";
import { publicUrl } from "../core/redact.ts";
import { parseRemoteUrl, remoteUrlOf } from "../core/remote-url.ts";
import { type AddressOptions, addressRules } from "./addresses.ts";
import { discard, toResponse } from "./body.ts";
import { createDialer, type Resolver } from "./dial.ts";
import { exchange, type Hop, type Wire } from "./exchange.ts";
import { createGate } from "./gate.ts";
import { requestHeaders } from "./headers.ts";
import { type Connect, systemConnect } from "./plain/connection.ts";
import { createPlainHttp } from "./plain/index.ts";
import { type ConnectionOptions, createSessions } from "./sessions.ts";
import { redirectTarget } from "./url.ts";

export type { Address } from "./addresses.ts";
export type { Resolver } from "./dial.ts";

/** Times in milliseconds. */
export interface HttpLimits {
  /** Head start of one address of a host over the next; 250. */
  staggerMs: number;
  /** How long a chosen address serves; 60 000. */
  addressTtlMs: number;
  /**
   * Requests under way at once, bodies being read included; 250. Bun holds back what is above 256 (unless
   * BUN_CONFIG_MAX_HTTP_REQUESTS was there at start), which would look like a server that does not answer.
   */
  concurrent: number;
  /** Longest silence while `text` or `json` reads a body; 30 000. */
  stallMs: number;
}

export interface HttpOptions extends AddressOptions, ConnectionOptions {
  userAgent: string;
  /** Looks names up; the system's resolver unless given. */
  resolver?: Resolver;
  clock: Clock;
  log: Log;
  limits?: Partial<HttpLimits>;
  /** How connections without TLS are made; the system's own way unless given. */
  connect?: Connect;
}

export interface HttpClient extends Http {
  /** Closes idle connections. Requests under way go on. */
  close(): void;
}

const LIMITS: HttpLimits = { staggerMs: 250, addressTtlMs: 60_000, concurrent: 250, stallMs: 30_000 };
const CONNECT_TIMEOUT_MS = 10_000;
const HEADER_TIMEOUT_MS = 30_000;
const MAX_HOPS = 10;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/**
 * The one client everything goes through. Follows redirects by hand, checks every address it is led to, keeps
 * credentials at home, accepts no compression, stores no cookie. Throws when an option cannot be used.
 */
export function createHttp(options: HttpOptions): HttpClient {
  const limits = { ...LIMITS, ...options.limits };
  const rules = addressRules(options);
  const sessions = createSessions(options);
  const { clock, log, resolver, connect = systemConnect } = options;
  const dialer = createDialer({
    rules,
    resolver,
    clock,
    ttlMs: limits.addressTtlMs,
    staggerMs: limits.staggerMs,
  });
  const plain = createPlainHttp(connect);
  const wire: Wire = { dialer, sessions, plain, gate: createGate(limits.concurrent) };

  async function request(request: HttpRequest): Promise<HttpResponse> {
    const first = new URL(parseRemoteUrl(request.url));
    const headersFor = requestHeaders(request, first, options.userAgent);
    const hops: PastHop[] = [];
    let url = first;
    let method = request.method ?? "GET";
    for (;;) {
      const trusted =
        request.operator === true && hops.every((past) => URL.parse(past.url)?.origin === url.origin);
      rules.checkHost(url, trusted);
      const hop: Hop = {
        url,
        method,
        headers: headersFor(url),
        body: method === "POST" || method === "DELETE" ? request.body : undefined,
        trusted,
        connectTimeoutMs: request.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
        headerTimeoutMs: request.headerTimeoutMs ?? HEADER_TIMEOUT_MS,
        signal: request.signal,
      };
      const answer = await exchange(wire, hop);
      const { status, headers } = answer.response;
      log.debug("http answer", { method, url: publicUrl(url.href), status });
      if (request.redirect === "manual" || !REDIRECTS.has(status))
        return toResponse(answer, hops, limits.stallMs);
      discard(answer);
      hops.push({ url: remoteUrlOf(url), status, headers });
      if (hops.length > MAX_HOPS)
        throw new DownloadError(
          "redirects",
          `${publicUrl(first.href)} redirects more than ${MAX_HOPS} times.`,
        );
      url = redirectTarget(url, headers.get("location"));
      if (method === "POST" && status < 307) method = "GET";
    }
  }

  return {
    request,
    check(text) {
      const url = new URL(parseRemoteUrl(text));
      rules.checkHost(url);
      return url;
    },
    close() {
      sessions.close();
      plain.close();
    },
  };
}
