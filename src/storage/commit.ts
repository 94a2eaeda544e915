import { constants } from "node:fs";
import { copyFile, link, lstat, open, rename, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { DownloadError } from "../core/errors.ts";
import type { PartFile } from "../core/ports.ts";
import type { Directories } from "./directories.ts";
import { codeOf, ifThere, onDisk } from "./errors.ts";
import { DiskPart } from "./part-file.ts";

/** Where the bytes of a partial file go. */
export interface Move {
  partial: string;
  final: string;
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
  await part.sync();
  const dir = dirname(move.final);
  if (dir !== dirname(move.partial)) await directories.ensure(dir);
  await onDisk("give its final name to", move.final, async () => {
    if (!(await isMoved(move, part))) {
      if (part instanceof DiskPart) await part.chmod(move.mode);
      await giveName(move);
    }
  });
  await directories.sync(dir);
}

/** Whether the final name is there already from an interrupted commit of the same file. */
async function isMoved({ partial, final }: Move, part: PartFile): Promise<boolean> {
  const known = part instanceof DiskPart ? part.identity : undefined;
  const isOurs = (found: { dev: number; ino: number; isFile(): boolean }) =>
    found.isFile() && (known === undefined || (found.ino === known.ino && found.dev === known.dev));
  const there = await ifThere(lstat(partial));
  if (there) {
    if (isOurs(there)) return false;
    throw new DownloadError(
      "tampered",
      `${partial} was replaced by something else while it was in use: remove it.`,
    );
  }
  const done = await ifThere(lstat(final));
  if (done && isOurs(done)) return true;
  throw new DownloadError("tampered", `${partial} was removed while it was in use.`);
}

async function giveName(move: Move): Promise<void> {
  const { partial, final, replace } = move;
  try {
    if (replace) await rename(partial, final);
    else await linkName(partial, final);
  } catch (error) {
    if (codeOf(error) !== "EXDEV") throw error;
    await copyOver(move);
  }
}

/** A hard link is refused by the system itself when the name exists, so nothing can come in between (F91). */
async function linkName(partial: string, final: string): Promise<void> {
  try {
    await link(partial, final);
  } catch (error) {
    if (codeOf(error) === "EEXIST") return settleExisting(partial, final);
    if (!NO_LINKS.has(codeOf(error))) throw error;
    if (await ifThere(lstat(final))) return settleExisting(partial, final);
    return rename(partial, final);
  }
  await unlink(partial);
}

/** After a crash between link and unlink both names mean one file; anything else there is somebody else's. */
async function settleExisting(partial: string, final: string): Promise<void> {
  const [ours, theirs] = await Promise.all([lstat(partial), lstat(final)]);
  if (ours.ino === theirs.ino && ours.dev === theirs.dev) return unlink(partial);
  throw new DownloadError(
    "name_collision",
    `${final} appeared while it was being downloaded, and is not overwritten: move it away, then retry.`,
  );
}

/** The final directory is on another file system: copy, sync, name, and only then let go of the partial file (F95). */
async function copyOver({ partial, final, replace, mode }: Move): Promise<void> {
  const copy = `${final}.copy.part`;
  await ifThere(unlink(copy));
  await copyFile(partial, copy, constants.COPYFILE_EXCL);
  try {
    // A link put in its place meanwhile is refused, not followed (F198).
    const handle = await open(copy, constants.O_RDWR | (constants.O_NOFOLLOW ?? 0));
    try {
      await handle.chmod(mode);
      await handle.datasync();
    } finally {
      await handle.close();
    }
    if (replace) await rename(copy, final);
    else await linkName(copy, final);
  } catch (error) {
    await ifThere(unlink(copy));
    throw error;
  }
  await unlink(partial);
}
