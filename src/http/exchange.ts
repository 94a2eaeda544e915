import { DownloadError } from "../core/errors.ts";
import type { HttpRequest } from "../core/ports.ts";
import type { Address } from "./addresses.ts";
import { type Dialer, watchConnect } from "./dial.ts";
import { fetchFailed, proxyLogin, socketFailed, tooSlow } from "./faults.ts";
import type { Gate } from "./gate.ts";
import { checkHead } from "./headers.ts";
import type { PlainHttp } from "./plain/index.ts";
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

/** An answer whose head has come. */
export interface Answer {
  status: number;
  headers: Headers;
  /** The next bytes of the body, or null at its end; undefined when there is no body. */
  read: (() => Promise<Uint8Array | null>) | undefined;
}

/** An answer with its body still on the wire. `end` must be called when the body is done with, however. */
export interface Exchange {
  hop: Hop;
  response: Answer;
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
  plain: PlainHttp;
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
  // Whoever has given up may never come back for the rest: the place is free with the connection.
  controller.signal.addEventListener("abort", end, { once: true });
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

async function send(wire: Wire, hop: Hop, controller: AbortController): Promise<Answer> {
  const { sessions, dialer } = wire;
  if (sessions.socket !== undefined)
    return head(hop, controller, throughSocket(sessions.throughSocket(), hop, sessions.socket));
  if (sessions.proxied(hop.url))
    return head(hop, controller, fetchThrough(sessions.throughProxy(), hop, sessions.proxyHost));
  for (;;) {
    const { address, cached } = await dialer.dial(hop.url, {
      trusted: hop.trusted,
      limitMs: hop.connectTimeoutMs,
      signal: hop.signal,
    });
    try {
      return await head(hop, controller, direct(wire, hop, address));
    } catch (error) {
      const code = error instanceof DownloadError ? error.code : undefined;
      if (code === undefined || code === "protocol") throw error;
      dialer.forget(hop.url);
      // The address chosen a while ago is gone: choose again, once, before it counts as a failure (F66).
      if (!cached || code !== "connect" || controller.signal.aborted) throw error;
    }
  }
}

/** One way of asking. Rejects with DownloadError, or with the controller's reason once that is aborted. */
type Way = (controller: AbortController) => Promise<Answer>;

function direct({ plain, sessions }: Wire, hop: Hop, address: Address): Way {
  if (hop.url.protocol === "http:" && hop.method !== "POST" && hop.method !== "DELETE")
    return ({ signal }) => plain.ask(hop, address, signal);
  return fetchThrough(sessions.direct(hop.url), hop, hop.url.host, address);
}

/** The runtime's own client: it has TLS, proxies and bodies to send. */
function fetchThrough(session: Bun.FetchSession, hop: Hop, peer: string, pinned?: Address): Way {
  return async (controller) => {
    const watched =
      pinned && watchConnect(hop.url, pinned, hop.connectTimeoutMs, (dead) => controller.abort(dead));
    if (pinned) hop.headers.set("host", hop.url.host);
    try {
      // A dead kept-alive connection is replaced by Bun itself, for GET and HEAD, before it tells anybody (F62).
      const url = pinned ? pin(hop.url, pinned) : hop.url.href;
      return answerOf(await session.fetch(url, fetchOptions(hop, controller)));
    } catch (error) {
      throw fetchFailed(hop.url.host, error, peer);
    } finally {
      watched?.();
    }
  };
}

function throughSocket(session: Bun.FetchSession, hop: Hop, path: string): Way {
  return async (controller) => {
    try {
      return answerOf(await session.fetch(hop.url.href, { ...fetchOptions(hop, controller), unix: path }));
    } catch (error) {
      throw socketFailed(path, error);
    }
  };
}

const fetchOptions = ({ method, headers, body }: Hop, { signal }: AbortController) =>
  ({ method, headers, body, redirect: "manual", decompress: false, timeout: false, signal }) as const;

function answerOf({ status, headers, body }: Response): Answer {
  const reader = body?.getReader();
  const read = async () => {
    const { done, value } = await reader!.read();
    return done ? null : value;
  };
  return { status, headers, read: reader && read };
}

/** From the request to the checked head, within the header deadline; interim answers do not extend it (F53, F58). */
async function head(hop: Hop, controller: AbortController, ask: Way): Promise<Answer> {
  const late = () =>
    controller.abort(tooSlow("timeout", hop.url.host, "sent no answer", hop.headerTimeoutMs));
  const timer = setTimeout(late, hop.headerTimeoutMs);
  try {
    const answer = await ask(controller);
    checkHead(hop.url, answer.headers);
    if (answer.status === 407) throw proxyLogin();
    return answer;
  } catch (error) {
    throw controller.signal.aborted ? controller.signal.reason : error;
  } finally {
    clearTimeout(timer);
  }
}

/** The same URL with the checked address in place of the name; the fragment stays here. */
function pin(url: URL, { address, family }: Address): string {
  const host = family === 6 ? `[${address}]` : address;
  return `${url.protocol}//${host}${url.port === "" ? "" : `:${url.port}`}${url.pathname}${url.search}`;
}
