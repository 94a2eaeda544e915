/** What a reader can do. Each tells by a toast what went wrong, and resolves with whether it worked. */
import { type Signal, signal } from "@preact/signals";
import type { Lanes } from "../../src/client/lanes.ts";
import { ApiError, ConnectionError, locked, server } from "./api.ts";
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
export async function hold<T>(id: string, work: () => Promise<T>): Promise<T> {
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
export async function turn(id: string): Promise<void> {
  while (ends.has(id)) await ends.get(id);
}

const atOnce: Lanes = (work) => work();

/**
 * One command after the other: what a reader presses meanwhile is done next, if the state allows it by then. Shown as
 * done at once, whenever its lane lets it be asked for. False when it is not allowed; throws what the server refuses.
 */
export async function command(verb: Verb, id: string, lane = atOnce): Promise<boolean> {
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
