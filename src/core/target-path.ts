import { basename, dirname, isAbsolute, join, normalize, sep } from "node:path";
import { DownloadError } from "./errors.ts";
import { showName } from "./paths.ts";

declare const targetPath: unique symbol;
/**
 * Where a file or folder of ours is, or is to be: absolute, with nothing left to resolve. Text becomes one through
 * {@link targetIn} or {@link knownTarget} only, and whatever opens, names or removes takes nothing else (F124-F134).
 * That no link leads out of it is looked at on the disk, each time (F198).
 */
export type TargetPath = string & { readonly [targetPath]: true };

/** Whether `path` is `folder` or lies below it; both absolute and normal. */
export function isInside(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

/** The constructor for names below a folder of ours, wherever they come from. Throws `invalid_path` when they lead out of it. */
export function targetIn(folder: TargetPath, ...names: string[]): TargetPath {
  const path = join(folder, ...names);
  if (isInside(path, folder) && !path.includes("\0")) return path as TargetPath;
  throw new DownloadError("invalid_path", `The path ${showName(join(...names))} leads out of ${folder}.`);
}

/** The constructor for what is ours: rows, and folders of the configuration. Rows can be damaged; throws `internal`. */
export function knownTarget(text: string): TargetPath {
  if (isAbsolute(text) && normalize(text) === text && !text.includes("\0")) return text as TargetPath;
  throw new DownloadError(
    "internal",
    `A path that was recorded is damaged: ${showName(text)} is none. Remove the download from the list and start it anew.`,
  );
}

/** The folder it lies in; the root of the file system lies in itself. */
export const parentOf = (path: TargetPath): TargetPath => dirname(path) as TargetPath;

/** A name in the same folder: that of `path` with something behind it. */
export const beside = (path: TargetPath, suffix: string): TargetPath =>
  targetIn(parentOf(path), basename(path) + suffix);
