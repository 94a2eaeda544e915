import { dirname, resolve } from "node:path";
import { DownloadError } from "../core/errors.ts";
import type { Clock } from "../core/ports.ts";
import { knownTarget, type TargetPath } from "../core/target-path.ts";
import type { Disk } from "./disk.ts";
import { diskError, ifThere, onDisk } from "./errors.ts";
import { isUnmounted, type Mounts, mountPointOf } from "./mounts.ts";

/** How long one look at a root counts; a volume that disappears is noticed by the next file (F94). */
const FRESH_MS = 250;

/** A directory of ours: nothing is written outside of it, whatever links lie inside (F198). */
export class Root {
  readonly path: TargetPath;
  readonly disk: Disk;
  readonly #clock: Clock;
  readonly #mounts: Mounts | undefined;
  #device: number | undefined;
  #real = "";
  #seenAt = Number.NEGATIVE_INFINITY;

  constructor(path: string, clock: Clock, disk: Disk, mounts?: Mounts) {
    this.disk = disk;
    this.#mounts = mounts;
    this.path = knownTarget(resolve(path));
    this.#clock = clock;
  }

  /**
   * Makes sure that the root is there and on the volume it was on before; returns its real path. Creates it when
   * missing, but never in place of a volume that is gone (F94). Throws `volume_gone read_only no_space`.
   */
  async ready(): Promise<string> {
    const now = this.#clock.monotonic();
    if (now - this.#seenAt < FRESH_MS) return this.#real;
    try {
      await this.#look();
    } catch (error) {
      throw diskError(error, "use the directory", this.path);
    }
    this.#seenAt = now;
    return this.#real;
  }

  /** As `ready`, however short a time ago it was looked at: what a moment of luck would spoil. Cheap while all is well. */
  async confirm(): Promise<void> {
    const there = await onDisk("look at", this.path, () => ifThere(this.disk.stat(this.path)));
    if (there?.dev === this.#device) return;
    this.#seenAt = Number.NEGATIVE_INFINITY;
    await this.ready();
  }

  async #look(): Promise<void> {
    const there = await ifThere(this.disk.stat(this.path));
    const device = there?.dev ?? (await deviceAbove(this.disk, this.path));
    const isFirst = this.#device === undefined;
    if (isFirst ? await this.#isMissed() : device !== this.#device) throw this.#gone();
    if (!there) await this.disk.mkdir(this.path, { recursive: true });
    else if (!there.isDirectory())
      throw new DownloadError(
        "name_collision",
        `${this.path} is not a directory: move it away or configure another one.`,
      );
    const { dev } = await this.disk.stat(this.path);
    this.#real = await this.disk.realpath(this.path);
    if (isFirst) this.#mounts?.set(this.path, await mountPointOf(this.disk, this.path));
    this.#device = dev;
  }

  /** Whether an earlier process had it on a volume that is not there now. */
  async #isMissed(): Promise<boolean> {
    const mountPoint = this.#mounts?.get(this.path);
    return mountPoint !== undefined && (await isUnmounted(this.disk, mountPoint));
  }

  #gone(): DownloadError {
    return new DownloadError(
      "volume_gone",
      `The volume of ${this.path} is gone: attach or mount it again, downloads go on by themselves. To do without it, put a file into that folder and start modelhaul anew.`,
    );
  }
}

/** Device of the nearest directory above that exists. */
async function deviceAbove(disk: Disk, path: string): Promise<number | undefined> {
  for (let dir = dirname(path); ; dir = dirname(dir)) {
    const found = await ifThere(disk.stat(dir));
    if (found) return found.dev;
    if (dir === dirname(dir)) return undefined;
  }
}
