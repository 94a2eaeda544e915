import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseRemoteUrl, type RemoteUrl } from "../../src/core/remote-url.ts";
import { sha256 } from "./bytes.ts";
import type { Fault } from "./origin/faults.ts";
import type { LoggedRequest, Stats } from "./origin/log.ts";
import { type Resource, viewOf } from "./origin/resource.ts";
import { fits, type Match, type Rule } from "./origin/rules.ts";
import { type Handler, type Limits, OriginServer } from "./origin/server.ts";
import { type CertificateKind, certificate } from "./origin/tls.ts";

export type { Fault } from "./origin/faults.ts";
export type { LoggedRequest, Outcome, Stats } from "./origin/log.ts";
export type { WireRequest } from "./origin/request.ts";
export type { Resource } from "./origin/resource.ts";
export type { Match, Nth, Rule } from "./origin/rules.ts";
export { ACCESS_DENIED, type Handler, type Limits, type Reply } from "./origin/server.ts";
export type { CertificateKind } from "./origin/tls.ts";

export interface OriginOptions extends Limits {
  resources?: readonly Resource[];
  /**
   * Loopback address to listen on, default 127.0.0.1. `localhost` listens on 127.0.0.1 and, where there is IPv6, on
   * ::1; the same name then stands in the URLs.
   */
  host?: string;
  /** Default 0: any free one. */
  port?: number;
  /** https with a certificate of that kind, made at the start. */
  tls?: CertificateKind;
  /** Answers in code, asked before the resources. */
  handler?: Handler;
}

/** A running origin. `await using` stops it at the end of the block. */
export interface Origin extends AsyncDisposable {
  readonly port: number;
  /** `http://127.0.0.1:40123`, without a slash at the end. */
  readonly base: string;
  /** PEM, and a file that holds it: the authority to trust when `tls` is on. */
  readonly ca: string | undefined;
  readonly caFile: string | undefined;
  /** May be changed while bytes flow. */
  readonly limits: Limits;
  readonly stats: Readonly<Stats>;
  /** All requests so far, in the order of arrival. Entries go on changing while they are answered. */
  readonly log: readonly LoggedRequest[];
  /** The address of a decoded path. */
  url(path: string): RemoteUrl;
  /** An address that opens a `signed` resource for so long (an hour). */
  sign(path: string, ttlMs?: number): RemoteUrl;
  /** Makes every link signed so far look expired. */
  expireLinks(): void;
  /** Declares a resource, or replaces it. */
  put(resource: Resource): void;
  drop(path: string): void;
  /** SHA-256 of the resource. */
  sha256(path: string): string;
  /** Orders faults for the requests that match. All matching rules act, in the order in which they were made. */
  on(match: Match, ...faults: Fault[]): Rule;
  /** Removes all rules and lets stalled answers go on. */
  clear(): void;
  /** The logged requests with that path (`*` allowed) and method. */
  requests(path?: string, method?: string): LoggedRequest[];
  /** Body bytes sent for a path (`*` allowed), or in all. */
  sent(path?: string): number;
  /** Resolves once `holds` does; asked whenever a request, a byte or a connection comes or goes. Default 10 s. */
  waitFor(holds: (origin: Origin) => boolean, what?: string, timeoutMs?: number): Promise<void>;
  /** Stops listening and resets what is open, as a crashed server does. */
  down(): void;
  /** Listens again on the same port. */
  up(): void;
  stop(): Promise<void>;
}

/** Starts an origin. Resolves when it is listening. */
export async function startOrigin(options: OriginOptions = {}): Promise<Origin> {
  const { resources = [], host = "127.0.0.1", port = 0, tls, handler, ...limits } = options;
  const certified = tls ? certificate(tls) : undefined;
  const server = new OriginServer({ hosts: hostsOf(host), port, tls: certified }, limits, handler);
  server.listen();
  for (const resource of resources) server.resources.set(resource.path, resource);
  return asOrigin(server, host, certified?.ca);
}

function hostsOf(host: string): string[] {
  return host === "localhost" && hasIpv6()
    ? ["127.0.0.1", "::1"]
    : [host === "localhost" ? "127.0.0.1" : host];
}

let ipv6: boolean | undefined;

/** Whether ::1 can be listened on. */
export function hasIpv6(): boolean {
  if (ipv6 === undefined) {
    try {
      Bun.listen({ hostname: "::1", port: 0, socket: { data() {} } }).stop(true);
      ipv6 = true;
    } catch {
      ipv6 = false;
    }
  }
  return ipv6;
}

function writeCa(ca: string): { caFile: string; remove: () => void } {
  const directory = mkdtempSync(join(tmpdir(), "modelhaul-ca-"));
  const caFile = join(directory, "ca.pem");
  writeFileSync(caFile, ca);
  return { caFile, remove: () => rmSync(directory, { recursive: true, force: true }) };
}

function asOrigin(server: OriginServer, host: string, ca: string | undefined): Origin {
  const caOnDisk = ca === undefined ? undefined : writeCa(ca);
  const authority = `${host.includes(":") ? `[${host}]` : host}:${server.port}`;
  const base = `${ca === undefined ? "http" : "https"}://${authority}`;
  const url = (path: string): RemoteUrl =>
    parseRemoteUrl(base + path.split("/").map(encodeURIComponent).join("/"));
  const requests = (path = "*", method?: string): LoggedRequest[] =>
    server.log.requests.filter((it) => fits(path, it.path) && (method === undefined || it.method === method));
  const stop = async (): Promise<void> => {
    server.close();
    server.clearRules();
    caOnDisk?.remove();
  };
  const origin: Origin = {
    port: server.port,
    base,
    ca,
    caFile: caOnDisk?.caFile,
    limits: server.limits,
    stats: server.log.stats,
    log: server.log.requests,
    url,
    sign: (path, ttlMs = 3_600_000) => parseRemoteUrl(`${url(path)}?${server.signer.sign(path, ttlMs)}`),
    expireLinks: () => server.signer.expireAll(),
    put: (resource) => void server.resources.set(resource.path, resource),
    drop: (path) => void server.resources.delete(path),
    sha256(path) {
      const resource = server.resources.get(path);
      if (!resource) throw new Error(`no resource under ${path}`);
      return sha256(viewOf(resource, 0).content);
    },
    on: (match, ...faults) => server.addRule(match, faults),
    clear: () => server.clearRules(),
    requests,
    sent: (path) => requests(path).reduce((sum, it) => sum + it.sent, 0),
    waitFor: (holds, what = "a condition", timeoutMs = 10_000) =>
      server.log.waitFor(() => holds(origin), what, timeoutMs),
    down: () => server.close(),
    up: () => server.listen(),
    stop,
    [Symbol.asyncDispose]: stop,
  };
  return origin;
}
