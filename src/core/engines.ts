import type { EngineSpec } from "./download.ts";
import { DownloadError, toDownloadError } from "./errors.ts";
import type { Clock, Database, Engine, EngineReport, EngineRuntime, Log } from "./ports.ts";

interface Tools {
  db: Database;
  clock: Clock;
  log: Log;
  /** The default first. */
  runtimes: readonly EngineRuntime[];
}

/** Work on one engine that a later command may have to end first. */
interface Work {
  controller: AbortController;
  done: Promise<unknown>;
}

interface Making {
  spec: EngineSpec;
  path: string;
  downloadId: string | null;
  warn: (text: string) => void;
  among?: readonly string[];
  /** Whether there is a record before it is ready. */
  isShown: boolean;
}

/** What is known of an engine while it is made. */
const UNKNOWN = { state: "loading", endpoint: null, details: null } as const;

/** Ended because a later command or our own exit overtook it. */
class Overtaken extends Error {
  override readonly name = "Overtaken";
}

const STOPPED = "The engine was stopped before it was ready.";
const CLOSING = "The service ends before the engine is ready; when it runs again it goes on with it.";

type Change = Partial<Pick<Engine, "state" | "endpoint" | "error">>;

/**
 * The registered engines and what runs behind them (A16). The row is the truth of what is wished: one that says
 * `loaded` or `loading` is started again with the process. Work on one engine is done one after the other; stop and
 * remove end a start that is still going on.
 */
export class Engines {
  readonly #tools: Tools;
  readonly #work = new Map<string, Work>();
  #closed = false;

  constructor(tools: Tools) {
    this.#tools = tools;
    for (const runtime of tools.runtimes)
      runtime.watch?.((id, change) => void this.#changed(runtime.name, id, change));
  }

  /** Starts again what was loaded and went with the last process. Does not wait until they are ready. */
  async open(): Promise<void> {
    for (const { engineId, runtime, state } of await this.list()) {
      const known = this.#tools.runtimes.find((r) => r.name === runtime);
      // What was being loaded goes on with any runtime; what was loaded went with us only with some.
      if (!known || (state !== "loading" && !(state === "loaded" && known.resident))) continue;
      await this.#write(engineId, { state: "loading", endpoint: null, error: null });
      void this.start(engineId).catch((error) =>
        this.#tools.log.warn("an engine could not be started again", {
          engine_id: engineId,
          error: toDownloadError(error).message,
        }),
      );
    }
  }

  /** Ends everything that runs; the rows keep the wish that it does. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { controller } of this.#work.values()) controller.abort(new Overtaken(CLOSING));
    await Promise.all(this.#tools.runtimes.map((runtime) => runtime.close?.()));
    await Promise.allSettled([...this.#work.values()].map(({ done }) => done));
  }

  list(): Promise<Engine[]> {
    return this.#tools.db.engines();
  }

  get(id: string): Promise<Engine | undefined> {
    return this.#tools.db.engine(id);
  }

  /**
   * Makes an engine of a file or folder that a download has brought; its record is kept once it is there, until then
   * the download tells of it. One of the same id is replaced. Of a folder only the files of `among` count, when given.
   * Throws `engine_failed`, or the signal's reason; nothing is left running then.
   */
  create(
    spec: EngineSpec,
    path: string,
    downloadId: string | null,
    signal: AbortSignal,
    warn: (text: string) => void = () => {},
    among?: readonly string[],
  ): Promise<Engine> {
    return this.#make({ spec, path, downloadId, warn, isShown: false, ...(among && { among }) }, signal);
  }

  /**
   * The same for what is on disk already, where nothing else tells of it: its record is there from the beginning on,
   * as `loading`, and what is stopped meanwhile keeps it. What could not be made leaves none.
   */
  add(
    spec: EngineSpec,
    path: string,
    downloadId: string | null,
    warn: (text: string) => void = () => {},
  ): Promise<Engine> {
    return this.#make({ spec, path, downloadId, warn, isShown: true }, new AbortController().signal);
  }

  /** Ready when it resolves; one that is loaded stays as it is. Throws `engine_failed`, `download_not_found`. */
  start(id: string): Promise<Engine> {
    return this.#one(id, async (overtaken) => {
      const engine = await this.#must(id);
      const runtime = this.#runtimeOf(engine);
      if (engine.state === "loaded" && runtime.resident !== true) return engine;
      if (engine.state === "loaded" && runtime.runs?.(id)) return engine;
      await this.#write(id, { state: "loading", endpoint: null, error: null });
      try {
        const spec = { ...specOf(engine), loadImmediately: true };
        const { file } = engine.details ?? {};
        const report = await runtime.create(spec, file ?? engine.path, overtaken);
        const details = report.details && { ...(file !== undefined && { file }), ...report.details };
        const { state, endpoint, modelType } = report;
        return await this.#write(id, { state, endpoint, details, modelType, error: null });
      } catch (thrown) {
        if (this.#closed) throw failure(thrown);
        const error = failure(thrown);
        const stopped = overtaken.aborted;
        await this.#write(id, stopped ? { state: "stopped" } : { state: "failed", error: error.message });
        throw error;
      }
    });
  }

  /** Ends what runs and keeps the record. Stopping a stopped one changes nothing. Throws `download_not_found`. */
  async stop(id: string): Promise<Engine> {
    // Without a record it is its download that is to be cancelled.
    await this.#must(id);
    await this.#overtake(id);
    return this.#one(id, async () => {
      const engine = await this.#must(id);
      if (engine.state === "created" || engine.state === "stopped") return engine;
      await this.#halt(engine);
      return this.#write(id, { state: "stopped", endpoint: null, error: null });
    });
  }

  /** Ends what runs, takes out what the runtime keeps elsewhere, forgets the record. The model file stays. */
  async remove(id: string): Promise<boolean> {
    if (!(await this.get(id))) return false;
    await this.#overtake(id);
    return this.#one(id, async () => {
      const engine = await this.get(id);
      if (!engine) return false;
      const runtime = this.#tools.runtimes.find((r) => r.name === engine.runtime);
      await (runtime?.remove ? runtime.remove(engine) : runtime?.stop?.(engine));
      return this.#tools.db.deleteEngine(id);
    });
  }

  /** The last lines that what runs has said; empty for a runtime that runs nothing, undefined without such an engine. */
  async log(id: string): Promise<string[] | undefined> {
    const engine = await this.get(id);
    if (!engine) return undefined;
    return this.#tools.runtimes.find((r) => r.name === engine.runtime)?.log?.(id) ?? [];
  }

  /** One after the other per engine; `act` gets the signal of being overtaken. */
  #one<T>(id: string, act: (overtaken: AbortSignal) => Promise<T>): Promise<T> {
    const before = this.#work.get(id)?.done;
    const controller = new AbortController();
    if (this.#closed) controller.abort(new Overtaken(CLOSING));
    const run = async (): Promise<T> => {
      await before?.catch(() => {});
      return act(controller.signal);
    };
    const done = run();
    const work = { controller, done };
    this.#work.set(id, work);
    const forget = (): void => {
      if (this.#work.get(id) === work) this.#work.delete(id);
    };
    done.then(forget, forget);
    return done;
  }

  async #overtake(id: string): Promise<void> {
    const work = this.#work.get(id);
    work?.controller.abort(new Overtaken(STOPPED));
    await work?.done.catch(() => {});
  }

  async #halt(engine: Engine): Promise<void> {
    await this.#tools.runtimes.find((r) => r.name === engine.runtime)?.stop?.(engine);
  }

  #make(making: Making, signal: AbortSignal): Promise<Engine> {
    const { spec, path, warn, among, isShown } = making;
    return this.#one(spec.engineId, async (overtaken) => {
      const runtime = this.#runtimeFor(spec.inferenceEngine);
      const before = await this.get(spec.engineId);
      if (before) await this.#halt(before);
      if (isShown) await this.#keep(runtime, making, { ...UNKNOWN, modelType: spec.modelType }, before);
      const both = AbortSignal.any([signal, overtaken]);
      try {
        const report = await runtime.create(spec, path, both, among);
        for (const warning of report.warnings) warn(warning);
        return await this.#keep(runtime, making, report, before);
      } catch (thrown) {
        const error = signal.aborted ? undefined : failure(thrown);
        // At our own exit the row keeps the wish, as everywhere.
        if (!this.#closed) await this.#undo(making, before, error, overtaken.aborted);
        throw error ?? signal.reason;
      }
    });
  }

  /** It could not be made, or was not to be any more. */
  async #undo(
    { spec, isShown }: Making,
    before: Engine | undefined,
    error: DownloadError | undefined,
    isOvertaken: boolean,
  ): Promise<void> {
    const { db } = this.#tools;
    if (isShown && isOvertaken) await this.#write(spec.engineId, { state: "stopped" });
    else if (before) {
      const state = error ? "failed" : "stopped";
      await db.putEngine({ ...before, state, endpoint: null, error: error?.message ?? null });
    } else if (isShown) await db.deleteEngine(spec.engineId);
  }

  async #keep(
    runtime: EngineRuntime,
    { spec, path, downloadId }: Making,
    { state, endpoint, details, modelType }: Omit<EngineReport, "warnings">,
    before: Engine | undefined,
  ): Promise<Engine> {
    const createdAt = before?.createdAt ?? this.#tools.clock.now();
    const made = {
      runtime: runtime.name,
      path,
      downloadId,
      state,
      endpoint,
      details,
      createdAt,
      error: null,
    };
    const engine: Engine = { ...spec, modelType, ...made };
    await this.#tools.db.putEngine(engine);
    return engine;
  }

  /** What a runtime tells of an engine that changed by itself. Commands in progress have the last word. */
  async #changed(runtime: string, id: string, change: Change): Promise<void> {
    if (this.#closed) return;
    try {
      await this.#one(id, async () => {
        const engine = await this.get(id);
        if (engine?.runtime === runtime && engine.state !== "stopped") await this.#write(id, change);
      });
    } catch (error) {
      this.#tools.log.error("could not record what became of an engine", {
        engine_id: id,
        error: String(error),
      });
    }
  }

  async #write(id: string, change: Partial<Engine>): Promise<Engine> {
    const engine = { ...(await this.#must(id)), ...change };
    await this.#tools.db.putEngine(engine);
    return engine;
  }

  async #must(id: string): Promise<Engine> {
    const engine = await this.get(id);
    if (engine) return engine;
    throw new DownloadError("download_not_found", `There is no engine '${id}'.`, { param: "engine_id" });
  }

  /** An `inference_engine` that names no runtime (`llama-cpu`, as the seeds have it) means the default. */
  #runtimeFor(name: string): EngineRuntime {
    const { runtimes } = this.#tools;
    const runtime = runtimes.find((r) => r.name === name) ?? runtimes[0];
    if (runtime) return runtime;
    throw new DownloadError("engine_failed", "This build has no engine runtime.");
  }

  #runtimeOf(engine: Engine): EngineRuntime {
    const runtime = this.#tools.runtimes.find((r) => r.name === engine.runtime);
    return runtime ?? this.#runtimeFor(engine.inferenceEngine);
  }
}

const specOf = (engine: Engine): EngineSpec => {
  const { engineId, modelType, inferenceEngine, loadImmediately, mainGpuId, parameters } = engine;
  return { engineId, modelType, inferenceEngine, loadImmediately, mainGpuId, parameters };
};

/** Whatever a runtime throws is the engine's failure, never `internal`. */
function failure(thrown: unknown): DownloadError {
  if (thrown instanceof Overtaken)
    return new DownloadError("engine_failed", thrown.message, { cause: thrown });
  const error = toDownloadError(thrown);
  return error.code === "engine_failed"
    ? error
    : new DownloadError("engine_failed", error.message, { cause: thrown });
}
