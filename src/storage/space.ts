import { join } from "node:path";
import { DownloadError } from "../core/errors.ts";
import { PART_SUFFIX } from "../core/paths.ts";
import type { Clock, Reservation, Usage } from "../core/ports.ts";
import { parentOf, type TargetPath } from "../core/target-path.ts";
import type { Disk } from "./disk.ts";
import { ifThere, onDisk } from "./errors.ts";

/** How long a count of all model files stays good: it walks the whole tree. */
const COUNT_MS = 10_000;

type Used = Pick<Usage, "modelsBytes" | "partialBytes">;

/** Space on the volumes of ours, with what running downloads still need taken into account (F78). */
export class Space {
  readonly #keepFree: number;
  readonly #clock: Clock;
  readonly #disk: Disk;
  /** Device -> bytes still to come. */
  readonly #reserved = new Map<number, number>();
  #counted: { at: number; used: Used } | undefined;

  constructor(keepFree: number, clock: Clock, disk: Disk) {
    this.#disk = disk;
    this.#keepFree = keepFree;
    this.#clock = clock;
  }

  get reservedBytes(): number {
    return [...this.#reserved.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Free bytes for us on the volume of `path`, less what is reserved there and what is always kept free; not below 0. */
  async free(path: TargetPath): Promise<number> {
    const { device, free } = await this.#volume(path);
    return Math.max(0, free - this.#keepFree - (this.#reserved.get(device) ?? 0));
  }

  /** Throws `no_space` with both figures when the bytes do not fit. */
  async reserve(path: TargetPath, bytes: number): Promise<Reservation> {
    const { device, free } = await this.#volume(path);
    // No await from here on: of two that ask together, the second sees the first.
    const reserved = this.#reserved.get(device) ?? 0;
    const left = Math.max(0, free - this.#keepFree - reserved);
    if (bytes > left) throw notEnough(path, bytes, left, reserved);
    let open = bytes;
    this.#reserved.set(device, reserved + bytes);
    const give = (back: number) => {
      const amount = Math.min(Math.max(0, back), open);
      open -= amount;
      const rest = (this.#reserved.get(device) ?? 0) - amount;
      if (rest > 0) this.#reserved.set(device, rest);
      else this.#reserved.delete(device);
    };
    return { shrink: give, release: () => give(open) };
  }

  /** Bytes of all regular files below the folders; a file with several names counts once. */
  async used(folders: readonly string[]): Promise<Used> {
    const now = this.#clock.monotonic();
    if (this.#counted && now - this.#counted.at < COUNT_MS) return this.#counted.used;
    const seen = new Set<string>();
    const used = { modelsBytes: 0, partialBytes: 0 };
    for (const folder of folders) await count(this.#disk, folder, seen, used);
    this.#counted = { at: now, used };
    return used;
  }

  /** Of the nearest directory above `path` that exists. */
  async #volume(path: TargetPath): Promise<{ device: number; free: number }> {
    return onDisk("ask for the free space of", path, async () => {
      for (let at = path; ; at = parentOf(at)) {
        const there = await ifThere(this.#disk.stat(at));
        if (!there) continue;
        const { bavail, bsize } = await this.#disk.statfs(at);
        return { device: there.dev, free: bavail * bsize };
      }
    });
  }
}

async function count(disk: Disk, folder: string, seen: Set<string>, used: Used): Promise<void> {
  for (const entry of (await ifThere(disk.readdir(folder, { withFileTypes: true }))) ?? []) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await count(disk, path, seen, used);
    if (!entry.isFile()) continue;
    const found = await ifThere(disk.stat(path));
    const key = `${found?.dev}:${found?.ino}`;
    if (!found || seen.has(key)) continue;
    seen.add(key);
    used[path.endsWith(PART_SUFFIX) ? "partialBytes" : "modelsBytes"] += found.size;
  }
}

function notEnough(path: string, needed: number, left: number, reserved: number): DownloadError {
  const others = reserved > 0 ? `, with ${size(reserved)} kept for other downloads` : "";
  return new DownloadError(
    "no_space",
    `Not enough space for ${path}: ${size(needed)} are needed and ${size(left)} are free${others}. Make room, it goes on by itself.`,
  );
}

function size(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  const power = bytes < 1024 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return power === 0 ? `${bytes} bytes` : `${(bytes / 1024 ** power).toFixed(1)} ${units[power]}`;
}
