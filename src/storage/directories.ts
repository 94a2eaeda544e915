import { lstat, mkdir, open, realpath, rmdir } from "node:fs/promises";
import { dirname } from "node:path";
import { DownloadError } from "../core/errors.ts";
import { codeOf, diskError, ifThere, onDisk } from "./errors.ts";
import { isInside, type Root } from "./roots.ts";

/** Directories below the roots: made on demand, kept inside, made durable together. */
export class Directories {
  readonly #roots: readonly Root[];
  readonly #syncs = new Map<string, { running: Promise<void>; next?: Promise<void> }>();

  constructor(roots: readonly Root[]) {
    this.#roots = roots;
  }

  /** The root that a directory is or lies in. Throws `invalid_path` for one in none of them. */
  rootOf(dir: string): Root {
    const root = this.#roots.find((r) => isInside(dir, r.path));
    if (root) return root;
    throw new DownloadError("invalid_path", `${dir} does not lie in a models directory.`);
  }

  /** Throws `invalid_path` when a link on the way leads out of the root, `name_collision` when a file is in the way. No writes. */
  async check(dir: string): Promise<void> {
    const root = this.rootOf(dir);
    const real = await root.ready();
    await onDisk("look at", dir, async () => {
      for (let at = dir; isInside(at, root.path); ) {
        const found = await ifThere(realpath(at));
        if (found === undefined) {
          const there = await ifThere(lstat(at));
          if (there?.isSymbolicLink()) throw leadsOut(at, "invalid_path");
          // Something that is there now was made in this very moment: looked at again.
          if (!there) at = dirname(at);
          continue;
        }
        if (!isInside(found, real)) throw leadsOut(at, "invalid_path");
        if ((await lstat(found)).isDirectory()) return;
        throw new DownloadError(
          "name_collision",
          `${at} is a file, but a directory is needed there: move it away.`,
        );
      }
    });
  }

  /** Creates the directory when it is missing; returns its real path. Throws `tampered` when that is not below the root. */
  async ensure(dir: string): Promise<string> {
    const root = this.rootOf(dir);
    const realRoot = await root.ready();
    return onDisk("create the directory", dir, async () => {
      let real = await ifThere(realpath(dir));
      if (real === undefined) {
        await this.check(dir);
        const first = await mkdir(dir, { recursive: true });
        if (first !== undefined) await this.#syncAbove(dir, first);
        real = await realpath(dir);
      }
      if (!isInside(real, realRoot)) throw leadsOut(dir, "tampered");
      return real;
    });
  }

  /** New directories must be found after a power loss too: their names stand in the ones above. */
  async #syncAbove(dir: string, first: string): Promise<void> {
    for (let at = dir; isInside(at, first); at = dirname(at)) await this.sync(dirname(at));
  }

  /**
   * Makes the names in a directory durable. Calls that come while one runs share the next one, which starts after them:
   * a thousand small files need a few of these, not a thousand.
   */
  sync(dir: string): Promise<void> {
    const known = this.#syncs.get(dir);
    if (!known) return this.#startSync(dir);
    known.next ??= known.running.then(
      () => this.#startSync(dir),
      () => this.#startSync(dir),
    );
    return known.next;
  }

  #startSync(dir: string): Promise<void> {
    const entry: { running: Promise<void>; next?: Promise<void> } = { running: syncDirectory(dir) };
    this.#syncs.set(dir, entry);
    const forget = () => {
      if (entry.next === undefined && this.#syncs.get(dir) === entry) this.#syncs.delete(dir);
    };
    entry.running.then(forget, forget);
    return entry.running;
  }

  /** Removes the directory and those above it as long as they are empty, never the root, and nothing behind a link out of it. */
  async prune(dir: string): Promise<void> {
    const root = this.rootOf(dir);
    for (let at = dir; at !== root.path && isInside(at, root.path); at = dirname(at)) {
      if (await this.leadsOut(dirname(at))) return;
      try {
        await rmdir(at);
      } catch (error) {
        if (codeOf(error) !== "ENOENT") return;
      }
    }
  }

  /** Whether the directory, which is one by its name, is really elsewhere by now; false when it is not there. */
  async leadsOut(dir: string): Promise<boolean> {
    const [real, root] = await Promise.all([dir, this.rootOf(dir).path].map((at) => ifThere(realpath(at))));
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
export async function syncDirectory(dir: string): Promise<void> {
  try {
    const handle = await open(dir, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (!NO_DIRECTORY_SYNC.has(codeOf(error))) throw diskError(error, "sync the directory", dir);
  }
}
