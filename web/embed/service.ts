/** The service the script came from: its calls, and one live stream for all elements of a page. */
import type { present, presentOne } from "../../src/api/downloads/present.ts";

/** A download as the native API shows it, with its files where it was asked for alone. */
export type Download = ReturnType<typeof present> & Pick<ReturnType<typeof presentOne>, "files">;
/** Answers the API key, for pages of another origin than the service's. Asked before each request, never kept. */
export type TokenProvider = () => string | Promise<string>;

/** What went wrong: the service's own code, or `unreachable`. */
export class ServiceError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

const script =
  document.currentScript ?? document.querySelector('script[src$="/embed.js"], script[src*="/embed.js?"]');
/** Folder of the script: the root of the service, also behind a proxy that gives it a prefix. */
export const BASE = new URL(".", (script as HTMLScriptElement | null)?.src ?? location.href).href;

const RETRY_MS = 2000;

type Tell = (download: Download | null | "lost") => void;

/** The service as one token provider may use it. */
export class Service {
  readonly #provider: TokenProvider | undefined;
  readonly #watchers = new Map<string, Set<Tell>>();
  #isRunning = false;
  #hangUp: () => void = () => {};

  constructor(provider: TokenProvider | undefined) {
    this.#provider = provider;
  }

  /** The answer's body. Throws a ServiceError. */
  async call<T>(method: "GET" | "POST", path: string, body?: object): Promise<T> {
    const headers: Record<string, string> = {};
    if (this.#provider) headers.Authorization = `Bearer ${await this.#provider()}`;
    if (body) headers["Content-Type"] = "application/json";
    const request: RequestInit = { method, headers, credentials: "same-origin", cache: "no-store" };
    const answer = await fetch(
      BASE + path,
      body ? { ...request, body: JSON.stringify(body) } : request,
    ).catch(() => {
      throw unreachable();
    });
    const data = await answer.json().catch(() => ({}));
    if (answer.ok) return data;
    const { code, message, param } = data.error ?? {};
    // Commands leave the code of an unknown id out.
    const isUnknown = answer.status === 404 && param === "model_id";
    throw new ServiceError(
      code ?? (isUnknown ? "download_not_found" : `http_${answer.status}`),
      answer.status === 401
        ? `The download service wants its API key: log in at ${BASE} or set tokenProvider`
        : (message ?? `The download service answered ${answer.status}`),
    );
  }

  /**
   * Throws `download_not_found` also for a complete one whose files were deleted, by the service or by hand: nothing is
   * left of it but the record.
   */
  async get(id: string): Promise<Download> {
    const download = await this.call<Download>("GET", `v1/downloads/${id}?exists=true`);
    const { state, files, files_total: total } = download;
    const isLacking = files && (files.length < total || files.some(({ exists }) => exists === false));
    if (state === "completed" && isLacking) throw new ServiceError("download_not_found", "");
    return download;
  }

  /** Tells of every change of this download until the returned function is called: null when it is gone. */
  watch(id: string, tell: Tell): () => void {
    const tells = this.#watchers.get(id) ?? new Set();
    this.#watchers.set(id, tells.add(tell));
    // A stream that runs already may have told its end before anybody listened.
    if (this.#isRunning) void this.#ask([id]);
    else void this.#run();
    return () => {
      tells.delete(tell);
      if (tells.size === 0 && this.#watchers.get(id) === tells) this.#watchers.delete(id);
      if (this.#watchers.size === 0) this.#hangUp();
    };
  }

  /** The stream as long as it lasts; then each download is asked for once and the stream tried again. */
  async #run(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    while (this.#watchers.size > 0) {
      await this.#listen().catch(() => {});
      if (this.#watchers.size === 0) break;
      await this.#ask(this.#watchers.keys());
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
    this.#isRunning = false;
  }

  async #listen(): Promise<void> {
    // A browser sends no headers with an event stream, but it may carry a ticket.
    const { ticket } = this.#provider
      ? await this.call<{ ticket: string }>("POST", "v1/tickets", {})
      : { ticket: "" };
    const stream = new EventSource(`${BASE}v1/events${ticket && `?ticket=${ticket}`}`);
    const on = (type: string, take: (data: never) => void): void =>
      stream.addEventListener(type, ({ data }) => take(JSON.parse(data) as never));
    const seen = new Set<string>();
    on("snapshot", ({ downloads, more }: { downloads: Download[]; more?: boolean }) => {
      for (const download of downloads) {
        seen.add(download.id);
        this.#tell(download.id, download);
      }
      if (more) return;
      void this.#ask([...this.#watchers.keys()].filter((id) => !seen.has(id)));
    });
    on("download", ({ download }: { download: Download }) => this.#tell(download.id, download));
    await new Promise<void>((resolve) => {
      stream.onerror = () => resolve();
      this.#hangUp = resolve;
      if (this.#watchers.size === 0) resolve();
    });
    stream.close();
  }

  async #ask(ids: Iterable<string>): Promise<void> {
    for (const id of ids)
      try {
        this.#tell(id, await this.get(id));
      } catch (error) {
        const isGone = error instanceof ServiceError && error.code === "download_not_found";
        this.#tell(id, isGone ? null : "lost");
      }
  }

  #tell(id: string, what: Parameters<Tell>[0]): void {
    for (const tell of this.#watchers.get(id) ?? []) tell(what);
  }
}

const unreachable = (): ServiceError =>
  new ServiceError(
    "unreachable",
    `The download service at ${BASE} does not answer, or not to this page (--cors-origin ${location.origin} allows it)`,
  );

const services = new Map<TokenProvider | undefined, Service>();

/** One for all elements with the same provider, so that a page holds one stream however many buttons it has. */
export function serviceFor(provider: TokenProvider | undefined): Service {
  const service = services.get(provider) ?? new Service(provider);
  services.set(provider, service);
  return service;
}
