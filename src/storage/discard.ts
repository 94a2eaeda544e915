import { basename } from "node:path";
import type { Target } from "../core/ports.ts";
import { parentOf, type TargetPath, targetIn } from "../core/target-path.ts";
import type { Directories } from "./directories.ts";
import { ifThere, onDisk } from "./errors.ts";

/** From so many on it is cheaper to ask the folder which of them are there. */
const MANY = 100;

/** Removes partial files and folders left empty by them. Each folder is looked at once, however many there are (F225). */
export async function discardParts(targets: readonly Target[], directories: Directories): Promise<void> {
  const parts = new Map<TargetPath, Set<string>>();
  const folders = new Set<TargetPath>();
  for (const { partial, path } of targets) {
    const folder = parentOf(partial);
    const names = parts.get(folder) ?? new Set();
    parts.set(folder, names.add(basename(partial)));
    folders.add(folder).add(parentOf(path));
  }
  for (const [folder, names] of parts) await removeParts(folder, names, directories);
  // The deepest first: whatever lies in another one has gone by then.
  for (const folder of [...folders].sort((a, b) => b.length - a.length)) await directories.prune(folder);
}

async function removeParts(
  folder: TargetPath,
  names: ReadonlySet<string>,
  directories: Directories,
): Promise<void> {
  const { disk } = directories;
  // What has become a link to elsewhere holds nothing of ours (F198).
  if (await directories.leadsOut(folder)) return;
  for (const name of names.size < MANY ? names : await namesIn(folder, directories)) {
    if (!names.has(name)) continue;
    const path = targetIn(folder, name);
    await onDisk("remove", path, async () => {
      // Whatever else stands there is not ours to remove (F90, F92).
      if ((await ifThere(disk.lstat(path)))?.isFile()) await ifThere(disk.unlink(path));
    });
  }
}

const namesIn = async (folder: TargetPath, { disk }: Directories): Promise<string[]> =>
  (await onDisk("look at", folder, () => ifThere(disk.readdir(folder)))) ?? [];
