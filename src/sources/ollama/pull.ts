import { DownloadError } from "../../core/errors.ts";
import type {
  BringContext,
  BringObserver,
  Clock,
  Credentials,
  Http,
  HttpResponse,
} from "../../core/ports.ts";
import { parseRemoteUrl } from "../../core/remote-url.ts";
import { statusError } from "../status.ts";
import { daemonError, harmless, type Subject, unreachable } from "./errors.ts";
import { type PullLine, readLines } from "./lines.ts";

/** Times in milliseconds. */
export interface OllamaLimits {
  /** Connecting to the server; 5 000. */
  connectMs: number;
  /** From the request to the head of the answer, which comes with the first line at once; 60 000. */
  answerMs: number;
  /**
   * Longest silence while it fetches: 180 000. A daemon that fetches tells so every 60 ms, but one that asks its
   * registry for the manifest is silent as long as that takes.
   */
  silenceMs: number;
  /** Longest silence while it checks what has arrived, of which it tells nothing: 2 h, for models of a terabyte on slow disks. */
  checkMs: number;
  /** Longest time without a new byte although it goes on telling: 600 000. Asked again, it goes back to its registry. */
  stuckMs: number;
}

export const LIMITS: OllamaLimits = {
  connectMs: 5000,
  answerMs: 60_000,
  silenceMs: 180_000,
  checkMs: 7_200_000,
  stuckMs: 600_000,
};

export interface PullRequest extends Subject {
  credentials: Credentials | undefined;
  /** The operator named this server (A26). */
  operator: boolean;
}

export interface Daemon {
  http: Http;
  clock: Clock;
  limits: OllamaLimits;
}

/**
 * One `POST /api/pull`, from the request to `success`. Rejects with what the daemon said, what became of the connection,
 * or the signal's reason; the connection is closed by then, which is what stops a daemon.
 */
export async function pull(
  daemon: Daemon,
  request: PullRequest,
  context: BringContext,
  observer: BringObserver,
): Promise<void> {
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  const response = await ask(daemon, request, context, signal);
  try {
    if (response.status !== 200) throw await refusal(daemon, request, response, context.signal);
    await new Conversation(daemon, request, observer, stop).run(response);
  } finally {
    await response.cancel();
  }
}

async function ask(
  { http, limits }: Daemon,
  { server, model, credentials, operator }: PullRequest,
  { again }: BringContext,
  signal: AbortSignal,
): Promise<HttpResponse> {
  try {
    return await http.request({
      url: parseRemoteUrl(`${server}/api/pull`),
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/x-ndjson" },
      // `name` is what older servers know.
      body: JSON.stringify({ model, name: model, stream: true }),
      ...(credentials ? { credentials } : {}),
      operator,
      signal,
      connectTimeoutMs: limits.connectMs,
      headerTimeoutMs: limits.answerMs,
    });
  } catch (error) {
    if (error instanceof DownloadError && (error.code === "connect" || error.code === "dns"))
      throw unreachable(server, error, again);
    throw error;
  }
}

const LONGEST_REFUSAL = 64 * 1024;

/** An answer that is no stream: its own words, where it is an Ollama that speaks them. */
async function refusal(
  { clock }: Daemon,
  { server, model }: PullRequest,
  response: HttpResponse,
  signal: AbortSignal,
): Promise<DownloadError> {
  const { status, headers } = response;
  // A page too long, or cut, says no more than its status.
  const text = await response.text(LONGEST_REFUSAL).catch(() => "");
  signal.throwIfAborted();
  try {
    const { error } = JSON.parse(text) as { error?: unknown };
    if (typeof error === "string" && error !== "") return daemonError({ server, model }, error, status);
  } catch {
    // No JSON: not the daemon itself has answered.
  }
  if (status === 404 || status === 405 || status < 400)
    return new DownloadError(
      "rejected",
      `There is no Ollama server at ${server}: what answers there does not know /api/pull (HTTP ${status}).`,
      { status },
    );
  return statusError(status, headers, `'${model}' on the Ollama server at ${server}`, clock.now());
}

/** The lines of one answer, and how long to wait for the next. */
class Conversation {
  readonly #daemon: Daemon;
  readonly #request: PullRequest;
  readonly #observer: BringObserver;
  readonly #stop: AbortController;
  #checking = false;
  /** Bytes it has said to have, of each layer, and when one of these grew. */
  readonly #completed = new Map<string, number>();
  #grewAt: number;

  constructor(daemon: Daemon, request: PullRequest, observer: BringObserver, stop: AbortController) {
    this.#daemon = daemon;
    this.#request = request;
    this.#observer = observer;
    this.#stop = stop;
    this.#grewAt = daemon.clock.monotonic();
  }

  async run(response: HttpResponse): Promise<void> {
    const { server, model } = this.#request;
    const who = `The Ollama server at ${server}`;
    const read = () => this.#patiently(() => response.read());
    for await (const line of readLines({ read }, who)) {
      if (typeof line.error === "string") throw daemonError(this.#request, line.error);
      if (await this.#take(line)) return;
      this.#refuseStuck();
    }
    throw new DownloadError(
      "network",
      `${who} stopped in the middle of pulling '${model}', without saying why. What it has is kept there.`,
    );
  }

  /** True for the last line. */
  async #take(line: PullLine): Promise<boolean> {
    const status = typeof line.status === "string" ? harmless(line.status) : "";
    if (status === "success") {
      await this.#observer.status(status);
      return true;
    }
    if (status !== "") {
      const phase = phaseOf(status);
      if (phase !== undefined) this.#checking = phase === "verifying";
      await this.#observer.status(status, phase);
    }
    const layer = layerOf(line);
    if (layer !== undefined) {
      if (layer.completed > (this.#completed.get(layer.digest) ?? -1))
        this.#grewAt = this.#daemon.clock.monotonic();
      this.#completed.set(layer.digest, layer.completed);
      await this.#observer.layer(layer);
    }
    return false;
  }

  async #patiently<T>(read: () => Promise<T>): Promise<T> {
    const { silenceMs, checkMs } = this.#daemon.limits;
    const limit = this.#checking ? checkMs : silenceMs;
    const timer = setTimeout(() => this.#stop.abort(this.#tooLong("said nothing", limit)), limit);
    return read().finally(() => clearTimeout(timer));
  }

  #refuseStuck(): void {
    const { clock, limits } = this.#daemon;
    const now = clock.monotonic();
    if (this.#checking || this.#completed.size === 0) this.#grewAt = now;
    else if (now - this.#grewAt >= limits.stuckMs) throw this.#tooLong("got no byte", limits.stuckMs);
  }

  #tooLong(what: string, ms: number): DownloadError {
    const { server, model } = this.#request;
    return new DownloadError(
      "timeout",
      `The Ollama server at ${server} ${what} for ${Math.ceil(ms / 1000)} s while pulling '${model}'; asked again, it goes on with what it has.`,
    );
  }
}

/** A25: manifest and layer lines are downloading; from the check on nothing more is fetched. */
function phaseOf(status: string): "downloading" | "verifying" | undefined {
  if (/^(?:verifying|writing manifest)/i.test(status)) return "verifying";
  return /^(?:pulling|downloading)/i.test(status) ? "downloading" : undefined;
}

/** A layer's progress, when the line has one; a `completed` of zero is left out (protocols/ollama.md §2.1). */
function layerOf({ digest, total, completed }: PullLine) {
  if (typeof digest !== "string" || !/^[\w:+.-]{1,200}$/.test(digest)) return undefined;
  if (!isSize(total)) return undefined;
  return { digest, size: total, completed: isSize(completed) ? Math.min(completed, total) : 0 };
}

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
