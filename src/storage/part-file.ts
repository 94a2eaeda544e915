import { constants, type Stats } from "node:fs";
import { basename, join } from "node:path";
import type { PartialMark } from "../core/download.ts";
import { DownloadError } from "../core/errors.ts";
import type { PartFile } from "../core/ports.ts";
import { parentOf, type TargetPath } from "../core/target-path.ts";
import type { Directories } from "./directories.ts";
import type { Disk } from "./disk.ts";
import { codeOf, diskError, ifThere, onDisk } from "./errors.ts";
import { Room } from "./preallocate.ts";

/** Longest vector the system takes (IOV_MAX). */
const MOST_VECTORS = 1024;
/** Partial files are nobody else's business until they are verified (F119). */
const PARTIAL_MODE = 0o600;
/** O_NOFOLLOW: a link under that name is refused. O_NONBLOCK: a FIFO there does not hang us (F90). Both are 0 on Windows. */
const FLAGS =
  constants.O_RDWR | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/** A partial file on disk, addressed by position; every call runs off the event loop. */
export class DiskPart implements PartFile {
  readonly path: TargetPath;
  readonly initialLength: number;
  /** Identity of what was opened: only this may be renamed (F92, F199). */
  readonly identity: Pick<Stats, "dev" | "ino">;
  readonly #disk: Disk;
  readonly #fd: number;
  #closed = false;
  /** Writes finished, and how many of them the last good sync covers. */
  #finished = 0;
  #durable = 0;
  readonly #room = new Room();
  #broken: DownloadError | undefined;

  private constructor(disk: Disk, path: TargetPath, fd: number, stats: Stats) {
    this.#disk = disk;
    this.path = path;
    this.#fd = fd;
    this.initialLength = stats.size;
    this.identity = { dev: stats.dev, ino: stats.ino };
    // What an earlier process wrote may not be synced yet.
    this.#finished = stats.size > 0 ? 1 : 0;
  }

  /**
   * Opens or creates `path`, whose directory is known to be really `realDir`. Throws `tampered` for anything but a
   * regular file of that very directory.
   */
  static async open(disk: Disk, path: TargetPath, realDir: string): Promise<DiskPart> {
    const fd = await disk.open(path, FLAGS, PARTIAL_MODE);
    try {
      const stats = disk.fstatSync(fd);
      const place = placeOf(disk, fd);
      const moved = place !== undefined && place !== join(realDir, basename(path));
      const foreign = stats.size > 0 && (await disk.stat(realDir)).dev !== stats.dev;
      if (!stats.isFile() || moved || foreign)
        throw new DownloadError(
          "tampered",
          `${path} is not the partial file that was left there: remove it.`,
        );
      if ((stats.mode & 0o777) !== PARTIAL_MODE) disk.fchmodSync(fd, PARTIAL_MODE);
      return new DiskPart(disk, path, fd, stats);
    } catch (error) {
      await disk.close(fd);
      throw error;
    }
  }

  mark(): PartialMark {
    const { size, mtimeMs } = this.#disk.fstatSync(this.#fd);
    return { size, modifiedAt: mtimeMs };
  }

  expect(size: number): void {
    this.#room.expect(size);
  }

  async write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    this.#checkUsable();
    let queue = chunks.filter((chunk) => chunk.length > 0);
    let at = position;
    try {
      this.#room.reach(
        this.#fd,
        queue.reduce((end, { length }) => end + length, position),
      );
      while (queue.length > 0) {
        const written = await this.#writeSome(queue, at);
        // A limit is often met in the middle of a write; only the next one says which (F81).
        if (written === 0)
          throw new DownloadError("io", `Could not write ${this.path}: the system takes no more bytes.`);
        at += written;
        queue = drop(queue, written);
      }
    } catch (error) {
      throw diskError(error, "write", this.path);
    }
    this.#finished++;
  }

  #writeSome(queue: readonly Uint8Array[], at: number): Promise<number> {
    if (queue.length === 1) return this.#disk.write(this.#fd, queue[0]!, at);
    return this.#disk.writev(this.#fd, queue.slice(0, MOST_VECTORS), at);
  }

  async sync(): Promise<void> {
    this.#checkBroken();
    const covered = this.#finished;
    if (covered === this.#durable) return;
    this.#checkUsable();
    try {
      await this.#disk.fdatasync(this.#fd);
    } catch (error) {
      // The next call would report success although the pages are lost (F85).
      this.#broken = diskError(error, "sync", this.path);
      throw this.#broken;
    }
    this.#durable = Math.max(this.#durable, covered);
  }

  async truncate(length: number): Promise<void> {
    this.#checkUsable();
    await onDisk("truncate", this.path, () => this.#disk.ftruncate(this.#fd, length));
    this.#room.cut(length);
    this.#finished++;
  }

  /** Sets the mode of the open file. */
  async chmod(mode: number): Promise<void> {
    await onDisk("set the mode of", this.path, async () => this.#disk.fchmodSync(this.#fd, mode));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await onDisk("close", this.path, () => this.#disk.close(this.#fd));
  }

  #checkUsable(): void {
    this.#checkBroken();
    if (this.#closed)
      throw new DownloadError("internal", `${basename(this.path)} was used after it had been closed.`);
  }

  #checkBroken(): void {
    if (this.#broken) throw this.#broken;
  }
}

/** Where an open file really is; undefined where the system does not tell. */
function placeOf(disk: Disk, fd: number): string | undefined {
  try {
    return disk.readlinkSync(`/proc/self/fd/${fd}`);
  } catch (error) {
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return undefined;
    throw error;
  }
}

/** What is left of the chunks after `count` bytes. */
function drop(chunks: readonly Uint8Array[], count: number): Uint8Array[] {
  let rest = count;
  let i = 0;
  while (i < chunks.length && rest >= chunks[i]!.length) rest -= chunks[i++]!.length;
  const left = chunks.slice(i);
  if (rest > 0) left[0] = left[0]!.subarray(rest);
  return left;
}

/** Opens or creates the partial file, and its directory, on the volume that its root was on before (F94). */
export async function openPart(path: TargetPath, directories: Directories): Promise<DiskPart> {
  const { disk } = directories;
  const dir = parentOf(path);
  const part = await onDisk("open", path, async () => {
    try {
      return await DiskPart.open(disk, path, await directories.ensure(dir));
    } catch (error) {
      // Another download may have removed the directory as empty in between.
      if (codeOf(error) !== "ENOENT") throw error;
      return DiskPart.open(disk, path, await directories.ensure(dir));
    }
  });
  try {
    await directories.rootOf(dir).confirm();
    return part;
  } catch (error) {
    await part.close();
    // It was begun where the volume used to be.
    if (part.initialLength === 0) await onDisk("remove", path, () => ifThere(disk.unlink(path)));
    await directories.prune(dir);
    throw error;
  }
}
