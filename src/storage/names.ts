import { createHash } from "node:crypto";
import { basename } from "node:path";
import { DownloadError } from "../core/errors.ts";
import { foldPath, PART_SUFFIX, showName } from "../core/paths.ts";
import { beside, parentOf, type TargetPath, targetIn } from "../core/target-path.ts";

/** Eight hex digits that tell the partial files of downloads apart; the same for one download in every run. */
export const shortId = (downloadId: string): string =>
  createHash("sha256").update(downloadId).digest("hex").slice(0, 8);

/** Name of the partial file beside its final name. */
export const partialName = (path: TargetPath, downloadId: string): TargetPath =>
  beside(path, `.${shortId(downloadId)}${PART_SUFFIX}`);

/** `model.gguf` -> `model-2.gguf`; a shard keeps the tail that its loader looks for: `m-00001-of-00003.gguf` -> `m-2-00001-of-00003.gguf`. */
export function numbered(path: TargetPath, n: number): TargetPath {
  const name = basename(path);
  const tail = /(?:-\d{5}-of-\d{5})?(?:\.tar)?\.[^./]+$/.exec(name);
  // A name that only begins with a dot has no extension.
  const at = tail && tail.index > 0 ? tail.index : name.length;
  return targetIn(parentOf(path), `${name.slice(0, at)}-${n}${name.slice(at)}`);
}

/**
 * Refuses lists in which two paths would be one file on a case-insensitive or normalising file system, or one path is
 * a folder of another (F123, F132). Throws `name_collision`.
 */
export function refuseCollisions(paths: readonly string[]): void {
  const files = new Map<string, string>();
  for (const path of paths) {
    const folded = foldPath(path);
    const other = files.get(folded);
    if (other !== undefined) throw collision(other, path);
    files.set(folded, path);
  }
  for (const path of paths) {
    const folded = foldPath(path);
    for (let slash = folded.indexOf("/"); slash >= 0; slash = folded.indexOf("/", slash + 1)) {
      const other = files.get(folded.slice(0, slash));
      if (other !== undefined) throw collision(other, path);
    }
  }
}

function collision(one: string, other: string): DownloadError {
  return new DownloadError(
    "name_collision",
    `${showName(one)} and ${showName(other)} of this download would be one file on many systems: download them apart, by filename or include.`,
  );
}
