import { readFileSync } from "node:fs";
import { getCACertificates } from "node:tls";
import { DownloadError } from "../core/errors.ts";
import { allowList, hostOf, literal } from "./addresses.ts";

export interface ConnectionOptions {
  /** `http://[user:password@]host:port`. The environment's proxy variables are never looked at (F72, F173). */
  proxy?: string;
  /** Names, `.suffixes`, addresses and CIDR ranges asked directly although there is a proxy; `*` for all. */
  noProxy?: readonly string[];
  /** PEM file with further authorities to trust, beside those of the system. */
  caFile?: string;
  /** Path of a Unix socket: everything is asked of the server behind it, whatever host a URL names. */
  socket?: string;
}

export interface Sessions {
  /** True when this URL goes through the proxy. */
  proxied(url: URL): boolean;
  /** Host and port of the proxy, for messages. */
  proxyHost: string;
  /** Connections to the proxy. */
  throughProxy(): Bun.FetchSession;
  /** Path of the Unix socket behind which everything is, if there is one. */
  socket: string | undefined;
  /** Connections to it. */
  throughSocket(): Bun.FetchSession;
  /** Connections whose peer proves to be `url`'s host, whatever address it is asked at. */
  direct(url: URL): Bun.FetchSession;
  /** Closes idle connections. */
  close(): void;
}

const MAX_SESSIONS = 64;
/** Seconds. Servers commonly close at 60 or earlier; a connection found closed costs one silent retry. */
const IDLE_SECONDS = 30;

/**
 * Keep-alive pools: one per certificate name, one for plain HTTP, one for the proxy (F207). Measured with Bun 1.4.4:
 * `fetch` to a bare IP with `Host` and `tls.serverName` verifies the certificate against `serverName` and reuses
 * its connection; a session saves comparing the TLS options on each request (200 KB of them with an extra
 * authority). `rejectUnauthorized` is spelled out because NODE_TLS_REJECT_UNAUTHORIZED would turn it off otherwise.
 */
export function createSessions(options: ConnectionOptions): Sessions {
  const proxy = options.proxy ? parseProxy(options.proxy) : undefined;
  const bypass = proxyBypass(options.noProxy ?? []);
  const ca = options.caFile ? [...getCACertificates("default"), readAuthorities(options.caFile)] : undefined;
  const sessions = new Map<string, Bun.FetchSession>();

  const session = (name: string, init: () => Bun.FetchSessionInit): Bun.FetchSession => {
    const known = sessions.get(name);
    if (known) {
      sessions.delete(name);
      sessions.set(name, known);
      return known;
    }
    if (sessions.size >= MAX_SESSIONS) {
      const [oldest, idle] = sessions.entries().next().value!;
      sessions.delete(oldest);
      idle.close();
    }
    const made = new Bun.FetchSession({ keepAlive: { idleTimeout: IDLE_SECONDS }, ...init() });
    sessions.set(name, made);
    return made;
  };
  startClientThread();
  const trust = { ca, rejectUnauthorized: true };

  return {
    proxied: (url) => proxy !== undefined && !bypass(hostOf(url)),
    proxyHost: proxy?.host ?? "",
    throughProxy: () =>
      session("proxy", () => ({ tls: trust, proxy: { url: proxy!, respectNoProxy: false } })),
    socket: options.socket,
    throughSocket: () => session("socket", () => ({ proxy: false })),
    direct(url) {
      if (url.protocol === "http:") return session("plain", () => ({ proxy: false }));
      const host = hostOf(url);
      // An address is proven by the certificate itself; it has no place in SNI (RFC 6066 §3).
      const tls = literal(host) ? trust : { ...trust, serverName: host };
      return session(`tls ${host}`, () => ({ tls, proxy: false }));
    },
    close() {
      for (const one of sessions.values()) one.close();
      sessions.clear();
    },
  };
}

function parseProxy(text: string): URL {
  const url = URL.parse(text.includes("://") ? text : `http://${text}`);
  if (url === null || !["http:", "https:"].includes(url.protocol) || url.hostname === "")
    throw new DownloadError("invalid_request", "The proxy must be given as http://host:port.", {
      param: "proxy",
    });
  return url;
}

function proxyBypass(entries: readonly string[]): (host: string) => boolean {
  const list = entries.map((entry) => entry.trim().toLowerCase()).filter((entry) => entry !== "");
  if (list.includes("*")) return () => true;
  const suffixes = list.map((entry) => `.${entry.replace(/^\*?\./, "")}`);
  const exact = allowList(list.map((entry) => entry.replace(/^\*?\./, "")));
  return (host) => exact(host, host) || (!literal(host) && suffixes.some((suffix) => host.endsWith(suffix)));
}

function readAuthorities(file: string): string {
  const pem = readFileSync(file, "utf8");
  if (!pem.includes("-----BEGIN CERTIFICATE-----"))
    throw new DownloadError("invalid_request", `The CA file ${file} contains no PEM certificate.`, {
      param: "caFile",
    });
  return pem;
}

/** Nothing can have a name below a device. */
const NOWHERE = "/dev/null/none";

/**
 * Bun 1.4.4 makes the thread of its HTTP client with the first request, and ends the process when there is no file
 * descriptor left for it then (F113). So it is made now, by a request that cannot leave the process.
 */
function startClientThread(): void {
  void fetch("http://localhost/", { unix: NOWHERE }).catch(() => {});
}
