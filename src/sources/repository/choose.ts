import { type Digest, knownDigest, type SourceRef } from "../../core/download.ts";
import { DownloadError } from "../../core/errors.ts";
import { parseRepoPath, type RepoPath, showName } from "../../core/paths.ts";
import type { Manifest, RemoteFile } from "../../core/ports.ts";
import { quantizationOf, shardOf } from "../gguf-names.ts";
import { compilePatterns } from "../patterns.ts";

/** One file of a repository as its hub tells it. */
export interface RepoEntry {
  path: string;
  size: number | null;
  digest: Digest | null;
}

/** The files asked for by name, in that order. Throws `entry_not_found` for one that is not there. */
export function inOrder<E extends RepoEntry>(ref: SourceRef, entries: readonly E[]): E[] {
  return (ref.files ?? []).map((path) => {
    const found = entries.find((entry) => entry.path === path);
    if (found) return found;
    throw new DownloadError(
      "entry_not_found",
      `${ref.repo} at revision ${ref.revision} has no file ${showName(path)}: check its name and its folder.`,
    );
  });
}

/** The files that the patterns choose. Throws `entry_not_found` when there are none, `invalid_path` for unsafe names. */
export function select<E extends RepoEntry>(ref: SourceRef, entries: readonly E[]): E[] {
  const wanted = ref.include ? compilePatterns(ref.include, "include") : () => true;
  const unwanted = ref.exclude ? compilePatterns(ref.exclude, "exclude") : () => false;
  const chosen = entries.filter(({ path }) => wanted(path) && !unwanted(path));
  if (chosen.length === 0) {
    const patterns = ref.include || ref.exclude ? " that the patterns choose" : "";
    throw new DownloadError(
      "entry_not_found",
      `${ref.repo} at revision ${ref.revision} has no files${patterns}.`,
    );
  }
  return chosen;
}

/**
 * The list of files; `locatorOf` says where one is, pinned to what was listed. Throws `invalid_path` for names that are
 * not safe to write, `checksum` when the client wants other content than the hub has.
 */
export function manifest<E extends RepoEntry>(
  ref: SourceRef,
  chosen: readonly E[],
  locatorOf: (entry: E) => string,
): Pick<Manifest, "files" | "warnings"> {
  const warnings: string[] = [];
  const files = chosen.map((entry) => ({
    path: parseRepoPath(entry.path),
    size: entry.size,
    digest: promised(ref, entry),
    locator: locatorOf(entry),
  }));
  const shard = ref.files?.length === 1 ? shardOf(ref.files[0]!) : undefined;
  if (shard && shard.count > 1)
    warnings.push(
      `This is part ${shard.number} of ${shard.count}; the model needs all of them: include ${shard.set}`,
    );
  return { files, ...(warnings.length > 0 ? { warnings } : {}) };
}

/** The client's own digest counts first; where hub and client promise different content nothing could ever fit. */
function promised(ref: SourceRef, entry: RepoEntry): Digest | null {
  if (!ref.digest) return entry.digest;
  const wanted = knownDigest(ref.digest);
  if (entry.digest?.algorithm === "sha256" && entry.digest.hex !== wanted.hex)
    throw new DownloadError(
      "checksum",
      `${entry.path}: the hub has content with SHA-256 ${entry.digest.hex}, not ${wanted.hex} as asked for.`,
    );
  return wanted;
}

/** The files as pickers show them. Names that could not be downloaded anyway are not offered. */
export function remoteFiles(entries: readonly RepoEntry[]): RemoteFile[] {
  return entries.filter(isSafe).map(remoteFile);
}

function isSafe(entry: RepoEntry): entry is RepoEntry & { path: RepoPath } {
  try {
    return parseRepoPath(entry.path) === entry.path;
  } catch {
    return false;
  }
}

function remoteFile({ path, size, digest }: RepoEntry & { path: RepoPath }): RemoteFile {
  const shard = shardOf(path);
  return {
    path,
    size,
    digest,
    quantization: quantizationOf(path),
    shardSet: shard?.set ?? null,
    shard: shard ? { number: shard.number, count: shard.count } : null,
  };
}
