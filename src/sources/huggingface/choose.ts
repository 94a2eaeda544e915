import type { Digest, SourceRef } from "../../core/download.ts";
import { DownloadError } from "../../core/errors.ts";
import { parseRepoPath, showName } from "../../core/paths.ts";
import type { Manifest } from "../../core/ports.ts";
import { shardOf } from "../gguf-names.ts";
import { compilePatterns } from "../patterns.ts";
import type { HubEntry } from "./client.ts";
import { encodePath } from "./reference.ts";

/** The files asked for by name, in that order. Throws `entry_not_found` for one that is not there. */
export function inOrder(ref: SourceRef, entries: readonly HubEntry[]): HubEntry[] {
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
export function select(ref: SourceRef, entries: readonly HubEntry[]): HubEntry[] {
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

/** The list of files, each with a locator pinned to the commit. Throws `invalid_path` for names that are not safe to write. */
export function manifest(
  ref: SourceRef,
  repo: string,
  commit: string,
  chosen: readonly HubEntry[],
): Manifest {
  const warnings: string[] = [];
  const files = chosen.map((entry) => {
    const path = parseRepoPath(entry.path);
    const locator = `${repo}/resolve/${commit}/${encodePath(path)}`;
    return { path, size: entry.size, digest: promised(ref, entry), locator };
  });
  const shard = ref.files?.length === 1 ? shardOf(ref.files[0]!) : undefined;
  if (shard && shard.count > 1)
    warnings.push(
      `This is part ${shard.number} of ${shard.count}; the model needs all of them: include ${shard.set}`,
    );
  return { repo, commit, files, ...(warnings.length > 0 ? { warnings } : {}) };
}

/** The client's own digest counts first; where hub and client promise different content nothing could ever fit. */
function promised(ref: SourceRef, entry: HubEntry): Digest | null {
  if (!ref.digest) return entry.digest;
  if (entry.digest?.algorithm === "sha256" && entry.digest.hex !== ref.digest.hex)
    throw new DownloadError(
      "checksum",
      `${entry.path}: the hub has content with SHA-256 ${entry.digest.hex}, not ${ref.digest.hex} as asked for.`,
    );
  return ref.digest;
}
