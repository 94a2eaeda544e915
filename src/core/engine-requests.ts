import {
  checkEngine,
  checkModelId,
  type Defaults,
  engineTaken,
  type Judged,
  judge,
  refuseKept,
} from "./admission.ts";
import type { Tools } from "./attempt.ts";
import type { Board } from "./board.ts";
import type { Download, EngineSpec } from "./download.ts";
import { DownloadError } from "./errors.ts";
import type { Snapshot } from "./feed.ts";
import type { KeyedLock } from "./keyed-lock.ts";
import { allRows } from "./pages.ts";
import type { Engine, StartRequest } from "./ports.ts";
import { findPresent, isSameContent, type Present } from "./present.ts";
import { hasPartial } from "./settle.ts";
import type { TargetPath } from "./target-path.ts";

/** What an engine is to be made of: something to download, or a file of ours (`DiskFiles.locate`). */
export type EngineOrigin = { request: StartRequest } | { path: TargetPath };

/** `created`: it was there and is an engine now. Otherwise a download that ends with the engine. */
export type EngineAnswer =
  | { outcome: "created"; engine: Engine; warnings: string[] }
  | { outcome: "started" | "resuming" | "in_progress"; download: Snapshot };

/** Commands of the manager, without its locks. */
export interface EngineVerbs {
  start(request: StartRequest): Promise<{ download: Snapshot; created: boolean }>;
  resume(id: string): Promise<{ download: Snapshot }>;
  retry(id: string, request: StartRequest): Promise<{ download: Snapshot }>;
  find(id: string): Promise<Snapshot | undefined>;
}

/** Requests for engines (R36-R45): made at once of what is there, else of what has to be downloaded first. */
export class EngineRequests {
  readonly #tools: Tools;
  readonly #board: Board;
  readonly #ids: KeyedLock;
  readonly #defaults: () => Defaults;
  readonly #verbs: EngineVerbs;

  constructor(tools: Tools, board: Board, ids: KeyedLock, defaults: () => Defaults, verbs: EngineVerbs) {
    this.#tools = tools;
    this.#board = board;
    this.#ids = ids;
    this.#defaults = defaults;
    this.#verbs = verbs;
  }

  /**
   * Throws `model_id_conflict` for an id in use for something else, `engine_failed` for a file at hand that is no
   * model, and what `Downloads.start` throws. An engine once begun is finished although the client goes away.
   */
  async add(spec: EngineSpec, origin: EngineOrigin): Promise<EngineAnswer> {
    checkModelId(spec.engineId, "engine_id");
    if ("path" in origin) {
      await this.#refuseBusy(spec.engineId, async (engine) => {
        if (engine.path !== origin.path) await refuseKept(this.#tools, engine);
      });
      return this.#ids.run(spec.engineId, () => this.#fromFile(spec, origin.path));
    }
    const labels = { ...origin.request.labels, engine_id: spec.engineId };
    const request = { modelId: spec.engineId, ...origin.request, engine: spec, labels };
    const judged = judge(this.#tools.sources, this.#defaults(), request);
    await this.#refuseBusy(spec.engineId, () => this.#findFor(spec.engineId, judged));
    return this.#ids.run(spec.engineId, () => this.#fromSource(spec, request, judged));
  }

  /** Loading takes minutes: another model under that id is refused at once, not when its turn comes. */
  async #refuseBusy(engineId: string, check: (engine: Engine) => Promise<unknown>): Promise<void> {
    const engine = await this.#tools.db.engine(engineId);
    if (engine?.state === "loading") await check(engine);
  }

  /** What is asked for, when it is there; refuses an id that belongs to another model. */
  async #findFor(engineId: string, judged: Judged): Promise<Present | undefined> {
    const present = await findPresent(this.#tools, judged);
    await checkEngine(this.#tools, engineId, judged.ref, judged.layout, present?.path);
    return present;
  }

  async #fromFile(spec: EngineSpec, path: TargetPath): Promise<EngineAnswer> {
    const { db } = this.#tools;
    const awaited = await db.byEngineId(spec.engineId);
    if (awaited) throw waiting(spec.engineId, awaited);
    const engine = await db.engine(spec.engineId);
    if (engine && engine.path !== path) await refuseKept(this.#tools, engine);
    return this.#create(spec, path, null);
  }

  async #fromSource(spec: EngineSpec, request: StartRequest, judged: Judged): Promise<EngineAnswer> {
    const { engineId } = spec;
    const awaited = await this.#tools.db.byEngineId(engineId);
    if (awaited && !isSameContent(awaited.source, judged.ref)) throw waiting(engineId, awaited);
    if (awaited) return this.#goOn(awaited);
    const present = await this.#findFor(engineId, judged);
    if (present) return this.#create(spec, present.path, present.downloadId);
    const partial = await this.#goOnWithPartial(spec, request, judged);
    const { download, created } = await this.#verbs.start(request);
    if (partial) return { outcome: "resuming", download };
    return { outcome: created ? "started" : "in_progress", download };
  }

  /** One that its user has paused is wanted again. */
  async #goOn(awaited: Download): Promise<EngineAnswer> {
    if (awaited.state === "paused")
      return { outcome: "resuming", download: (await this.#verbs.resume(awaited.id)).download };
    const download = await this.#verbs.find(awaited.id);
    if (download) return { outcome: "in_progress", download };
    throw new DownloadError("overloaded", "The download of this engine has just ended; ask again.");
  }

  /**
   * A failed download that still has partial data goes on, whoever began it. With another engine or none it only brings
   * the file: the engine asked for waits for that. True when there was one.
   */
  async #goOnWithPartial(spec: EngineSpec, request: StartRequest, judged: Judged): Promise<boolean> {
    const last = (await allRows(this.#tools.db, { sourceKey: judged.ref.key })).at(-1);
    if (last?.state !== "failed" || !hasPartial(await this.#tools.db.files(last.id))) return false;
    const { engineId } = spec;
    if (last.engine?.engineId === engineId)
      await this.#board.write(last.id, { states: ["failed"] }, { engine: spec });
    try {
      await this.#verbs.retry(last.id, request);
      return true;
    } catch (error) {
      // Its id is in use by now: the download starts from the beginning.
      if (error instanceof DownloadError) return false;
      throw error;
    }
  }

  /** An engine that is just what is asked for stays as it is. */
  async #create(spec: EngineSpec, path: TargetPath, downloadId: string | null): Promise<EngineAnswer> {
    const { db, engines } = this.#tools;
    const before = await db.engine(spec.engineId);
    if (before && before.path === path && isReady(before, spec))
      return { outcome: "created", engine: before, warnings: [] };
    const warnings: string[] = [];
    const engine = await engines.add(spec, path, downloadId, (text) => warnings.push(text));
    return { outcome: "created", engine, warnings };
  }
}

const waiting = (engineId: string, { source }: Download): DownloadError =>
  engineTaken(engineId, `is waiting for the download of another model (${source.url})`);

function isReady(engine: Engine, spec: EngineSpec): boolean {
  const { inferenceEngine, mainGpuId, parameters } = spec;
  const same =
    engine.inferenceEngine === inferenceEngine &&
    engine.mainGpuId === mainGpuId &&
    JSON.stringify(engine.parameters) === JSON.stringify(parameters);
  return (
    same &&
    engine.loadImmediately === spec.loadImmediately &&
    engine.state === (spec.loadImmediately ? "loaded" : "created")
  );
}
