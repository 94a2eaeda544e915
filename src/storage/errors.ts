import { DownloadError, type ErrorCode } from "../core/errors.ts";

/** Code and advice for what the system says (F79, F82, F84, F85, F90, F94, F122). */
const MEANING: Record<string, [ErrorCode, string]> = {
  ENOSPC: ["no_space", "the volume is full: make room, it goes on by itself"],
  EDQUOT: ["no_space", "the disk quota is used up: make room, it goes on by itself"],
  EROFS: ["read_only", "the file system is read-only"],
  EACCES: ["read_only", "this process may not write there: check owner and mode"],
  EPERM: ["read_only", "the system does not permit it: check owner, mode and attributes"],
  EFBIG: ["file_too_big", "this file system (or a limit of this process) does not allow files of that size"],
  ENODEV: ["volume_gone", "its device is gone: attach the volume again"],
  ENXIO: ["volume_gone", "its device is gone: attach the volume again"],
  ESTALE: ["volume_gone", "the network volume is gone: mount it again"],
  ENOTCONN: ["volume_gone", "the volume is not connected: mount it again"],
  ELOOP: ["tampered", "a link stands where a file of ours should be: remove it"],
  EISDIR: ["tampered", "a directory stands where a file of ours should be: remove it"],
  ENOTDIR: ["name_collision", "a file stands where a directory is needed: move it away"],
  EEXIST: ["name_collision", "something else has that name already: move it away"],
  ENAMETOOLONG: ["invalid_path", "the name or path is too long for this file system"],
  EMFILE: ["io", "this process has too many open files"],
  ENFILE: ["io", "this machine has too many open files"],
  EIO: ["io", "the disk reports an input/output error: check it"],
};

export const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error ? String(error.code) : "";

/** The system's refusal in our words; errors that are ours already pass. `doing` reads like "write", `path` is shown. */
export function diskError(error: unknown, doing: string, path: string): DownloadError {
  if (error instanceof DownloadError) return error;
  const code = codeOf(error);
  const [kind, text] = MEANING[code] ?? ["io", `the system says ${code || String(error)}`];
  return new DownloadError(kind, `Could not ${doing} ${path}: ${text}.`, { cause: error });
}

/** Runs one step on disk; what it throws comes out as `DownloadError`. */
export async function onDisk<T>(doing: string, path: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throw diskError(error, doing, path);
  }
}

/** The value, or undefined when nothing has that name. */
export async function ifThere<T>(value: Promise<T>): Promise<T | undefined> {
  try {
    return await value;
  } catch (error) {
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return undefined;
    throw error;
  }
}
