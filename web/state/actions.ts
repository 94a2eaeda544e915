/** What a reader can do. Each tells by a toast what went wrong, and resolves with whether it worked. */
import { signal } from "@preact/signals";
import { ApiError, locked, request } from "./api.ts";
import { confirm, toast } from "./notices.ts";
import { drop, engines, models, peek, put, settings, storage } from "./store.ts";
import type {
  ChangeBody,
  DownloadDetails,
  DownloadItem,
  EngineItem,
  ModelFile,
  RemoteListing,
  Settings,
  SourceItem,
  StartBody,
  State,
  Storage,
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

const working = signal<ReadonlySet<string>>(new Set());

/** Whether something is being done to this download, file or engine; reading it subscribes. */
export const busy = (id: string): boolean => working.value.has(id);

/** Runs one piece of work for an id; a second one at the same time is not begun. */
async function attempt<T>(id: string, work: () => Promise<T>): Promise<T | undefined> {
  if (working.value.has(id)) return undefined;
  working.value = new Set(working.value).add(id);
  try {
    return await work();
  } catch (error) {
    tell(error);
    return undefined;
  } finally {
    working.value = new Set([...working.value].filter((other) => other !== id));
  }
}

/** Says what went wrong; a lock shows itself. */
export function tell(error: unknown): void {
  if (error instanceof ApiError && error.status === 401 && locked.value) return;
  toast(error instanceof Error ? error.message : String(error), { kind: "bad" });
}

const path = (id: string): string => `/v1/downloads/${encodeURIComponent(id)}`;

/* ------------------------------------------------------------- one download */

const OPTIMISTIC: Record<Verb, State> = {
  pause: "paused",
  resume: "queued",
  cancel: "cancelled",
  retry: "queued",
};

async function run(verb: Verb, id: string): Promise<boolean> {
  const before = peek(id);
  if (before) put({ ...before, state: OPTIMISTIC[verb], speed: 0 });
  const done = await attempt(id, () => request<{ state: State }>("POST", `${path(id)}/${verb}`));
  if (done === undefined && before) put(before);
  return done !== undefined;
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
  const query = options.files ? "?files=true" : "";
  const done = await attempt(id, () => request("DELETE", `/v1/history/${encodeURIComponent(id)}${query}`));
  if (done !== undefined) drop(id);
  return done !== undefined;
}

/** Priority, rate limit, retry policy. */
export async function patch(id: string, change: ChangeBody): Promise<boolean> {
  const after = await attempt(id, () => request<DownloadItem>("PATCH", path(id), change));
  if (after) put(after);
  return after !== undefined;
}

/** Another place in the queue. */
export const move = (
  id: string,
  to: { before: string } | { after: string } | { position: number },
): Promise<boolean> => patch(id, to);

export const start = (body: StartBody): Promise<DownloadItem> =>
  request<DownloadItem>("POST", "/v1/downloads", body);

/** With its files. Throws `ApiError`, as everything that only reads. */
export const details = (id: string): Promise<DownloadDetails> => request("GET", path(id));

/* --------------------------------------------------------------------- many */

export interface BulkResult {
  done: number;
  failed: { id: string; reason: string }[];
}

/** The same verb for several; those whose state does not allow it are left out. */
export async function bulk(verb: Verb, ids: readonly string[]): Promise<BulkResult> {
  const result: BulkResult = { done: 0, failed: [] };
  for (const id of ids) {
    const state = peek(id)?.state;
    if (state === undefined || !may(verb, state)) continue;
    try {
      await request("POST", `${path(id)}/${verb}`);
      result.done += 1;
    } catch (error) {
      result.failed.push({ id, reason: error instanceof Error ? error.message : String(error) });
    }
  }
  return result;
}

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
  const query = options.files ? "?files=true" : "";
  return (await attempt("history", () => request("DELETE", `/v1/history${query}`))) !== undefined;
}

/* ------------------------------------------------------- settings and lists */

export async function changeSettings(
  change: Partial<Omit<Settings, "retry">> & { retry?: Partial<Settings["retry"]> },
) {
  const after = await attempt("settings", () => request<Settings>("PATCH", "/v1/settings", change));
  if (after) settings.value = after;
  return after !== undefined;
}

export async function loadSettings(): Promise<void> {
  settings.value = await request<Settings>("GET", "/v1/settings");
}

export async function loadStorage(): Promise<void> {
  storage.value = await request<Storage>("GET", "/v1/storage");
}

export async function loadEngines(): Promise<void> {
  engines.value = (await request<{ engines: EngineItem[] }>("GET", "/v1/engines")).engines;
}

/** All files on disk, page by page. */
export async function loadModels(): Promise<void> {
  interface Page {
    files: ModelFile[];
    next_cursor?: string;
  }
  const found: ModelFile[] = [];
  let cursor: string | undefined = "";
  while (cursor !== undefined) {
    const from: string = cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const page: Page = await request<Page>("GET", `/v1/files?limit=1000${from}`);
    found.push(...page.files);
    cursor = page.next_cursor;
  }
  models.value = found;
}

/* ------------------------------------------------------- engines and files */

const engine = (id: string): string => `/v1/engines/${encodeURIComponent(id)}`;

export const startEngine = (id: string): Promise<boolean> => onEngine(id, "POST", "/start");
export const stopEngine = (id: string): Promise<boolean> => onEngine(id, "POST", "/stop");
/** The record goes, the file stays. */
export const removeEngine = (id: string): Promise<boolean> => onEngine(id, "DELETE", "");

async function onEngine(id: string, method: "POST" | "DELETE", verb: string): Promise<boolean> {
  const done = await attempt(`engine:${id}`, () => request(method, engine(id) + verb));
  await loadEngines().catch(tell);
  return done !== undefined;
}

export const engineLog = async (id: string): Promise<string[]> =>
  (await request<{ lines: string[] }>("GET", `${engine(id)}/log`)).lines;

/** Reads the file again; undefined when that failed. */
export function verifyFile(id: number): Promise<Verification | undefined> {
  return attempt(`file:${id}`, () => request<Verification>("POST", `/v1/files/${id}/verify`));
}

export async function deleteFile(id: number): Promise<boolean> {
  const done = await attempt(`file:${id}`, () => request("DELETE", `/v1/files/${id}`));
  await loadModels().catch(tell);
  return done !== undefined;
}

/* ------------------------------------------------------------------ sources */

export const listSources = async (): Promise<SourceItem[]> =>
  (await request<{ sources: SourceItem[] }>("GET", "/v1/sources")).sources;

/** Files of a repository. The token goes in a header and is kept nowhere. */
export function listRemoteFiles(
  provider: string,
  repo: string,
  options: { revision?: string; token?: string } = {},
): Promise<RemoteListing> {
  const query = new URLSearchParams({ repo, ...(options.revision ? { revision: options.revision } : {}) });
  const headers: Record<string, string> = options.token ? { "X-Hub-Token": options.token } : {};
  return request("GET", `/v1/sources/${encodeURIComponent(provider)}/files?${query}`, undefined, headers);
}

/* ------------------------------------------------------------------ session */

/** Throws `ApiError` when the key is wrong. */
export async function login(key: string): Promise<void> {
  await request("POST", "/v1/session", { key });
  locked.value = false;
}

export async function logout(): Promise<void> {
  await request("DELETE", "/v1/session");
  locked.value = true;
}
