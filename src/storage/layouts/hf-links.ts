import { constants } from "node:fs";
import { dirname, join, relative } from "node:path";
import { DownloadError } from "../../core/errors.ts";
import { PART_SUFFIX } from "../../core/paths.ts";
import { beside, knownTarget, parentOf, type TargetPath } from "../../core/target-path.ts";
import type { Directories } from "../directories.ts";
import type { Disk } from "../disk.ts";
import { codeOf, ifThere, onDisk } from "../errors.ts";

/** What file systems and systems answer that have no symbolic links, or not for us. */
const NO_SYMLINKS = new Set(["EPERM", "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "UNKNOWN"]);

/** Names in a snapshot for content in `blobs/`. */
export class Links {
  readonly #directories: Directories;
  #symlinks: boolean;

  constructor(directories: Directories, symlinks: boolean) {
    this.#directories = directories;
    this.#symlinks = symlinks;
  }

  /** False once it has turned out that symbolic links cannot be made. */
  get available(): boolean {
    return this.#symlinks;
  }

  /**
   * Makes `path` a relative link to `blob` (protocols/huggingface.md §7 rule 4); where links cannot be made, the file
   * itself moves there when it is `fresh`, a copy of it when others may use the blob already (§7.1). `fresh` content was
   * fetched because what stood at `path` was not it: another content there that is no link is somebody's,
   * `name_collision` (F91).
   */
  async point(path: TargetPath, blob: TargetPath, fresh: boolean): Promise<void> {
    const dir = parentOf(path);
    await this.#directories.ensure(dir);
    await onDisk("link", path, async () => {
      if (this.#symlinks)
        this.#symlinks = await tryLink(this.#directories.disk, relative(dir, blob), path, fresh);
      if (!this.#symlinks) await place(this.#directories.disk, blob, path, fresh);
    });
    await this.#directories.sync(dir);
  }
}

/** False when symbolic links cannot be made here. */
async function tryLink(disk: Disk, to: string, path: TargetPath, fresh: boolean): Promise<boolean> {
  try {
    await disk.symlink(to, path);
  } catch (error) {
    if (NO_SYMLINKS.has(codeOf(error))) return false;
    if (codeOf(error) !== "EEXIST") throw error;
    await replaceLink(disk, to, path, fresh);
  }
  return true;
}

/** The name is there: fine when it means the same content, replaced when it is a link to another, else somebody's file. */
async function replaceLink(disk: Disk, to: string, path: TargetPath, fresh: boolean): Promise<void> {
  const there = await disk.lstat(path);
  if (there.isSymbolicLink()) {
    if ((await disk.readlink(path)) === to) return;
    const aside = await freeName(disk, beside(path, `.link${PART_SUFFIX}`));
    await disk.symlink(to, aside);
    await disk.rename(aside, path);
    return;
  }
  const blob = knownTarget(join(dirname(path), to));
  const size = (await ifThere(disk.stat(blob)))?.size ?? there.size;
  if (there.isFile() && there.size === size && (!fresh || (await isEqual(disk, blob, path)))) return;
  throw collision(path);
}

const collision = (path: string) =>
  new DownloadError(
    "name_collision",
    `${path} has another content than the hub's file: remove it, then retry.`,
  );

async function place(disk: Disk, blob: TargetPath, path: TargetPath, fresh: boolean): Promise<void> {
  const there = await ifThere(disk.lstat(path));
  if (there && fresh && !there.isSymbolicLink() && !(await isEqual(disk, blob, path))) throw collision(path);
  if (there) return;
  if (fresh) return disk.rename(blob, path);
  const aside = await freeName(disk, beside(path, `.copy${PART_SUFFIX}`));
  await disk.copyFile(blob, aside, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
  await disk.rename(aside, path);
}

/** A name of ours that a crash may have left something under, or that a link was planted under (F198). */
async function freeName(disk: Disk, path: TargetPath): Promise<TargetPath> {
  await ifThere(disk.unlink(path));
  return path;
}

const PIECE = 1 << 20;

/** Whether two files have the same bytes. */
async function isEqual(disk: Disk, a: TargetPath, b: TargetPath): Promise<boolean> {
  const left = await disk.open(a, "r");
  try {
    const right = await disk.open(b, "r");
    try {
      return await haveSameBytes(disk, left, right);
    } finally {
      await disk.close(right);
    }
  } finally {
    await disk.close(left);
  }
}

async function haveSameBytes(disk: Disk, left: number, right: number): Promise<boolean> {
  if (disk.fstatSync(left).size !== disk.fstatSync(right).size) return false;
  const [ours, theirs] = [Buffer.alloc(PIECE), Buffer.alloc(PIECE)];
  for (let at = 0; ; ) {
    const [count, other] = await Promise.all([
      disk.read(left, ours, PIECE, at),
      disk.read(right, theirs, PIECE, at),
    ]);
    if (count !== other || !ours.equals(theirs)) return false;
    if (count === 0) return true;
    at += count;
  }
}
