/** What a reader can do. Each tells by a toast what went wrong, and resolves with whether it worked. */
import { type Signal, signal } from "@preact/signals";
import type { Lanes } from "../../src/client/lanes.ts";
import { ApiError, ConnectionError, locked, request, server } from "./api.ts";
import { background } from "./background.ts";
import { forget } from "./connection.ts";
import { confirm, toast } from "./notices.ts";
import { hasSession } from "./session.ts";
import { clear, drop, engines, models, peek, pretend, put, settings, storage } from "./store.ts";
import type {
  ChangeBody,
  DownloadDetails,
  DownloadItem,
  ModelFile,
  RemoteListing,
  Settings,
  SettingsChange,
  SourceItem,
  StartBody,
  State,
  Verb,
  Verification,
} from "./types.ts";

/** States each verb is allowed in. */
export const ALLOWED: Record<Verb, readonly State[]> = {
  pause: ["queued", "downloading", "verifying"],
  resume: ["paused"],
  cancel: ["queued", "downloading", "verifying", "paused", "creating_engine"],
  retry: ["failed", "cancelled"],
};

export const may = (verb: Verb, state: State): boolean => ALLOWED[verb].includes(state);

const working = new Map<string, Signal<boolean>>();

function workOn(id: string): Signal<boolean> {
  const known = working.get(id) ?? signal(false);
  working.set(id, known);
  return known;
}

/** Whether something is being done to this download, file or engine; reading it subscribes. */
export const busy = (id: string): boolean => workOn(id).value;

const nothing = (): void => {};
/** Ends of what is being done now; never reject. */
const ends = new Map<string, Promise<void>>();

/** Runs one piece of work for an id; a second one at the same time is not begun. Undefined when it failed. */
export async function attempt<T>(id: string, work: () => Promise<T>): Promise<T | undefined> {
  const isBusy = workOn(id);
  if (isBusy.peek()) return undefined;
  try {
    return await hold(id, work);
  } catch (error) {
    tell(error);
    return undefined;
  }
}

/** The same for what nothing else is being done to; throws as the work does. */
async function hold<T>(id: string, work: () => Promise<T>): Promise<T> {
  const isBusy = workOn(id);
  isBusy.value = true;
  try {
    const task = work();
    ends.set(id, task.then(nothing, nothing));
    return await task;
  } finally {
    isBusy.value = false;
    ends.delete(id);
  }
}

/** Says what went wrong; a lock shows itself. */
export function tell(error: unknown): void {
  if (error instanceof ApiError && error.status === 401 && locked.value) return;
  const isSilence = error instanceof ConnectionError;
  toast(error instanceof Error ? error.message : String(error), { kind: "bad", isSilence });
}

/* ------------------------------------------------------------- one download */

/** What a verb will make of it. */
const OPTIMISTIC: Record<Verb, State> = {
  pause: "paused",
  resume: "queued",
  cancel: "cancelled",
  retry: "queued",
};
/** A command is done when it is answered (A21); the event that says so may be a moment behind. */
const BEHIND_MS = 1_000;

/** Until nothing is being done to it. */
async function turn(id: string): Promise<void> {
  while (ends.has(id)) await ends.get(id);
}

const atOnce: Lanes = (work) => work();

/**
 * One command after the other: what a reader presses meanwhile is done next, if the state allows it by then. Shown as
 * done at once, whenever its lane lets it be asked for. False when it is not allowed; throws what the server refuses.
 */
async function command(verb: Verb, id: string, lane = atOnce): Promise<boolean> {
  if (ends.has(id)) await turn(id);
  const state = peek(id)?.state;
  if (state === undefined || !may(verb, state)) return false;
  // One that begins meanwhile, in the place of others that are paused, is still to be paused.
  const truth = pretend(id, { state: OPTIMISTIC[verb], speed: 0, connections: 0 }, (now) => may(verb, now));
  try {
    await hold(id, () => lane(async () => server.downloads[verb](id)));
    setTimeout(truth, BEHIND_MS);
    return true;
  } catch (error) {
    truth();
    throw error;
  }
}

async function run(verb: Verb, id: string): Promise<boolean> {
  try {
    return await command(verb, id);
  } catch (error) {
    tell(error);
    return false;
  }
}

export const pause = (id: string): Promise<boolean> => run("pause", id);
export const resume = (id: string): Promise<boolean> => run("resume", id);
export const retry = (id: string): Promise<boolean> => run("retry", id);

/** Asks first, unless told not to; afterwards the toast offers to start it again. */
export async function cancel(id: string, options: { ask?: boolean } = {}): Promise<boolean> {
  const name = peek(id)?.model_id ?? id;
  const isSure =
    options.ask === false ||
    (await confirm({
      title: `Cancel ${name}?`,
      text: "What has arrived so far is deleted.",
      yes: "Cancel download",
      no: "Keep it",
      danger: true,
    }));
  if (!isSure || !(await run("cancel", id))) return false;
  toast(`${name} cancelled`, { action: { label: "Start again", run: () => void retry(id) } });
  return true;
}

/** Takes a finished record out of the list; `files` deletes what is on disk, too. */
export async function remove(id: string, options: { files?: boolean } = {}): Promise<boolean> {
  const done = await attempt(id, () => server.history.remove(id, options));
  if (done !== undefined) drop(id);
  return done !== undefined;
}

/** Priority, rate limit, retry policy. */
export async function patch(id: string, change: ChangeBody): Promise<boolean> {
  const after = await attempt(id, () => server.downloads.change(id, change));
  if (after) put(after);
  return after !== undefined;
}

/** Another place in the queue. */
export const move = (
  id: string,
  to: { before: string } | { after: string } | { position: number },
): Promise<boolean> => patch(id, to);

/** Throws `ApiError`. */
export async function start(body: StartBody): Promise<DownloadItem> {
  const { files: _, ...download } = await server.downloads.start(body);
  put(download);
  return download;
}

/** With its files. Throws `ApiError`, as everything that only reads. */
export const details = (id: string): Promise<DownloadDetails> => server.downloads.get(id);

/* --------------------------------------------------------------------- many */

export interface BulkResult {
  done: number;
  failed: { id: string; reason: string }[];
}

const SELECTION = "selection";

/** Whether something is being done to several; reading it subscribes. */
export const isBulkBusy = (): boolean => busy(SELECTION);

/** Begins the work for all; undefined when other work for several is under way. */
const many = (
  ids: readonly string[],
  work: (id: string) => Promise<boolean>,
): Promise<BulkResult | undefined> =>
  attempt(SELECTION, async () => {
    const result: BulkResult = { done: 0, failed: [] };
    const one = async (id: string): Promise<void> => {
      try {
        if (await work(id)) result.done += 1;
      } catch (error) {
        result.failed.push({ id, reason: error instanceof Error ? error.message : String(error) });
      }
    };
    await Promise.all(ids.map(one));
    return result;
  });

/** The same verb for several; those whose state does not allow it are left out. */
export const bulk = (verb: Verb, ids: readonly string[]): Promise<BulkResult | undefined> =>
  verb === "pause" || verb === "cancel"
    ? stopMany(verb, ids)
    : many(ids, (id) => command(verb, id, background));

/** From the end of the queue, what runs at last: a place that becomes free would start the next one of them. */
function stopMany(verb: "pause" | "cancel", ids: readonly string[]): Promise<BulkResult | undefined> {
  const place = (id: string): number => peek(id)?.position ?? 0;
  const waiting = new Set(ids.filter((id) => place(id) > 0));
  const queue = Promise.withResolvers<void>();
  if (waiting.size === 0) queue.resolve();
  const afterQueue: Lanes = async (work) => {
    await queue.promise;
    return background(work);
  };
  return many(
    ids.toSorted((a, b) => place(b) - place(a)),
    async (id) => {
      if (!waiting.has(id)) return command(verb, id, afterQueue);
      try {
        return await command(verb, id, background);
      } finally {
        waiting.delete(id);
        if (waiting.size === 0) queue.resolve();
      }
    },
  );
}

/** Takes finished records out of the list; the files stay. */
export const bulkRemove = (ids: readonly string[]): Promise<BulkResult | undefined> =>
  many(ids, async (id) => {
    await turn(id);
    await hold(id, () => background(() => server.history.remove(id)));
    drop(id);
    return true;
  });

/** The same priority or limit for several. */
export const bulkPatch = (
  ids: readonly string[],
  change: { priority: number } | { rate_limit_bps: number },
): Promise<BulkResult | undefined> =>
  many(ids, async (id) => {
    await turn(id);
    const truth = pretend(id, change, () => true);
    try {
      put(await hold(id, () => background(() => server.downloads.change(id, change))));
    } finally {
      truth();
    }
    return true;
  });

export const pauseAll = (): Promise<boolean> => all("pause", "paused");
export const resumeAll = (): Promise<boolean> => all("resume", "resumed");
/** Asks first (R116). */
export async function cancelAll(): Promise<boolean> {
  const isSure = await confirm({
    title: "Cancel all downloads?",
    text: "What has arrived of them so far is deleted.",
    yes: "Cancel all",
    no: "Keep them",
    danger: true,
  });
  return isSure && all("cancel", "cancelled");
}

async function all(verb: "pause" | "resume" | "cancel", past: string): Promise<boolean> {
  interface Answer {
    summary: Record<string, number>;
  }
  const answer = await attempt("all", () => request<Answer>("POST", `/v1/downloads/${verb}`));
  if (!answer) return false;
  const done = Object.entries(answer.summary).find(([name]) => name.startsWith("successful_"))?.[1] ?? 0;
  toast(`${done} ${done === 1 ? "download" : "downloads"} ${past}`);
  return true;
}

export async function clearHistory(options: { files?: boolean } = {}): Promise<boolean> {
  return (await attempt("history", () => server.history.clear(options))) !== undefined;
}

/* ------------------------------------------------------- settings and lists */

/** A refusal is told, unless `isShown` shows it where it belongs. */
export async function changeSettings(
  change: SettingsChange,
  isShown: (refusal: ApiError) => boolean = () => false,
): Promise<boolean> {
  const after = await attempt("settings", () =>
    server.settings.change(change).catch((error: unknown) => {
      if (error instanceof ApiError && isShown(error)) return undefined;
      throw error;
    }),
  );
  if (after) settings.value = after as Settings;
  return after !== undefined;
}

export async function loadSettings(): Promise<void> {
  settings.value = (await server.settings.get()) as Settings;
}

export async function loadStorage(): Promise<void> {
  storage.value = await server.service.storage();
}

export async function loadEngines(): Promise<void> {
  engines.value = (await server.engines.list()).engines;
}

/** All files on disk, page by page. */
export async function loadModels(): Promise<void> {
  const found: ModelFile[] = [];
  let cursor: string | undefined;
  do {
    const page = await server.files.list({ limit: 1000, ...(cursor === undefined ? {} : { cursor }) });
    found.push(...page.files);
    cursor = page.next_cursor;
  } while (cursor !== undefined);
  models.value = found;
}

/* -------------------------------------------------------- engines and files */

export const startEngine = (id: string): Promise<boolean> => onEngine(id, () => server.engines.start(id));
export const stopEngine = (id: string): Promise<boolean> => onEngine(id, () => server.engines.stop(id));
/** The record goes, the file stays. */
export const removeEngine = (id: string): Promise<boolean> => onEngine(id, () => server.engines.remove(id));

async function onEngine(id: string, work: () => Promise<unknown>): Promise<boolean> {
  const done = await attempt(`engine:${id}`, work);
  await loadEngines().catch(tell);
  return done !== undefined;
}

export const engineLog = async (id: string): Promise<string[]> => (await server.engines.log(id)).lines;

/** Reads the file again; undefined when that failed. */
export const verifyFile = (id: number): Promise<Verification | undefined> =>
  attempt(`file:${id}`, () => server.files.verify(id));

export async function deleteFile(id: number): Promise<boolean> {
  const done = await attempt(`file:${id}`, () => server.files.remove(id));
  await loadModels().catch(tell);
  return done !== undefined;
}

/* ------------------------------------------------------------------ sources */

export const listSources = async (): Promise<SourceItem[]> => (await server.hub.sources()).sources;

/** Files of a repository. The token goes in a header and is kept nowhere. */
export const listRemoteFiles = (
  provider: string,
  repo: string,
  options: { revision?: string; token?: string; signal?: AbortSignal } = {},
): Promise<RemoteListing> => server.hub.files(provider, repo, options);

/* ------------------------------------------------------------------ session */

/** Throws `ApiError` when the key is wrong. */
export async function login(key: string): Promise<void> {
  await server.session.open(key);
  hasSession.value = true;
  locked.value = false;
}

/** Nothing stays on the page. */
export async function logout(): Promise<void> {
  await server.session.close();
  hasSession.value = false;
  locked.value = true;
  forget();
  clear();
}
