import type { Clock } from "../core/ports.ts";
import { Attempts } from "./attempts.ts";
import type { Access } from "./family.ts";
import { hostName, isOwnHost, type Listening } from "./hosts.ts";
import { SealedKey, TokenBook } from "./keys.ts";
import { isCrossSite, isSameOrigin, isTrusted } from "./origins.ts";
import { decode, rawQuery } from "./path.ts";
import { Problem } from "./problem.ts";

export interface GuardOptions {
  /** Turns authentication on; only its digest is kept. */
  apiKey: string | null;
  /** The operator lets everybody in, whatever the listener. */
  noAuth: boolean;
  corsOrigins: readonly string[];
  allowHosts: readonly string[];
  listeners: () => readonly Listening[];
}

export const TICKET_SECONDS = 30;
const SESSION_SECONDS = 7 * 24 * 3600;
const COOKIE = "modelhaul_session";
const SAFE_METHODS = new Set(["GET", "HEAD", "OPTIONS"]);

/** What the route asked for allows. */
export interface Gate {
  /** Answered without a key: health, the page and its assets, the login. */
  exempt: boolean;
  /** A stream, which a ticket opens too. */
  stream: boolean;
  /** It starts something even when asked with GET. */
  starts?: boolean;
}

/** The walls every request passes, in this order: host, origin, key (A14, A15, A26). Each refuses with a Problem. */
export class Guard {
  readonly #options: Omit<GuardOptions, "apiKey">;
  readonly #key: SealedKey | undefined;
  readonly #attempts: Attempts;
  readonly #sessions: TokenBook<string>;
  readonly #tickets: TokenBook<Access>;
  /** Called with the owner of streams that must end, when a session is revoked (F189). */
  onRevoke: (owner: string) => void = () => {};

  constructor(options: GuardOptions, clock: Clock) {
    const { apiKey, noAuth, corsOrigins, allowHosts, listeners } = options;
    this.#options = { noAuth, corsOrigins, allowHosts, listeners };
    this.#key = apiKey === null || noAuth ? undefined : new SealedKey(apiKey);
    this.#attempts = new Attempts(clock);
    const now = () => clock.monotonic();
    this.#sessions = new TokenBook(now, SESSION_SECONDS * 1000, 1000);
    this.#tickets = new TokenBook(now, TICKET_SECONDS * 1000, 20_000);
  }

  get needsKey(): boolean {
    return this.#key !== undefined;
  }

  /** Whether it may listen where other machines reach it (A15). */
  get mayBeExposed(): boolean {
    return this.needsKey || this.#options.noAuth;
  }

  /** Refuses a request that names another server: a web page behind a rebound name would (F178). */
  checkHost(request: Request): void {
    const host = request.headers.get("host");
    const name = host === null ? undefined : hostName(host);
    if (name === undefined) throw new Problem("bad_host", "The Host header is missing or malformed");
    if (isOwnHost(name, this.#options.listeners(), this.#options.allowHosts)) return;
    throw new Problem(
      "forbidden_host",
      "This server does not answer for the host asked for; start it with --allow-host NAME to allow that name",
    );
  }

  /** Whether pages of the request's Origin may read the answer. */
  mayRead(request: Request): boolean {
    return isTrusted(request.headers.get("origin"), this.#options.corsOrigins, this.needsKey);
  }

  /**
   * Refuses what a foreign page sends, the server's own pages excepted under every name it answers for, before it has any effect, opening a WebSocket included (F182). `starts` says that
   * this route starts something whatever the method: there an image tag, which sends no Origin, is refused too (A14).
   */
  checkOrigin(request: Request, starts = false): void {
    const isBlind = starts && request.headers.get("origin") === null && isCrossSite(request);
    const isHarmless = !(starts || isEffectful(request));
    if (!isBlind && (isHarmless || this.mayRead(request) || isSameOrigin(request))) return;
    throw new Problem(
      "forbidden_origin",
      "Requests from this web origin are refused; start the server with --cors-origin ORIGIN to allow it",
    );
  }

  /** Who asks. `source` is the peer's address. */
  async identify(request: Request, gate: Gate, source: string): Promise<Access> {
    if (!this.#key) return { by: "open", owner: null };
    const known =
      (await this.#byKey(request, source)) ??
      this.#bySession(request, gate.starts === true) ??
      (gate.stream ? this.#byTicket(request) : undefined);
    if (known) return known;
    if (gate.exempt) return { by: "exempt", owner: null };
    throw unauthorized();
  }

  /** Exchanges the key for a session cookie (`Set-Cookie` value); undefined when no key is needed. */
  async login(key: string, source: string): Promise<string | undefined> {
    if (!this.#key) return undefined;
    if (!(await this.#judge([key], source))) throw unauthorized();
    const token = this.#sessions.issue(crypto.randomUUID());
    return `${COOKIE}=${token}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${SESSION_SECONDS}`;
  }

  /** Ends the session of the request and every stream it opened; answers the `Set-Cookie` that clears the cookie. */
  logout(request: Request): string {
    const token = sessionToken(request);
    const owner = token === undefined ? undefined : this.#sessions.take(token);
    if (owner !== undefined) {
      this.#tickets.revoke((access) => access.owner === owner);
      this.onRevoke(owner);
    }
    return `${COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0`;
  }

  /** A single-use pass for opening one stream within 30 s. */
  issueTicket(access: Access): string {
    return this.#tickets.issue({ by: "ticket", owner: access.owner });
  }

  async #byKey(request: Request, source: string): Promise<Access | undefined> {
    const bearer = /^Bearer +(.+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
    const offered = [request.headers.get("x-api-key"), bearer].filter((k) => typeof k === "string");
    if (offered.length === 0 || !(await this.#judge(offered, source))) return undefined;
    return { by: "key", owner: null };
  }

  async #judge(offered: readonly string[], source: string): Promise<boolean> {
    if (!(await this.#attempts.turn(source)))
      throw new Problem("too_many_attempts", "Too many wrong API keys from this address; try again shortly", {
        headers: { "Retry-After": "2" },
      });
    const right = offered.map((key) => this.#key?.matches(key) === true).includes(true);
    if (!right) this.#attempts.failed(source);
    return right;
  }

  /** The cookie counts for a change only when the request comes from our own page (F179). */
  #bySession(request: Request, starts: boolean): Access | undefined {
    const token = sessionToken(request);
    const owner = token === undefined ? undefined : this.#sessions.peek(token);
    if (owner === undefined) return undefined;
    if ((starts || isEffectful(request)) && !isSameOrigin(request))
      throw new Problem("forbidden_origin", "The session cookie is good for this server's own pages only");
    return { by: "session", owner };
  }

  #byTicket(request: Request): Access | undefined {
    const ticket = new URLSearchParams(rawQuery(request.url)).get("ticket");
    return ticket === null ? undefined : this.#tickets.take(ticket);
  }
}

const isEffectful = (request: Request): boolean =>
  !SAFE_METHODS.has(request.method) || request.headers.get("upgrade") !== null;

function sessionToken(request: Request): string | undefined {
  for (const pair of (request.headers.get("cookie") ?? "").split(";")) {
    const [name, value] = pair.split("=", 2);
    if (name?.trim() === COOKIE && value !== undefined) return decode(value.trim());
  }
  return undefined;
}

const unauthorized = (): Problem =>
  new Problem(
    "unauthorized",
    "Missing or wrong API key: send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'",
    { headers: { "WWW-Authenticate": 'Bearer realm="modelhaul"' } },
  );
