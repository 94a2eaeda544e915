import { admit, checkEngine, checkInteger, type Defaults, judge, refreshSecret } from "./admission.ts";
import type { Rooms, Tools } from "./attempt.ts";
import { Board } from "./board.ts";
import { type BulkOutcome, bulk, type Outcome } from "./bulk.ts";
import { Commands, type DownloadChange, type Moved, type QueueMove, refused } from "./commands.ts";
import { DiskFiles } from "./disk-files.ts";
import {
  type Download,
  FINISHED,
  type File,
  isFinished,
  type RetryPolicy,
  type SourceRef,
  type State,
  UNFINISHED,
} from "./download.ts";
import { EngineRequests } from "./engine-requests.ts";
import { Engines } from "./engines.ts";
import { DownloadError } from "./errors.ts";
import type { Feed, Snapshot } from "./feed.ts";
import { KeyedLock } from "./keyed-lock.ts";
import { activeOnes } from "./lingering.ts";
import { listRemote } from "./listing.ts";
import { allRows, pagesOf } from "./pages.ts";
import type {
  DownloadFilter,
  KindCount,
  Page,
  PageRequest,
  RemoteListing,
  StartRequest,
  Usage,
} from "./ports.ts";
import { Runner } from "./runner.ts";
import {
  applyPatch,
  applyRetry,
  DEFAULT_SETTINGS,
  retryOver,
  type Settings,
  type SettingsPatch,
  savedSettings,
} from "./settings.ts";
import { Sweeper, type SweepPolicy } from "./sweep.ts";

export type { BulkOutcome, Outcome } from "./bulk.ts";
export type { DownloadChange, QueueMove } from "./commands.ts";
export { type DiskFile, TRUSTS, type Trust, type Verification } from "./disk-files.ts";
export type { EngineAnswer, EngineOrigin } from "./engine-requests.ts";
export type { Feed, FeedEvent, Snapshot } from "./feed.ts";
export type { Settings, SettingsPatch } from "./settings.ts";

export interface DownloadsOptions extends SweepPolicy {
  layout: Download["layout"];
  /** Finished ones stay in `active()` this long (A7). */
  lingerMs: number;
  /** Settings that the command line or environment names; they beat the saved ones. */
  settings: SettingsPatch;
  /**
   * Source keys that every start asks for: their completed records are not swept. Not given, those that were last
   * given on this database count.
   */
  wanted?: readonly string[];
  /** Nothing is led but what `lead` names: what waits for others stays in the queue. */
  onlyNamed?: boolean;
}

const SETTINGS_KEY = "settings";
const WANTED_KEY = "wanted";
const MOST_TOLD = 1000;

/** The manager: all that an API family, the command line or a page may ask for. */
export class Downloads {
  readonly feed: Feed;
  readonly disk: DiskFiles;
  readonly engines: Engines;
  readonly engineRequests: EngineRequests;
  readonly #engineIds = new KeyedLock();
  readonly #changes = new KeyedLock();
  /** By id: a record that has ended is tried again, or removed, one after the other. */
  readonly #records = new KeyedLock();
  readonly #named = new Set<string>();
  readonly #tools: Tools;
  readonly #board: Board;
  readonly #runner: Runner;
  readonly #commands: Commands;
  readonly #sweeper: Sweeper;
  readonly #options: DownloadsOptions;
  #settings: Settings = DEFAULT_SETTINGS;

  private constructor(rooms: Rooms, options: DownloadsOptions) {
    this.engines = new Engines(rooms);
    const tools = { ...rooms, engines: this.engines };
    this.#tools = tools;
    this.#options = options;
    this.#board = new Board(tools.db, tools.clock, () => this.#settings.paused);
    this.feed = this.#board.feed;
    this.disk = new DiskFiles(tools, this.#records, (id) => this.#board.write(id, {}, {}));
    const only = options.onlyNamed ? this.#named : undefined;
    this.#runner = new Runner(tools, this.#board, () => this.#settings, only);
    this.#commands = new Commands(tools, this.#board, this.#runner);
    this.#sweeper = new Sweeper(tools, this.#board, options, this.#records);
    this.engineRequests = new EngineRequests(tools, this.#board, this.#engineIds, () => this.#defaults(), {
      start: (request) => this.#start(request),
      resume: (id) => this.resume(id),
      retry: (id, request) => this.#retry(id, request),
      find: (id) => this.find(id),
    });
  }

  /** Reads the saved settings, takes back what an earlier process left, and starts working. */
  static async open(tools: Rooms, options: DownloadsOptions): Promise<Downloads> {
    const downloads = new Downloads(tools, options);
    const saved = (await tools.db.setting(SETTINGS_KEY)) as SettingsPatch | undefined;
    downloads.#settings = applyPatch(savedSettings(saved ?? {}), options.settings);
    downloads.#runner.applySettings();
    const lastWanted = ((await tools.db.setting(WANTED_KEY)) as string[] | undefined) ?? [];
    const wanted = options.wanted ?? lastWanted;
    if (JSON.stringify(wanted) !== JSON.stringify(lastWanted)) await tools.db.saveSetting(WANTED_KEY, wanted);
    await downloads.#sweeper.forgetOrphans();
    await downloads.#runner.start();
    downloads.#sweeper.start(new Set(wanted));
    return downloads;
  }

  /** Gives running downloads back with their bytes synced. The database is closed by whoever opened it. */
  async close(): Promise<void> {
    this.#sweeper.stop();
    // An engine being created lets go with its download; then what runs is ended.
    await this.#runner.stop();
    await this.engines.close();
  }

  /** `created` is false when an equal unfinished one was there. Throws `invalid_*`, `model_id_conflict`, `unsupported_provider`. */
  start(request: StartRequest): Promise<{ download: Snapshot; created: boolean }> {
    return this.#forEngine(request.engine, () => this.#start(request));
  }

  async #start(request: StartRequest): Promise<{ download: Snapshot; created: boolean }> {
    try {
      const { row, created } = await admit(this.#tools, this.#board, this.#defaults(), request);
      return { download: await this.#show(row), created };
    } finally {
      // Also when it was refused: it may have been written before its error.
      this.#runner.wake();
    }
  }

  /** Source key of what this request asks for: equal requests have equal ones. Throws as `start` does; no I/O. */
  keyOf(request: StartRequest): string {
    return judge(this.#tools.sources, this.#options, request).ref.key;
  }

  /** What this request would ask for, and whether its provider lists what else is there. Throws as `start` does; no I/O. */
  read(request: StartRequest): { ref: SourceRef; modelId: string; lists: boolean } {
    const { source, ref } = judge(this.#tools.sources, this.#options, request);
    // A listing is asked of the provider's own server, whatever server the reference names.
    const lists = source.list !== undefined && ref.baseUrl === undefined;
    return { ref, modelId: request.modelId ?? source.defaultModelId(ref), lists };
  }

  /** By model id, then by UUID. */
  async find(id: string): Promise<Snapshot | undefined> {
    const row = await this.#row(id);
    return row && this.#show(row);
  }

  /** As `find`; throws `download_not_found`. */
  async get(id: string): Promise<Snapshot> {
    return this.#show(await this.#mustRow(id));
  }

  async list(filter: DownloadFilter, page: PageRequest): Promise<Page<Snapshot>> {
    const { items, nextCursor } = await this.#tools.db.list(filter, page);
    const places = await this.#tools.db.places(items.filter((r) => r.state === "queued").map((r) => r.id));
    const show = (row: Download) => ({ ...this.#board.snapshot(row), place: places.get(row.id) ?? null });
    return { items: items.map(show), nextCursor };
  }

  /** All records, oldest first, page by page and without their places, which cost more than all the rest of a long queue. */
  async *everything(): AsyncGenerator<Snapshot[]> {
    for await (const page of pagesOf(this.#tools.db, {})) yield page.map((row) => this.#board.snapshot(row));
  }

  /** All records of one source, newest first. */
  async ofSource(key: string): Promise<Download[]> {
    return (await this.#all({ sourceKey: key })).reverse();
  }

  /** Unfinished ones and finished ones that still linger (A7), oldest first. */
  async active(lingerMs = this.#options.lingerMs): Promise<Snapshot[]> {
    const { db, clock } = this.#tools;
    return activeOnes(db, lingerMs, clock.now(), (row) => this.#board.snapshot(row));
  }

  async files(id: string): Promise<File[]> {
    const row = await this.#mustRow(id);
    return (await this.#tools.db.files(row.id)).map((file) => this.#board.file(row, file));
  }

  /** Keeps the bytes. Pausing a paused one changes nothing; a finished one is `invalid_state`. */
  async pause(id: string): Promise<Outcome> {
    return this.#outcome(await this.#commands.pause(await this.#mustRow(id)));
  }

  /** Back to the queue. Resuming a running or queued one changes nothing; a finished one is `invalid_state`. */
  async resume(id: string): Promise<Outcome> {
    return this.#outcome(await this.#commands.resume(await this.#mustRow(id)));
  }

  /** Deletes the partial data (A6). A finished one never changes: `invalid_state` (A10). */
  async cancel(id: string): Promise<Outcome> {
    return this.#outcome(await this.#commands.cancel(await this.#mustRow(id)));
  }

  /**
   * Queues a failed or cancelled one again; it continues from what is still on disk. An equal `request` may bring
   * newer secrets for that.
   */
  async retry(id: string, request?: StartRequest): Promise<Outcome> {
    const { id: uuid, engine } = await this.#mustRow(id);
    return this.#forEngine(engine, () => this.#retry(uuid, request));
  }

  async #retry(id: string, request?: StartRequest): Promise<Outcome> {
    const { engine, source, layout, localPath } = await this.#mustRow(id);
    if (engine) await checkEngine(this.#tools, engine.engineId, source, layout, localPath ?? undefined);
    const secret = request && judge(this.#tools.sources, this.#options, request).secret;
    return this.#records.run(id, async () => {
      const row = await this.#mustRow(id);
      if (secret) await refreshSecret(this.#tools, row, secret);
      return this.#outcome(await this.#commands.retry(row));
    });
  }

  /** Where only what is named is led (`DownloadsOptions.onlyNamed`): from now on this one, too. */
  lead(id: string): void {
    this.#named.add(id);
    this.#runner.wake();
  }

  pauseAll(): Promise<BulkOutcome> {
    return this.#bulk(["queued", "downloading", "verifying"], (id) => this.pause(id));
  }

  resumeAll(): Promise<BulkOutcome> {
    return this.#bulk(["paused"], (id) => this.resume(id));
  }

  cancelAll(): Promise<BulkOutcome> {
    return this.#bulk(UNFINISHED, (id) => this.cancel(id));
  }

  /** Priority, place in the queue, rate and retry policy; all of it or nothing. What is not given stays as it is. */
  async change(id: string, change: DownloadChange): Promise<Snapshot> {
    const row = await this.#mustRow(id);
    return this.#changes.run(row.id, async () => this.#change(await this.#mustRow(row.id), change));
  }

  async #change(row: Download, change: DownloadChange): Promise<Snapshot> {
    const { priority, rateLimit } = change;
    if (isFinished(row.state)) throw refused("change", row, "it has ended");
    checkInteger("priority", priority, -1_000_000, 1_000_000);
    checkInteger("rate_limit_bps", rateLimit, 0, Number.MAX_SAFE_INTEGER);
    const retry = change.retry && this.#retryOf(row, change.retry);
    const move = change.move && (await this.#resolveMove(change.move));
    if (move && row.state !== "queued") throw refused("reorder", row, "it is not waiting in the queue");
    const given = {
      ...(priority !== undefined && { priority }),
      ...(rateLimit !== undefined && { rateLimit }),
    };
    const patch = { ...given, ...(retry && { retry }) };
    const written = await this.#board.write(row.id, { states: UNFINISHED }, patch);
    if (!written) throw refused("change", row, "it has just ended");
    if (rateLimit !== undefined) this.#tools.transfer.setDownloadRate(row.id, rateLimit);
    if (move && !(await this.#tools.db.move(row.id, move)))
      throw refused("reorder", row, "it, or the other one, is not waiting");
    if (move) this.feed.changed(await this.get(row.id), false);
    return this.get(row.id);
  }

  /** Over its own policy, else over the settings in force. */
  #retryOf({ retry }: Download, change: Partial<RetryPolicy>): RetryPolicy {
    return retry ? applyRetry(retry, change) : retryOver(this.#settings.retry, change);
  }

  /** Deletes a finished record, with `files` what it brought as well. */
  async forget(id: string, options: { files: boolean }): Promise<void> {
    const { id: uuid } = await this.#mustRow(id);
    if (await this.#sweeper.forget(uuid, options.files)) return;
    throw refused("remove", await this.#mustRow(uuid), "it has not ended; cancel it first");
  }

  /** The same for all finished records; answers how many. Throws when some could not be removed, after all the others. */
  async forgetAll(options: { files: boolean }): Promise<number> {
    return this.#sweeper.forgetAll(await this.#all({ states: FINISHED }), options.files);
  }

  settings(): Settings {
    return this.#settings;
  }

  /** In force at once and kept. Throws `invalid_request` naming the value; nothing is changed then. */
  changeSettings(patch: SettingsPatch): Promise<Settings> {
    // One after the other: each stands upon what the one before has saved, so that two clients lose nothing.
    return this.#changes.run(SETTINGS_KEY, async () => {
      const settings = applyPatch(this.#settings, patch);
      const isOther = settings.paused !== this.#settings.paused;
      await this.#tools.db.saveSetting(SETTINGS_KEY, settings);
      this.#settings = settings;
      this.#runner.applySettings();
      if (isOther) await this.#tellWaiting();
      return settings;
    });
  }

  /** What waits has another reason now, which stands in no row. Of a very long queue lists say it of the rest (F224). */
  async #tellWaiting(): Promise<void> {
    const { items } = await this.#tools.db.list({ states: ["queued"] }, { limit: MOST_TOLD });
    for (const row of items) this.feed.changed(this.#board.snapshot(row), false);
  }

  sources(): { name: string; description: string; lists: boolean }[] {
    const { sources } = this.#tools;
    return sources.map(({ name, description, list }) => ({ name, description, lists: list !== undefined }));
  }

  /** A repository's files for pickers; nothing is downloaded. */
  remoteFiles(provider: string, repo: string, revision?: string, token?: string): Promise<RemoteListing> {
    return listRemote(this.#tools, provider, { repo, revision, token });
  }

  storage(): Promise<Usage> {
    return this.#tools.storage.usage();
  }

  counts(): Promise<Record<State, number>> {
    return this.#tools.db.counts();
  }

  /** How many unfinished ones there are of each kind. */
  unfinished(): Promise<KindCount[]> {
    return this.#tools.db.unfinished();
  }

  #defaults = (): Defaults => ({ layout: this.#options.layout, retry: this.#settings.retry });

  /** What is to become one engine is admitted one after the other: each sees what the one before it has done. */
  #forEngine<T>(engine: Download["engine"] | undefined, work: () => Promise<T>): Promise<T> {
    return engine ? this.#engineIds.run(engine.engineId, work) : work();
  }

  async #row(id: string): Promise<Download | undefined> {
    return (await this.#tools.db.byModelId(id)) ?? (await this.#tools.db.get(id));
  }

  async #mustRow(id: string): Promise<Download> {
    const row = await this.#row(id);
    if (row) return row;
    throw new DownloadError("download_not_found", `No download found for model ID: ${id}`, {
      param: "model_id",
    });
  }

  async #show(row: Download): Promise<Snapshot> {
    const place = row.state === "queued" ? ((await this.#tools.db.place(row.id)) ?? null) : null;
    return { ...this.#board.snapshot(row), place };
  }

  #all(filter: DownloadFilter): Promise<Download[]> {
    return allRows(this.#tools.db, filter);
  }

  async #outcome({ row, previous }: Moved): Promise<Outcome> {
    return { download: await this.#show(row), previous };
  }

  async #resolveMove(move: QueueMove): Promise<QueueMove> {
    if ("position" in move) {
      checkInteger("position", move.position, 1, Number.MAX_SAFE_INTEGER);
      return move;
    }
    const other = await this.#mustRow("before" in move ? move.before : move.after);
    if (other.state !== "queued") throw refused("reorder by", other, "it is not waiting in the queue");
    return "before" in move ? { before: other.id } : { after: other.id };
  }

  async #bulk(states: readonly State[], command: (id: string) => Promise<Outcome>): Promise<BulkOutcome> {
    return bulk(await this.#all({ states }), command, (id) => this.find(id), this.#tools.log);
  }
}
