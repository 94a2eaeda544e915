import { DownloadError } from "../../core/errors.ts";
import type { Clock, Engine } from "../../core/ports.ts";
import { freePort, healthStatus } from "./health.ts";
import type { LogTail } from "./log-tail.ts";
import { type Child, launch } from "./process.ts";

export interface Timing {
  /** How long a model may take to load: from a slow disk that is minutes. */
  readyMs: number;
  /** Between two looks at `/health`. */
  lookMs: number;
  /** Wait before the first restart; doubled with each crash in a row. */
  backoffMs: number;
  longestBackoffMs: number;
  /** Crashes in a row before it is given up. */
  mostCrashes: number;
  /** Up for this long, and earlier crashes are forgotten. */
  stableMs: number;
}

export const TIMING: Timing = {
  readyMs: 15 * 60_000,
  lookMs: 150,
  backoffMs: 1000,
  longestBackoffMs: 30_000,
  mostCrashes: 5,
  stableMs: 60_000,
};

const LINES_TOLD = 5;
/** Somebody else took the port between our look and the child's: that says nothing of the model. */
const PORT_TAKEN = /couldn't bind|could not bind|failed to bind|address already in use|EADDRINUSE/i;
const MOST_PORTS = 3;

export interface SupervisedOptions {
  /** Of the engine, for messages. */
  label: string;
  command(port: number): string[];
  environment: Readonly<Record<string, string | undefined>>;
  tail: LogTail;
  timing: Timing;
  clock: Clock;
  /** What happens to it after it was ready once. */
  tell(change: Partial<Pick<Engine, "state" | "endpoint" | "error">>): void;
}

/** A server process that is wanted: started again with growing pauses when it crashes, until it is stopped or given up. */
export class Supervised {
  readonly #options: SupervisedOptions;
  readonly #stop = new AbortController();
  #child: Child | undefined;
  #loop: Promise<void> | undefined;
  #endpoint = "";

  constructor(options: SupervisedOptions) {
    this.#options = options;
  }

  get endpoint(): string {
    return this.#endpoint;
  }

  /** Resolves when it is ready to serve. Rejects with `engine_failed` or the signal's reason; nothing runs then. */
  async start(signal: AbortSignal): Promise<void> {
    await this.#launch(AbortSignal.any([signal, this.#stop.signal]));
    this.#loop = this.#supervise();
  }

  /** Resolves when nothing of it runs any more. */
  async stop(): Promise<void> {
    this.#stop.abort(new DownloadError("engine_failed", "The engine was stopped."));
    await this.#child?.stop();
    await this.#loop;
  }

  async #launch(signal: AbortSignal): Promise<void> {
    const { tail, environment, command } = this.#options;
    for (let ports = 1; ; ports++) {
      const port = await freePort();
      signal.throwIfAborted();
      let said = "";
      const child = launch(command(port), environment, (text) => {
        tail.add(text);
        if (said.length < 64 * 1024) said += text;
      });
      this.#child = child;
      try {
        await this.#ready(child, port, signal);
        this.#endpoint = `http://127.0.0.1:${port}`;
        return;
      } catch (error) {
        await child.stop();
        if (signal.aborted || ports === MOST_PORTS || !PORT_TAKEN.test(said)) throw error;
      }
    }
  }

  async #ready(child: Child, port: number, signal: AbortSignal): Promise<void> {
    const { clock, timing, label } = this.#options;
    const until = clock.monotonic() + timing.readyMs;
    let how: string | undefined;
    const gone = new AbortController();
    void child.ended.then((text) => {
      how = text;
      gone.abort();
    });
    const either = AbortSignal.any([signal, gone.signal]);
    while (clock.monotonic() < until) {
      signal.throwIfAborted();
      if (how !== undefined) throw this.#failure(`llama-server ${how} before '${label}' was ready.`);
      if ((await healthStatus(port)) === 200 && how === undefined) return;
      await clock.sleep(timing.lookMs, either).catch(() => {});
    }
    const minutes = Math.round(timing.readyMs / 60_000);
    throw this.#failure(`llama-server did not get '${label}' ready within ${minutes} minutes.`);
  }

  /** As long as it is wanted: waits for its end, starts it again. */
  async #supervise(): Promise<void> {
    const { clock, timing, tell, label } = this.#options;
    const { signal } = this.#stop;
    let crashes = 0;
    let since = clock.monotonic();
    let why = this.#crash(await this.#child?.ended);
    while (!signal.aborted) {
      crashes = clock.monotonic() - since > timing.stableMs ? 1 : crashes + 1;
      if (crashes > timing.mostCrashes) {
        const error = `Given up after ${timing.mostCrashes} crashes in a row. ${why}`;
        return tell({ state: "failed", endpoint: null, error });
      }
      tell({ state: "loading", endpoint: null, error: `${why} It is being started again.` });
      const pause = Math.min(timing.backoffMs * 2 ** (crashes - 1), timing.longestBackoffMs);
      await clock.sleep(pause, signal).catch(() => {});
      if (signal.aborted) return;
      try {
        await this.#launch(signal);
        since = clock.monotonic();
        tell({ state: "loaded", endpoint: this.#endpoint, error: null });
        why = this.#crash(await this.#child?.ended);
      } catch (error) {
        since = clock.monotonic();
        why = error instanceof Error ? error.message : `llama-server for '${label}' could not be started.`;
      }
    }
  }

  #crash(how: string | undefined): string {
    return this.#failure(`llama-server ${how ?? "ended"} while it served '${this.#options.label}'.`).message;
  }

  #failure(text: string): DownloadError {
    const said = this.#options.tail.end(LINES_TOLD);
    return new DownloadError("engine_failed", said === "" ? text : `${text} Its last words: "${said}".`);
  }
}
