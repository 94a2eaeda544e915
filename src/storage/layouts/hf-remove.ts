import { dirname, join, relative, resolve } from "node:path";
import { knownTarget, parentOf, type TargetPath, targetIn } from "../../core/target-path.ts";
import type { Directories } from "../directories.ts";
import type { Disk } from "../disk.ts";
import { ifThere, onDisk } from "../errors.ts";
import type { Root } from "../roots.ts";

/**
 * Takes a file out of a snapshot: its name, then its content in `blobs/` unless another snapshot uses it, then what
 * is left empty, with the refs to it. Nothing goes behind a folder that is a link out of the cache (F198). A blob that
 * is itself a link goes as a link: what it leads to is shared with other repositories and swept by its owner
 * (protocols/huggingface.md §7 rule 13).
 */
export async function removeFromCache(root: Root, directories: Directories, path: TargetPath): Promise<void> {
  const [repo = "", kind, commit = ""] = relative(root.path, path).split("/");
  const folder = targetIn(root.path, repo);
  const blobs = targetIn(folder, "blobs");
  const { disk } = directories;
  await onDisk("remove", path, async () => {
    const there = await ifThere(disk.lstat(path));
    const blob = there?.isSymbolicLink()
      ? knownTarget(resolve(dirname(path), await disk.readlink(path)))
      : undefined;
    if (there && !there.isDirectory()) await disk.unlink(path);
    if (blob !== undefined && parentOf(blob) === blobs && !(await directories.leadsOut(blobs)))
      if (!(await isUsed(disk, folder, blob))) await ifThere(disk.unlink(blob));
    await directories.prune(parentOf(path));
    if (kind !== "snapshots") return;
    const snapshot = join(folder, "snapshots", commit);
    if ((await ifThere(disk.lstat(snapshot))) === undefined)
      await dropRefs(directories, targetIn(folder, "refs"), commit);
    await directories.prune(blobs);
  });
}

/** Whether any snapshot still has a link to this blob. */
async function isUsed(disk: Disk, folder: string, blob: string): Promise<boolean> {
  const snapshots = join(folder, "snapshots");
  const entries = (await ifThere(disk.readdir(snapshots, { recursive: true, withFileTypes: true }))) ?? [];
  for (const entry of entries) {
    if (!entry.isSymbolicLink()) continue;
    const target = await ifThere(disk.readlink(join(entry.parentPath, entry.name)));
    if (target !== undefined && resolve(entry.parentPath, target) === blob) return true;
  }
  return false;
}

/** Refs to a snapshot that is gone would make the whole repository corrupt to others (rule 3). */
async function dropRefs(directories: Directories, refs: TargetPath, commit: string): Promise<void> {
  if (await directories.leadsOut(refs)) return;
  const { disk } = directories;
  const entries = (await ifThere(disk.readdir(refs, { recursive: true, withFileTypes: true }))) ?? [];
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const path = targetIn(refs, relative(refs, join(entry.parentPath, entry.name)));
    if ((await disk.readFile(path, "utf8")).trim() !== commit) continue;
    await disk.unlink(path);
    await directories.prune(parentOf(path));
  }
}
