/** Asking for what may be there already: the same request twice is one download. */
import { type Download, isFinished } from "./download.ts";
import type { Downloads } from "./downloads.ts";
import { DownloadError } from "./errors.ts";
import type { StartRequest } from "./ports.ts";

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

/** Undefined when its name now belongs to another download, or its record has just gone: then it starts anew. */
async function retry(
  downloads: Downloads,
  last: Download,
  request: StartRequest,
): Promise<Download | undefined> {
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
