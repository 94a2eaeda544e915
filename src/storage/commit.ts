import { constants } from "node:fs";
import { DownloadError } from "../core/errors.ts";
import type { PartFile } from "../core/ports.ts";
import { beside, parentOf, type TargetPath } from "../core/target-path.ts";
import type { Directories } from "./directories.ts";
import type { Disk } from "./disk.ts";
import { codeOf, ifThere, onDisk } from "./errors.ts";
import { DiskPart } from "./part-file.ts";

/** Where the bytes of a partial file go. */
export interface Move {
  partial: TargetPath;
  final: TargetPath;
  /** True for names that are the digest of their content: replacing one loses nothing. */
  replace: boolean;
  /** Mode of the final file. */
  mode: number;
}

/** File systems without hard links. */
const NO_LINKS = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK", "EINVAL"]);

/**
 * Sync, then the final name, then the directory (F98, F100). Doing it again after it was interrupted anywhere is
 * harmless (F97). Throws `name_collision` when another file has the name (F91), `tampered` when the partial file is
 * not the one that was written (F92).
 */
export async function commitPart(move: Move, part: PartFile, directories: Directories): Promise<void> {
  const { disk } = directories;
  await part.sync();
  const dir = parentOf(move.final);
  if (dir !== parentOf(move.partial)) await directories.ensure(dir);
  await onDisk("give its final name to", move.final, async () => {
    if (!(await isMoved(directories, move, part))) {
      if (part instanceof DiskPart) await part.chmod(move.mode);
      await giveName(disk, move);
    }
  });
  await directories.sync(dir);
}

/** Whether the final name is there already from an interrupted commit of the same file. */
async function isMoved(directories: Directories, { partial, final }: Move, part: PartFile): Promise<boolean> {
  const { disk } = directories;
  const known = part instanceof DiskPart ? part.identity : undefined;
  const isOurs = (found: { dev: number; ino: number; isFile(): boolean }) =>
    found.isFile() && (known === undefined || (found.ino === known.ino && found.dev === known.dev));
  const there = await ifThere(disk.lstat(partial));
  if (there) {
    if (isOurs(there)) return false;
    throw new DownloadError(
      "tampered",
      `${partial} was replaced by something else while it was in use: remove it.`,
    );
  }
  const done = await ifThere(disk.lstat(final));
  if (done && isOurs(done)) return true;
  await directories.rootOf(parentOf(partial)).confirm();
  throw new DownloadError("tampered", `${partial} was removed while it was in use.`);
}

async function giveName(disk: Disk, move: Move): Promise<void> {
  const { partial, final, replace } = move;
  try {
    if (replace) await disk.rename(partial, final);
    else await linkName(disk, partial, final);
  } catch (error) {
    if (codeOf(error) !== "EXDEV") throw error;
    await copyOver(disk, move);
  }
}

/** A hard link is refused by the system itself when the name exists, so nothing can come in between (F91). */
async function linkName(disk: Disk, partial: TargetPath, final: TargetPath): Promise<void> {
  try {
    await disk.link(partial, final);
  } catch (error) {
    if (codeOf(error) === "EEXIST") return settleExisting(disk, partial, final);
    if (!NO_LINKS.has(codeOf(error))) throw error;
    if (await ifThere(disk.lstat(final))) return settleExisting(disk, partial, final);
    return disk.rename(partial, final);
  }
  await disk.unlink(partial);
}

/** After a crash between link and unlink both names mean one file; anything else there is somebody else's. */
async function settleExisting(disk: Disk, partial: TargetPath, final: TargetPath): Promise<void> {
  const [ours, theirs] = await Promise.all([disk.lstat(partial), disk.lstat(final)]);
  if (ours.ino === theirs.ino && ours.dev === theirs.dev) return disk.unlink(partial);
  throw new DownloadError(
    "name_collision",
    `${final} appeared while it was being downloaded, and is not overwritten: move it away, then retry.`,
  );
}

/** The final directory is on another file system: copy, sync, name, and only then let go of the partial file (F95). */
async function copyOver(disk: Disk, { partial, final, replace, mode }: Move): Promise<void> {
  const copy = beside(final, ".copy.part");
  await ifThere(disk.unlink(copy));
  await disk.copyFile(partial, copy, constants.COPYFILE_EXCL);
  try {
    // A link put in its place meanwhile is refused, not followed (F198).
    const fd = await disk.open(copy, constants.O_RDWR | (constants.O_NOFOLLOW ?? 0));
    try {
      disk.fchmodSync(fd, mode);
      await disk.fdatasync(fd);
    } finally {
      await disk.close(fd);
    }
    if (replace) await disk.rename(copy, final);
    else await linkName(disk, copy, final);
  } catch (error) {
    await ifThere(disk.unlink(copy));
    throw error;
  }
  await disk.unlink(partial);
}
