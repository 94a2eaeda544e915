import { DownloadError } from "../core/errors.ts";
import type { HttpRequest } from "../core/ports.ts";
import type { Address } from "./addresses.ts";
import { type Dialer, watchConnect } from "./dial.ts";
import { fetchFailed, proxyLogin, tooSlow } from "./faults.ts";
import type { Gate } from "./gate.ts";
import { checkHead } from "./headers.ts";
import type { Sessions } from "./sessions.ts";

/** One request to one place. */
export interface Hop {
  url: URL;
  method: NonNullable<HttpRequest["method"]>;
  headers: Headers;
  body?: string | Blob;
  /** The operator named this address. */
  trusted: boolean;
  connectTimeoutMs: number;
  headerTimeoutMs: number;
  signal?: AbortSignal;
}

/** An answer with its body still on the wire. `end` must be called when the body is done with, however. */
export interface Exchange {
  hop: Hop;
  response: Response;
  /** Cuts the connection; a pending read rejects with `reason`. */
  abort(reason: unknown): void;
  signal: AbortSignal;
  /** The connection broke: the next request to this host chooses its address anew. */
  broken(): void;
  end(): void;
}

export interface Wire {
  dialer: Dialer;
  sessions: Sessions;
  gate: Gate;
}

/** Sends one request and waits for the final head. Rejects with DownloadError, or with the signal's reason. */
export async function exchange(wire: Wire, hop: Hop): Promise<Exchange> {
  hop.signal?.throwIfAborted();
  const leave = await wire.gate.enter(hop.signal);
  const controller = new AbortController();
  const abort = () => controller.abort(hop.signal?.reason);
  hop.signal?.addEventListener("abort", abort, { once: true });
  if (hop.signal?.aborted) abort();
  const end = () => {
    hop.signal?.removeEventListener("abort", abort);
    leave();
  };
  try {
    const response = await send(wire, hop, controller);
    return {
      hop,
      response,
      abort: (reason) => controller.abort(reason),
      signal: controller.signal,
      broken: () => wire.dialer.forget(hop.url),
      end,
    };
  } catch (error) {
    controller.abort(error);
    end();
    throw error;
  }
}

async function send(wire: Wire, hop: Hop, controller: AbortController): Promise<Response> {
  const { sessions, dialer } = wire;
  if (sessions.proxied(hop.url))
    return head(hop, controller, sessions.throughProxy(), undefined, sessions.proxyHost);
  const session = sessions.direct(hop.url);
  for (;;) {
    const { address, cached } = await dialer.dial(hop.url, {
      trusted: hop.trusted,
      limitMs: hop.connectTimeoutMs,
      signal: hop.signal,
    });
    try {
      return await head(hop, controller, session, address, hop.url.host);
    } catch (error) {
      const code = error instanceof DownloadError ? error.code : undefined;
      if (code === undefined || code === "protocol") throw error;
      dialer.forget(hop.url);
      // The address chosen a while ago is gone: choose again, once, before it counts as a failure (F66).
      if (!cached || code !== "connect" || controller.signal.aborted) throw error;
    }
  }
}

/** From the request to the checked head, within the header deadline; interim answers do not extend it (F53, F58). */
async function head(
  hop: Hop,
  controller: AbortController,
  session: Bun.FetchSession,
  pinned: Address | undefined,
  peer: string,
): Promise<Response> {
  const late = () =>
    controller.abort(tooSlow("timeout", hop.url.host, "sent no answer", hop.headerTimeoutMs));
  const timer = setTimeout(late, hop.headerTimeoutMs);
  const watched =
    pinned && watchConnect(hop.url, pinned, hop.connectTimeoutMs, (dead) => controller.abort(dead));
  if (pinned) hop.headers.set("host", hop.url.host);
  try {
    // A dead kept-alive connection is replaced by Bun itself, for GET and HEAD, before it tells anybody (F62).
    const response = await session.fetch(pinned ? pin(hop.url, pinned) : hop.url.href, {
      method: hop.method,
      headers: hop.headers,
      body: hop.body,
      redirect: "manual",
      decompress: false,
      timeout: false,
      signal: controller.signal,
    });
    checkHead(hop.url, response.headers);
    if (response.status === 407) throw proxyLogin();
    return response;
  } catch (error) {
    throw controller.signal.aborted ? controller.signal.reason : fetchFailed(hop.url.host, error, peer);
  } finally {
    clearTimeout(timer);
    watched?.();
  }
}

/** The same URL with the checked address in place of the name; the fragment stays here. */
function pin(url: URL, { address, family }: Address): string {
  const host = family === 6 ? `[${address}]` : address;
  return `${url.protocol}//${host}${url.port === "" ? "" : `:${url.port}`}${url.pathname}${url.search}`;
}
