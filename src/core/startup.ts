/** Downloads that the configuration asks for at every start (R138a). */
import { type Defaults, judge } from "./admission.ts";
import type { Downloads } from "./downloads.ts";
import { ensure } from "./ensure.ts";
import { DownloadError, toDownloadError } from "./errors.ts";
import type { Log, Source, StartRequest } from "./ports.ts";

/** One of them, judged. */
export interface StartupEntry {
  /** Counted from 1, as people count what they have written. */
  number: number;
  request: StartRequest;
  /** Source key: the same for equal requests, in every run. */
  key: string;
}

/** Names the entry, and the key where one is to blame (F118). */
export function badEntry(number: number, key: string | null | undefined, message: string): DownloadError {
  const where = key ? `startup entry ${number}, ${key}` : `startup entry ${number}`;
  return new DownloadError("invalid_request", `${where}: ${message}`, key ? { param: key } : {});
}

/** Whether all of them can be started and none stands in another's way. No I/O. Throws `invalid_request`. */
export function judgeStartup(
  sources: readonly Source[],
  defaults: Defaults,
  requests: readonly StartRequest[],
): StartupEntry[] {
  const entries: StartupEntry[] = [];
  for (const [i, request] of requests.entries()) {
    const number = i + 1;
    const key = keyOf(sources, defaults, request, number);
    const same = entries.find((other) => other.key === key);
    if (same)
      throw badEntry(number, null, `the same download as entry ${same.number}; leave one of them out`);
    const { modelId } = request;
    const namesake = entries.find((other) => modelId !== undefined && other.request.modelId === modelId);
    if (namesake) throw badEntry(number, "model_id", `entry ${namesake.number} has it already`);
    entries.push({ number, request, key });
  }
  return entries;
}

function keyOf(
  sources: readonly Source[],
  defaults: Defaults,
  request: StartRequest,
  number: number,
): string {
  try {
    return judge(sources, defaults, request).ref.key;
  } catch (thrown) {
    const { param, message } = toDownloadError(thrown);
    throw badEntry(number, param, message);
  }
}

/**
 * Starts the engines that ran with the last process, then what is neither on its way nor there. One that cannot be
 * started is told in the log and keeps no other from starting. Stops between two of them when `signal` says so.
 */
export async function beginStartup(
  downloads: Downloads,
  entries: readonly StartupEntry[],
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  // Does not wait until they are ready.
  await downloads.engines.open();
  const engines: Promise<void>[] = [];
  for (const entry of entries) {
    if (signal.aborted) break;
    const refused = (thrown: unknown): void => {
      const { code, message } = toDownloadError(thrown);
      log.error("a startup download was not started", { entry: entry.number, code, error: message });
    };
    try {
      const { modelId, state } = (await ensure(downloads, entry.key, entry.request)).download;
      log.info("startup download", { entry: entry.number, model_id: modelId, state });
      // One engine may take long to load; no other entry waits for it.
      if (state === "completed") engines.push(ensureEngine(downloads, entry.request).catch(refused));
    } catch (thrown) {
      refused(thrown);
    }
  }
  await Promise.all(engines);
}

/** What was brought before may have lost its engine since; it is named in the configuration, so it is made again. */
async function ensureEngine(downloads: Downloads, request: StartRequest): Promise<void> {
  const { engine, ...rest } = request;
  if (engine === undefined || (await downloads.engines.get(engine.engineId))) return;
  await downloads.engineRequests.add(engine, { request: rest });
}
