/** Asking for what may be there already: the same request twice is one download. */
import { type Download, isFinished } from "./download.ts";
import type { DownloadChange, Downloads } from "./downloads.ts";
import { DownloadError } from "./errors.ts";
import type { Snapshot } from "./feed.ts";
import type { StartRequest } from "./ports.ts";
import { hasPartial } from "./settle.ts";

export interface Ensured {
  download: Download;
  /** It has been complete before, whether or not its files are still there. */
  wasComplete: boolean;
}

/**
 * What is complete and still on disk is answered as it is, what is under way is joined, what failed or was cancelled
 * is tried again from what is left of it; anything else is started. Throws what `Downloads.start` throws.
 */
export async function ensure(downloads: Downloads, key: string, request: StartRequest): Promise<Ensured> {
  const known = await downloads.ofSource(key);
  const fitting = known.filter((one) => fits(one, request));
  const wasComplete = fitting.some((one) => one.state === "completed");
  if (known.every((one) => isFinished(one.state))) {
    for (const one of fitting)
      if (one.state === "completed" && (await downloads.disk.holds(one)))
        return { download: one, wasComplete };
    const last = fitting[0];
    const retried = last && last.state !== "completed" && (await retry(downloads, last, request));
    if (retried) return { download: retried, wasComplete };
  }
  return { download: (await downloads.start(request)).download, wasComplete };
}

/**
 * Starts a download; where the last one of the very same has failed and some of it is still there, that one goes on (A6):
 * who asks once more wants the rest, not all of it again beside the old part. Throws what `Downloads.start` throws.
 */
export async function startOrGoOn(downloads: Downloads, request: StartRequest): Promise<Snapshot> {
  const last = await brokenOff(downloads, request);
  const retried = last && (await retry(downloads, last, { ...request, modelId: undefined }));
  if (!retried) return (await downloads.start(request)).download;
  const { priority, rateLimit, retry: policy } = request;
  const change: DownloadChange = { priority, rateLimit, retry: policy };
  if (Object.values(change).every((value) => value === undefined)) return retried;
  try {
    return await downloads.change(retried.id, change);
  } catch (error) {
    // It has ended already: there is nothing left to be changed.
    if (error instanceof DownloadError && error.code === "invalid_state") return downloads.get(retried.id);
    throw error;
  }
}

/** The newest download of just this, when it has failed and left partial data behind. */
async function brokenOff(downloads: Downloads, request: StartRequest): Promise<Download | undefined> {
  const [last, ...others] = await downloads.ofSource(downloads.keyOf(request));
  if (last?.state !== "failed" || others.some(({ state }) => !isFinished(state))) return undefined;
  const isAsked = fits(last, request) && (last.engine === null) === (request.engine === undefined);
  return isAsked && hasPartial(await downloads.files(last.id)) ? last : undefined;
}

/** Undefined when its name now belongs to another download, or its record has just gone: then it starts anew. */
async function retry(
  downloads: Downloads,
  last: Download,
  request: StartRequest,
): Promise<Snapshot | undefined> {
  try {
    return (await downloads.retry(last.id, request)).download;
  } catch (error) {
    const isLost =
      error instanceof DownloadError && /^(model_id_conflict|download_not_found)$/.test(error.code);
    if (!isLost || request.modelId !== undefined) throw error;
    return undefined;
  }
}

/** Whether that earlier download is what is asked for now: the same names, the same engine. */
function fits(earlier: Download, { modelId, engine }: StartRequest): boolean {
  if (modelId !== undefined && earlier.modelId !== modelId) return false;
  // The kind of model may have been corrected by its header since (A23).
  const { modelType } = earlier;
  const asked = (spec: typeof engine | null) => JSON.stringify(spec && { ...spec, modelType });
  return engine === undefined || asked(earlier.engine) === asked(engine);
}
