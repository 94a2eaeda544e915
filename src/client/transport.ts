import { after } from "./delay.ts";
import { ConnectionError, errorOf } from "./errors.ts";

/** What a WebSocket must be able to do; every standard one is. */
export interface SocketLike {
  readonly readyState: number;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}
export type SocketConstructor = new (url: string) => SocketLike;

export interface ModelhaulOptions {
  /** Address of the server, default `http://localhost:8080`; in a page an empty one means the page's own origin. */
  baseUrl?: string;
  /** Sent as `Authorization: Bearer`; streams that cannot carry it are opened with a ticket. */
  apiKey?: string | null;
  /** Milliseconds an answer may take, default 30 000. Streams and routes that work long have no limit. */
  timeoutMs?: number;
  /** In place of the standard one. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
  /** In place of the standard one, for runtimes without (Node 20); null: never use WebSockets. */
  WebSocket?: SocketConstructor | null;
}

export interface RequestOptions {
  /** Ends the request; the promise rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Milliseconds until an answer begins, default as long as the whole may take. */
  beginMs?: number;
}

export type Query = Record<string, string | number | boolean | undefined>;

interface Call extends RequestOptions {
  body?: unknown;
  query?: Query;
  headers?: Record<string, string>;
  /** 0: none. */
  timeoutMs?: number;
}

const DEFAULT_BASE = "http://localhost:8080";
const DEFAULT_TIMEOUT_MS = 30_000;

/** One server: its address, its key, and how it is asked. */
export class Transport {
  readonly #base: string;
  readonly #apiKey: string | null;
  readonly #timeoutMs: number;
  readonly #fetch: (url: string, init: RequestInit) => Promise<Response>;
  readonly #WebSocket: SocketConstructor | null;

  constructor(options: ModelhaulOptions = {}) {
    this.#base = (options.baseUrl ?? DEFAULT_BASE).replace(/\/+$/, "");
    this.#apiKey = options.apiKey ?? null;
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#fetch = options.fetch ?? ((url, init) => fetch(url, init));
    const standard = (globalThis as { WebSocket?: SocketConstructor }).WebSocket ?? null;
    this.#WebSocket = options.WebSocket === undefined ? standard : options.WebSocket;
  }

  get hasKey(): boolean {
    return this.#apiKey !== null;
  }

  /** Address of a path; parameters that are undefined are left out. */
  url(path: string, query: Query = {}): string {
    const given = Object.entries(query).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, String(value)]],
    );
    const text = new URLSearchParams(given).toString();
    return `${this.#base}${path}${text === "" ? "" : `?${text}`}`;
  }

  /** A WebSocket that is being opened; undefined where there are none. */
  socket(path: string, query: Query): SocketLike | undefined {
    if (!this.#WebSocket) return undefined;
    const { location } = globalThis as { location?: { href: string } };
    const url = new URL(this.url(path, query), location?.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    return new this.#WebSocket(url.href);
  }

  /** The JSON body of a good answer. Throws `ModelhaulError` and `ConnectionError`. */
  async json<T>(method: string, path: string, call: Call = {}): Promise<T> {
    const text = await this.text(method, path, call);
    try {
      return JSON.parse(text) as T;
    } catch (cause) {
      throw new ConnectionError(`${this.#where} did not answer in JSON; is that a modelhaul server?`, {
        cause,
      });
    }
  }

  /** The body of a good answer as text. */
  async text(method: string, path: string, call: Call = {}): Promise<string> {
    const { signal, timeoutMs = this.#timeoutMs, beginMs = 0 } = call;
    const limit = new AbortController();
    const within = (ms: number) => (ms > 0 ? after(ms, () => limit.abort(ms)) : undefined);
    const timer = within(timeoutMs);
    const begin = within(beginMs);
    const either = signal ? AbortSignal.any([signal, limit.signal]) : limit.signal;
    try {
      const answer = await this.open(method, path, { ...call, signal: either });
      clearTimeout(begin);
      return await answer.text().catch((cause) => {
        throw new ConnectionError(`The answer of ${this.#where} broke off; ask again`, { cause });
      });
    } catch (error) {
      signal?.throwIfAborted();
      if (!limit.signal.aborted) throw error;
      const message = `${this.#where} did not answer within ${limit.signal.reason} ms`;
      throw new ConnectionError(message, { cause: error, timedOut: true });
    } finally {
      clearTimeout(timer);
      clearTimeout(begin);
    }
  }

  /** A good answer whose body is still to be read; without a time limit. */
  async open(method: string, path: string, { body, query, headers, signal }: Call = {}): Promise<Response> {
    let answer: Response;
    try {
      answer = await this.#fetch(this.url(path, query), {
        method,
        headers: {
          ...(body === undefined ? {} : { "Content-Type": "application/json" }),
          ...(this.#apiKey === null ? {} : { Authorization: `Bearer ${this.#apiKey}` }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(signal ? { signal } : {}),
      });
    } catch (cause) {
      signal?.throwIfAborted();
      throw new ConnectionError(`No answer from ${this.#where}; check that the server is running`, { cause });
    }
    if (answer.status < 400) return answer;
    const text = await answer.text().catch(() => "");
    throw errorOf(answer.status, parsed(text), answer.headers.get("retry-after"));
  }

  /** For messages: never a query or what stands before an @. */
  get #where(): string {
    return this.#base.replace(/\/\/[^/]*@/, "//") || "the page's own server";
  }
}

/** A body of JSON, or the data of an error that came as a server-sent event. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text.replace(/^data: ?/, ""));
  } catch {
    return undefined;
  }
}

/** A path with its parts percent-encoded, slashes too. */
export const pathOf = (parts: TemplateStringsArray, ...values: (string | number)[]): string =>
  String.raw({ raw: parts }, ...values.map((value) => encodeURIComponent(value)));
