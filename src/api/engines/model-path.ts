import type { EngineOrigin } from "../../core/downloads.ts";
import { publicUrl } from "../../core/redact.ts";
import { parseRef } from "../../core/reference.ts";
import type { TargetPath } from "../../core/target-path.ts";
import { noSuchPath, notAUrl } from "./refusals.ts";

/** `scheme://…`, and `http:` however it goes on. */
const URL_LIKE = /^(?:[a-z][a-z0-9+.-]*:\/\/|https?:)/i;
/** `hf:org/name`, `ollama:name`: the schemes that people write references with. */
const REFERENCE = /^[a-z][a-z0-9+-]+:(?!\/\/)/i;
/** `org/name/folder/file.ext` without anything that only a path has. */
const BARE_HUB_FILE = /^(?![.~])[\w.-]+\/[\w.-]+(?:@[\w.-]+)?(?:\/[^/%\\]+)*\/[^/%\\]*[^./%\\]\.[^./%\\]+$/;

export const hasScheme = (path: string): boolean => URL_LIKE.test(path);

/**
 * What `model_path` names (R36): a URL, a hub reference or something inside the models directory, which wins over a
 * hub reference that is written the same. `locate` finds that. Throws an `EngineRefusal`, `invalid_request`.
 */
export async function readModelPath(
  path: string,
  locate: (path: string) => Promise<TargetPath | undefined>,
): Promise<EngineOrigin> {
  if (hasScheme(path)) {
    if (/^https?:\/\/[^/]/i.test(path)) return { request: { url: path } };
    throw notAUrl(
      "'model_path' is not a valid URL: only http:// and https:// URLs with a host can be downloaded.",
      "invalid_url",
    );
  }
  const there = await locate(path);
  if (there !== undefined) return { path: there };
  const isHubFile = BARE_HUB_FILE.test(path) && !path.split("/").includes("..");
  if (REFERENCE.test(path) || isHubFile) return { request: parseRef(path) };
  throw noSuchPath();
}

/** `model_path` as it may be shown: nothing of a query, which may be a signature. */
export const shownPath = (path: string): string => (hasScheme(path) ? publicUrl(path) : path);
