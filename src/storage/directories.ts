import { constants } from "node:fs";
import { DownloadError, type ErrorCode } from "../core/errors.ts";
import { isInside, parentOf, type TargetPath } from "../core/target-path.ts";
import type { Disk } from "./disk.ts";
import { codeOf, diskError, ifThere, onDisk } from "./errors.ts";
import type { Root } from "./roots.ts";

/** What no waiting mends, so that a start is refused for it. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set(["read_only", "name_collision"]);

/** Directories below the roots: made on demand, kept inside, made durable together. */
export class Directories {
  /** What they lie on. */
  readonly disk: Disk;
  readonly #roots: readonly Root[];
  readonly #syncs = new Map<string, { running: Promise<void>; next?: Promise<void> }>();

  constructor(roots: readonly Root[], disk: Disk) {
    this.disk = disk;
    this.#roots = roots;
  }

  /** The root that a directory is or lies in. Throws `invalid_path` for one in none of them. */
  rootOf(dir: TargetPath): Root {
    const root = this.#roots.find((r) => isInside(dir, r.path));
    if (root) return root;
    throw new DownloadError("invalid_path", `${dir} does not lie in a models directory.`);
  }

  /** Throws `invalid_path` when a link on the way leads out of the root, `name_collision` when a file is in the way. No writes. */
  async check(dir: TargetPath): Promise<void> {
    const root = this.rootOf(dir);
    const real = await root.ready();
    await onDisk("look at", dir, async () => {
      for (let at = dir; isInside(at, root.path); ) {
        const found = await ifThere(this.disk.realpath(at));
        if (found === undefined) {
          const there = await ifThere(this.disk.lstat(at));
          if (there?.isSymbolicLink()) throw leadsOut(at, "invalid_path");
          // Something that is there now was made in this very moment: looked at again.
          if (!there) at = parentOf(at);
          continue;
        }
        if (!isInside(found, real)) throw leadsOut(at, "invalid_path");
        if ((await this.disk.lstat(found)).isDirectory()) return;
        throw new DownloadError(
          "name_collision",
          `${at} is a file, but a directory is needed there: move it away.`,
        );
      }
    });
  }

  /**
   * Throws `read_only` when nothing can be made at `path`, `name_collision` when its root is no directory (F83). What is
   * there already may need no writing, and a volume that is gone may come back.
   */
  async checkWritable(path: TargetPath, root: Root): Promise<void> {
    try {
      await root.ready();
      if (path !== root.path && (await this.#isThere(path))) return;
      let dir = path === root.path ? path : parentOf(path);
      while (dir !== root.path && !(await this.#isThere(dir))) dir = parentOf(dir);
      await onDisk("write in", dir, () => this.disk.access(dir, constants.W_OK | constants.X_OK));
    } catch (error) {
      if (error instanceof DownloadError && REFUSALS.has(error.code)) throw error;
    }
  }

  async #isThere(path: TargetPath): Promise<boolean> {
    return (await onDisk("look at", path, () => ifThere(this.disk.lstat(path)))) !== undefined;
  }

  /** Creates the directory when it is missing; returns its real path. Throws `tampered` when that is not below the root. */
  async ensure(dir: TargetPath): Promise<string> {
    const root = this.rootOf(dir);
    const realRoot = await root.ready();
    return onDisk("create the directory", dir, async () => {
      let real = await ifThere(this.disk.realpath(dir));
      if (real === undefined) {
        await this.check(dir);
        const first = await this.disk.mkdir(dir, { recursive: true });
        if (first !== undefined) await this.#syncAbove(dir, first);
        real = await this.disk.realpath(dir);
      }
      if (!isInside(real, realRoot)) throw leadsOut(dir, "tampered");
      return real;
    });
  }

  /** New directories must be found after a power loss too: their names stand in the ones above. */
  async #syncAbove(dir: TargetPath, first: string): Promise<void> {
    for (let at = dir; isInside(at, first); at = parentOf(at)) await this.sync(parentOf(at));
  }

  /**
   * Makes the names in a directory durable. Calls that come while one runs share the next one, which starts after them:
   * a thousand small files need a few of these, not a thousand.
   */
  sync(dir: TargetPath): Promise<void> {
    const known = this.#syncs.get(dir);
    if (!known) return this.#startSync(dir);
    known.next ??= known.running.then(
      () => this.#startSync(dir),
      () => this.#startSync(dir),
    );
    return known.next;
  }

  #startSync(dir: TargetPath): Promise<void> {
    const entry: { running: Promise<void>; next?: Promise<void> } = {
      running: syncDirectory(this.disk, dir),
    };
    this.#syncs.set(dir, entry);
    const forget = () => {
      if (entry.next === undefined && this.#syncs.get(dir) === entry) this.#syncs.delete(dir);
    };
    entry.running.then(forget, forget);
    return entry.running;
  }

  /** Removes the directory and those above it as long as they are empty, never the root, and nothing behind a link out of it. */
  async prune(dir: TargetPath): Promise<void> {
    const root = this.rootOf(dir);
    for (let at = dir; at !== root.path && isInside(at, root.path); at = parentOf(at)) {
      if (await this.leadsOut(parentOf(at))) return;
      try {
        await this.disk.rmdir(at);
      } catch (error) {
        if (codeOf(error) !== "ENOENT") return;
      }
    }
  }

  /** Whether the directory, which is one by its name, is really elsewhere by now; false when it is not there. */
  async leadsOut(dir: TargetPath): Promise<boolean> {
    const [real, root] = await Promise.all(
      [dir, this.rootOf(dir).path].map((at) => ifThere(this.disk.realpath(at))),
    );
    return real !== undefined && (root === undefined || !isInside(real, root));
  }
}

function leadsOut(path: string, code: "invalid_path" | "tampered"): DownloadError {
  return new DownloadError(
    code,
    `${path} is a link that leads out of the models directory: remove it, or choose the directory behind it as models directory.`,
  );
}

/** File systems without durable directories say so; there is nothing to be done about it. */
const NO_DIRECTORY_SYNC = new Set(["EINVAL", "EISDIR", "EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"]);

/** Makes the names in a directory durable, where the file system can. Rejects with DownloadError. */
export async function syncDirectory(disk: Disk, dir: TargetPath): Promise<void> {
  try {
    const fd = await disk.open(dir, "r");
    try {
      await disk.fsync(fd);
    } finally {
      await disk.close(fd);
    }
  } catch (error) {
    if (!NO_DIRECTORY_SYNC.has(codeOf(error))) throw diskError(error, "sync the directory", dir);
  }
}
