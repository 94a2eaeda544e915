import { DownloadError } from "../core/errors.ts";
import type { Hop, HttpResponse } from "../core/ports.ts";
import { publicUrl } from "../core/redact.ts";
import { remoteUrlOf } from "../core/remote-url.ts";
import type { Exchange } from "./exchange.ts";
import { cut, fetchFailed, tooSlow } from "./faults.ts";

/** A rest up to this size is read to its end so that the connection can be used again; more is cut off. */
const DRAIN_BYTES = 64 * 1024;
const DRAIN_MS = 2_000;
const TEXT_LIMIT = 8 * 1024 * 1024;

/** Gives up a body nobody wants. A short one is drained in the background. */
export function discard(exchange: Exchange): void {
  void new Body(exchange).discard();
}

/** The answer as the port describes it. `stallMs` bounds each wait of `text` and `json` only. */
export function toResponse(exchange: Exchange, hops: readonly Hop[], stallMs: number): HttpResponse {
  const { hop, response } = exchange;
  const body = new Body(exchange);
  const text = (limit = TEXT_LIMIT) => body.text(limit, stallMs);
  return {
    status: response.status,
    headers: response.headers,
    url: remoteUrlOf(hop.url),
    hops,
    read: () => body.read(),
    cancel: () => body.discard(),
    text,
    json: async (limit) => parseJson(hop.url, await text(limit)),
  };
}

function parseJson(url: URL, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new DownloadError("protocol", `${publicUrl(url.href)} did not answer with valid JSON.`);
  }
}

/** Counts what the runtime hands out, which of several lies about the length it believed notwithstanding (F14, F17). */
class Body {
  readonly #exchange: Exchange;
  readonly #read: (() => Promise<Uint8Array | null>) | undefined;
  /** Bytes promised by Content-Length, when it says anything of this body. */
  readonly #expected: number | undefined;
  #received = 0;
  #ended = false;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
    const { hop, response } = exchange;
    this.#read = response.read;
    const length = response.headers.get("content-length");
    const bodiless = hop.method === "HEAD" || response.status === 204 || response.status === 304;
    if (bodiless) this.#expected = 0;
    else if (length !== null) this.#expected = Number(length);
    if (this.#read === undefined) this.#end();
  }

  async read(): Promise<Uint8Array | null> {
    if (this.#exchange.signal.aborted) throw this.#exchange.signal.reason;
    if (this.#ended || this.#read === undefined) return null;
    try {
      const bytes = await this.#read();
      if (bytes === null) this.#complete();
      else this.#count(bytes.byteLength);
      return bytes;
    } catch (error) {
      throw this.#fail(error);
    }
  }

  #count(bytes: number): void {
    this.#received += bytes;
    if (this.#expected !== undefined && this.#received > this.#expected) throw this.#contradiction();
  }

  #complete(): void {
    if (this.#expected !== undefined && this.#received < this.#expected)
      throw cut(this.#exchange.hop.url.host);
    this.#end();
  }

  #contradiction(): DownloadError {
    return new DownloadError("protocol", `${this.#exchange.hop.url.host} sent more bytes than it announced.`);
  }

  /** Our own deadline or the caller's signal wins over what the runtime says of the cut. */
  #fail(error: unknown): unknown {
    const { signal, hop, abort, broken } = this.#exchange;
    const reason = signal.aborted ? signal.reason : fetchFailed(hop.url.host, error);
    if (reason instanceof DownloadError) broken();
    abort(reason);
    this.#end();
    return reason;
  }

  #end(): void {
    this.#ended = true;
    this.#exchange.end();
  }

  async text(limit: number, stallMs: number): Promise<string> {
    const { hop, abort } = this.#exchange;
    const decoder = new TextDecoder();
    let text = "";
    let size = 0;
    for (;;) {
      const late = () => abort(tooSlow("timeout", hop.url.host, "sent nothing", stallMs));
      const timer = setTimeout(late, stallMs);
      const chunk = await this.read().finally(() => clearTimeout(timer));
      if (chunk === null) return text + decoder.decode();
      size += chunk.byteLength;
      if (size > limit)
        throw this.#fail(
          new DownloadError("protocol", `${publicUrl(hop.url.href)} answered with more than ${limit} bytes.`),
        );
      text += decoder.decode(chunk, { stream: true });
    }
  }

  async discard(): Promise<void> {
    if (this.#ended) return;
    if (this.#worthDraining()) void this.#drain();
    else this.#giveUp();
  }

  /** A short rest, or an error page or redirect of unknown length. */
  #worthDraining(): boolean {
    if (this.#expected !== undefined) return this.#expected - this.#received <= DRAIN_BYTES;
    return this.#received === 0 && this.#exchange.response.status >= 300;
  }

  #giveUp(): void {
    const { hop, abort } = this.#exchange;
    abort(new DownloadError("network", `The answer of ${hop.url.host} was given up.`));
    this.#end();
  }

  async #drain(): Promise<void> {
    const timer = setTimeout(() => this.#giveUp(), DRAIN_MS);
    const limit = this.#received + DRAIN_BYTES;
    try {
      while ((await this.read()) !== null) if (this.#received > limit) this.#giveUp();
    } catch {
      // Nobody waits for these bytes: that the rest is lost is no news.
    } finally {
      clearTimeout(timer);
    }
  }
}
