import type { Server } from "bun";
import { type AnyElysia, ValidationError } from "elysia";
import { type DownloadError, toDownloadError } from "../core/errors.ts";
import { readJson } from "./body.ts";
import type { ApiContext, Exchange, Family, SocketData } from "./family.ts";
import { newRoutes } from "./family.ts";
import { GUIDE_PATHS } from "./guide.ts";
import { LOCAL_STREAM } from "./local/routes.ts";
import type { Metrics } from "./metrics.ts";
import { allowReading } from "./origins.ts";
import { checkTarget, isBelow, rawPath, rawQuery } from "./path.ts";
import { Problem } from "./problem.ts";
import { RouteTable } from "./routing.ts";
import { HEALTH_PATH } from "./service.ts";
import { LOGIN_PATH } from "./session.ts";
import { schemaProblem } from "./validation.ts";
import type { WebAssets } from "./web.ts";

const READS = new Set(["GET", "HEAD"]);
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]);
/** Seconds that a client may take for a whole body (F144). */
export const BODY_SECONDS = 30;
const PAGE_CSP =
  "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
const DATA_CSP = "default-src 'none'; frame-ancestors 'none'";
/** Elysia looks for the path behind this many characters of the URL: with a shorter origin it takes a wrong one. */
const SHORTEST_ORIGIN = "http://abcd".length;

export interface DispatcherParts {
  context: ApiContext;
  families: readonly Family[];
  exchanges: WeakMap<Request, Exchange>;
  metrics: Metrics;
  web: WebAssets;
  /** How long a connection may stay without a request, seconds. */
  idleSeconds: number;
  /** How long a body may take, seconds. */
  bodySeconds: number;
}

/** The way of every request: walls, body, route, and the headers that every answer carries. */
export class Dispatcher {
  readonly #parts: DispatcherParts;
  readonly #table: RouteTable;
  readonly #app: AnyElysia;

  constructor(parts: DispatcherParts) {
    this.#parts = parts;
    this.#table = new RouteTable(parts.families);
    const app = newRoutes().onError(({ error, request }) => this.#refuse(error, rawPath(request.url)));
    for (const family of parts.families) app.use(family.routes);
    this.#app = app;
  }

  /** Answers a request; never rejects. */
  async fetch(request: Request, server: Server<SocketData>): Promise<Response> {
    const { context, metrics } = this.#parts;
    const began = context.clock.monotonic();
    const path = rawPath(request.url);
    let response: Response;
    try {
      response = await this.#answer(request, path, server);
    } catch (error) {
      response = this.#refuse(error, path);
    }
    this.#dress(request, response);
    // Streams and WebSockets have their heartbeat; any other connection is not kept for ever after its answer (F217).
    if (!isLasting(request, response)) server.timeout(request, this.#parts.idleSeconds);
    const { method } = request;
    const took = context.clock.monotonic() - began;
    metrics.answered(METHODS.has(method) ? method : "other", response.status, took);
    context.log.debug("request", { method, path, status: response.status, ms: Math.round(took) });
    return response;
  }

  async #answer(request: Request, path: string, server: Server<SocketData>): Promise<Response> {
    const { guard } = this.#parts.context;
    const { method } = request;
    guard.checkHost(request);
    checkTarget(path, rawQuery(request.url));
    if (method === "OPTIONS") return this.#preflight(path);
    if (!METHODS.has(method)) throw this.#wrongMethod(path);
    guard.checkOrigin(request, isStarting(path));
    const isRead = READS.has(method);
    const asset = isRead && !this.#isClaimed(path) ? await this.#parts.web.lookup(path, request) : undefined;
    const source = server.requestIP(request)?.address ?? "";
    const gate = {
      exempt: asset !== undefined || isOpen(method, path),
      stream: isStream(path),
      starts: isStarting(path),
    };
    const access = await guard.identify(request, gate, source);
    if (asset) return method === "HEAD" ? new Response(null, asset) : asset;
    if (!this.#table.takes(method, path)) throw this.#noRoute(method, path);
    const body = isRead ? undefined : await this.#body(request, server);
    server.timeout(request, 0);
    const routed = routable(request, path);
    // An error of its stream would wait until everything has been taken; Bun looks at its clock every four seconds.
    const expire = (): void => server.timeout(request, 1);
    this.#parts.exchanges.set(routed, { received: request, server, access, body, source, expire });
    return this.#app.handle(routed);
  }

  /**
   * A slow body is refused; what comes after it may take its time (streams, verification). Bun's own limit is one between
   * two pieces, and resets the connection without an answer: `readJson` has the one that counts.
   */
  #body(request: Request, server: Server<SocketData>): Promise<unknown> {
    server.timeout(request, 0);
    return readJson(request, this.#parts.bodySeconds * 1000);
  }

  #preflight(path: string): Response {
    const allow = this.#table.methods(path);
    return new Response(null, { status: 204, headers: allow.length > 0 ? { Allow: allow.join(", ") } : {} });
  }

  #isClaimed(path: string): boolean {
    return this.#familyOf(path) !== undefined || this.#table.methods(path).length > 0;
  }

  /** Whose the path is: of two prefixes the longer one counts. */
  #familyOf(path: string): Family | undefined {
    const claims = this.#parts.families.flatMap((family) =>
      family.prefixes.filter((prefix) => isBelow(path, prefix)).map((prefix) => ({ family, prefix })),
    );
    return claims.sort((a, b) => b.prefix.length - a.prefix.length)[0]?.family;
  }

  #noRoute(method: string, path: string): Problem {
    const known = this.#table.methods(path);
    if (known.length > 0 && !known.includes(method)) return this.#wrongMethod(path);
    return new Problem("invalid_endpoint", "There is nothing at this path");
  }

  #wrongMethod(path: string): Problem {
    const allow = this.#table.methods(path).join(", ") || "GET";
    return new Problem("method_not_allowed", `This path does not take that method; it takes ${allow}`, {
      headers: { Allow: allow },
    });
  }

  /** The answer for anything that went wrong, in the words of the family the path belongs to. */
  #refuse(error: unknown, path: string): Response {
    const family = this.#familyOf(path) ?? this.#parts.families[0];
    if (!family) throw error;
    return family.refuse(this.#reason(error), path);
  }

  #reason(error: unknown): Problem | DownloadError {
    if (error instanceof Problem) return error;
    if (error instanceof ValidationError) return validationProblem(error);
    const known = toDownloadError(error);
    if (known.code === "internal")
      this.#parts.context.log.error("A request failed", {
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      });
    return known;
  }

  #dress(request: Request, response: Response): void {
    const { headers } = response;
    // Bun takes what follows a CONNECT for the tunnel and never answers it.
    if (request.method === "CONNECT") headers.set("Connection", "close");
    const isPage = headers.get("content-type")?.startsWith("text/html") === true;
    headers.set("X-Content-Type-Options", "nosniff");
    headers.set("Referrer-Policy", "no-referrer");
    if (!headers.has("content-security-policy"))
      headers.set("Content-Security-Policy", isPage ? PAGE_CSP : DATA_CSP);
    if (!headers.has("cache-control")) headers.set("Cache-Control", isPage ? "no-cache" : "no-store");
    if (!headers.has("cross-origin-resource-policy"))
      headers.set("Cross-Origin-Resource-Policy", "same-origin");
    headers.append("Vary", "Origin");
    if (this.#parts.context.guard.mayRead(request)) allowReading(headers);
  }
}

const isLasting = (request: Request, { headers }: Response): boolean =>
  request.headers.get("upgrade") !== null ||
  headers.get("content-type")?.startsWith("text/event-stream") === true;

const isOpen = (method: string, path: string): boolean =>
  (READS.has(method) && (path === HEALTH_PATH || GUIDE_PATHS.has(path))) ||
  (method === "POST" && path === LOGIN_PATH);

/** Paths a ticket opens: the streams and nothing else (A15). */
const STREAMS = new Set(["/v1/events", "/v1/ws", "/api/models/download", "/api/progress", LOCAL_STREAM]);
const isStream = (path: string): boolean =>
  STREAMS.has(path) || /^(\/v1)?\/downloads\/[^/]+\/events$/.test(path);

/** Paths that start something when asked with GET (A14). */
const STARTING = new Set(["/api/models/download", "/api/download"]);
const isStarting = (path: string): boolean => STARTING.has(path);

/** The request as Elysia can route it: the same one, unless its Host is very short or a fragment was sent. */
function routable(request: Request, path: string): Request {
  const { url } = request;
  if (url.indexOf("/", "http://".length) >= SHORTEST_ORIGIN && !url.includes("#")) return request;
  const { method, headers, signal } = request;
  return new Request(`http://localhost${path}${rawQuery(url)}`, { method, headers, signal });
}

function validationProblem(error: ValidationError): Problem {
  const { validator, value } = error as unknown as {
    validator: { schema?: never; Errors(value: unknown): { First(): never } };
    value: unknown;
  };
  return schemaProblem(validator.schema ?? ({} as never), validator.Errors(value).First());
}
