import { DownloadError, toDownloadError } from "../../core/errors.ts";
import type { Http, HttpRequest, HttpResponse } from "../../core/ports.ts";
import { parseRemoteUrl } from "../../core/remote-url.ts";

/** A model of hundreds of GB is copied, and then written anew, before the daemon answers. */
const LONG_MS = 12 * 3_600_000;
const SHORT_MS = 30_000;
const CONNECT_MS = 5000;
const LONGEST_ANSWER = 16 * 1024 * 1024;
const LONGEST_TEXT = 500;

interface Creation {
  model: string;
  /** Blob digests by file name. */
  files: Record<string, string>;
  license: string;
  parameters: Record<string, number>;
}

/** What an import needs of a daemon (protocols/ollama.md §3, §4). Rejects with `engine_failed` or the signal's reason. */
export class OllamaClient {
  readonly #http: Http;
  readonly #url: string;

  constructor(http: Http, url: string) {
    this.#http = http;
    this.#url = url;
  }

  /** Licence text of a model it has; undefined when it has none of that name. */
  async licence(model: string, signal?: AbortSignal): Promise<string | undefined> {
    const { status, text } = await this.#json("POST", "/api/show", { model, name: model }, SHORT_MS, signal);
    if (status === 404 && said(text) !== undefined) return undefined;
    if (status !== 200) throw this.#refusal("look for the model", status, text);
    const { license } = parsed(text);
    return typeof license === "string" ? license : "";
  }

  /** Brings a file into its blobs, unless it is there. */
  async upload(file: string, digest: string, signal: AbortSignal): Promise<void> {
    const path = `/api/blobs/${digest}`;
    const known = await this.#ask({ method: "HEAD", path, signal, headerTimeoutMs: SHORT_MS });
    if (known.status === 200) return;
    const body = Bun.file(file, { type: "application/octet-stream" });
    const { status, text } = await this.#ask({
      method: "POST",
      path,
      body,
      signal,
      headerTimeoutMs: LONG_MS,
    });
    if (status !== 200 && status !== 201) throw this.#refusal("take the file", status, text);
  }

  /** Without a stream: one answer at the end, whose status is the truth. */
  async create(creation: Creation, signal: AbortSignal): Promise<void> {
    const body = { ...creation, name: creation.model, stream: false };
    const { status, text } = await this.#json("POST", "/api/create", body, LONG_MS, signal);
    // Old servers answer 200 and say the error in the body.
    if (status !== 200 || said(text) !== undefined) throw this.#refusal("import the model", status, text);
  }

  async unload(model: string): Promise<void> {
    await this.#json("POST", "/api/generate", { model, keep_alive: 0, stream: false }, SHORT_MS);
  }

  async remove(model: string): Promise<void> {
    const { status, text } = await this.#json("DELETE", "/api/delete", { model, name: model }, SHORT_MS);
    if (status !== 200 && status !== 404) throw this.#refusal("remove the model", status, text);
  }

  #json(
    method: "POST" | "DELETE",
    path: string,
    body: object,
    headerTimeoutMs: number,
    signal?: AbortSignal,
  ): Promise<Answer> {
    const headers = { "Content-Type": "application/json" };
    const request = { method, path, headers, body: JSON.stringify(body), headerTimeoutMs };
    return this.#ask({ ...request, ...(signal && { signal }) });
  }

  async #ask({ path, ...request }: Omit<HttpRequest, "url"> & { path: string }): Promise<Answer> {
    try {
      const url = parseRemoteUrl(`${this.#url}${path}`);
      const limits = { operator: true, connectTimeoutMs: CONNECT_MS } as const;
      const response = await this.#http.request({ ...request, ...limits, url });
      return { status: response.status, text: await textOf(response) };
    } catch (error) {
      if (request.signal?.aborted) throw request.signal.reason;
      throw this.#unreachable(toDownloadError(error));
    }
  }

  #unreachable(cause: DownloadError): DownloadError {
    const begin =
      cause.code === "connect" || cause.code === "dns"
        ? `Cannot connect to Ollama server at ${this.#url}: ${cause.message} Start it with \`ollama serve\`, or name another one with --ollama-url.`
        : `The Ollama server at ${this.#url} did not answer: ${cause.message}`;
    return new DownloadError("engine_failed", `${begin} The file stays.`, { cause });
  }

  #refusal(what: string, status: number, text: string): DownloadError {
    const why = (said(text) ?? `HTTP ${status}`).replace(/\s+/g, " ").slice(0, LONGEST_TEXT);
    return new DownloadError(
      "engine_failed",
      `The Ollama server at ${this.#url} could not ${what}: ${why.replace(/[.\s]+$/, "")}. The file stays.`,
    );
  }
}

interface Answer {
  status: number;
  text: string;
}

async function textOf(response: HttpResponse): Promise<string> {
  return response.text(LONGEST_ANSWER);
}

function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** The daemon's own `{"error": text}` (protocols/ollama.md §1). */
function said(text: string): string | undefined {
  const { error } = parsed(text);
  return typeof error === "string" && error !== "" ? error : undefined;
}
