import { inBatches } from "../../core/batches.ts";
import type { SourceRef } from "../../core/download.ts";
import { DownloadError } from "../../core/errors.ts";
import { parseFileName, parseRepoPath } from "../../core/paths.ts";
import type { Plan, PlanInput, Target } from "../../core/ports.ts";
import {
  beside,
  isInside,
  knownTarget,
  parentOf,
  type TargetPath,
  targetIn,
} from "../../core/target-path.ts";
import type { Directories } from "../directories.ts";
import { ifThere, onDisk } from "../errors.ts";
import { numbered, partialName, refuseCollisions } from "../names.ts";
import type { Root } from "../roots.ts";
import type { Layout } from "./layout.ts";

/** Names tried before giving up. */
const MOST_NAMES = 1000;

type PlannedFile = PlanInput["files"][number];

/** `<models>/<repository>/<file>`, and `<models>/<file name>` for plain URLs (A18). */
export class FlatLayout implements Layout {
  readonly #root: Root;
  readonly #directories: Directories;
  /** Names that are planned and not in the database yet, each with its download. */
  readonly #claims = new Map<string, string>();
  #planning: Promise<unknown> = Promise.resolve();

  constructor(root: Root, directories: Directories) {
    this.#root = root;
    this.#directories = directories;
  }

  /** The place that `plan` gives when no name is taken; null for names that it would refuse. */
  expected({ repo, files, filename }: SourceRef): TargetPath | null {
    const only = files?.length === 1 ? files[0] : undefined;
    const names = repo === undefined ? [filename] : only === undefined ? [repo] : [repo, only];
    try {
      return targetIn(this.#root.path, ...names.map((name) => parseRepoPath(name ?? "")));
    } catch {
      return null;
    }
  }

  /** One after the other: two downloads planned at the same moment must not get one name. */
  plan(input: PlanInput): Promise<Plan> {
    const planned = this.#planning.then(() => this.#plan(input));
    this.#planning = planned.catch(() => {});
    return planned;
  }

  async #plan(input: PlanInput): Promise<Plan> {
    const { repo, files, download } = input;
    for (const { path } of files) repo === null ? parseFileName(path) : parseRepoPath(path);
    refuseCollisions(files.map((file) => file.path));
    const base = repo === null ? this.#root.path : targetIn(this.#root.path, parseRepoPath(repo));
    await this.#root.ready();
    const { folder, free } = await this.#folder(input, base);
    const targets = new Map<number, Target>();
    const folders = new Set<TargetPath>();
    for await (const some of inBatches(files)) {
      input.signal?.throwIfAborted();
      for (const file of some) {
        const wanted = targetIn(folder, file.path);
        const path = free ? this.#claim(input, wanted) : await this.#place(input, file, wanted);
        folders.add(parentOf(path));
        targets.set(file.id, { path, partial: partialName(path, download.id) });
      }
    }
    for (const dir of folders) await this.#directories.check(dir);
    const only = files.length === 1 ? targets.get(files[0]!.id) : undefined;
    return { targets, localPath: only?.path ?? folder };
  }

  release(downloadId: string): void {
    for (const [path, download] of this.#claims) if (download === downloadId) this.#claims.delete(path);
  }

  async finish(): Promise<void> {}

  async remove(path: TargetPath): Promise<void> {
    await onDisk("remove", path, () => ifThere(this.#directories.disk.unlink(path)));
    await this.#directories.prune(parentOf(path));
  }

  /**
   * Folder of a many-file download: numbered as a whole, so that parts of one model stay together. `free` when all
   * names in it have been found free.
   */
  async #folder(input: PlanInput, base: TargetPath): Promise<{ folder: TargetPath; free: boolean }> {
    if (input.files.length < 2 || input.repo === null) return { folder: base, free: false };
    for (const { target, path } of input.files) {
      const folder = target?.endsWith(`/${path}`) ? target.slice(0, -path.length - 1) : undefined;
      if (folder !== undefined && isInside(folder, this.#root.path))
        return { folder: knownTarget(folder), free: false };
    }
    for (let n = 1; n <= MOST_NAMES; n++) {
      const folder = n === 1 ? base : beside(base, `-${n}`);
      const exists = (await ifThere(this.#directories.disk.lstat(folder))) !== undefined;
      if (n > 1 && exists && !(await this.#isCopy(input, folder))) continue;
      if (await this.#areFree(input, folder, exists)) return { folder, free: true };
    }
    throw noName(base);
  }

  /**
   * Whether a numbered folder is one of what is asked for: an earlier download of it has brought some of it there, or all
   * of it is there by name and size. Any other one may be the place of another repository.
   */
  async #isCopy(input: PlanInput, folder: TargetPath): Promise<boolean> {
    let isWhole = true;
    for (const { path, size } of input.files) {
      const wanted = targetIn(folder, path);
      if (await input.ours?.(wanted)) return true;
      if (!isWhole) continue;
      const there = await onDisk("look at", wanted, () => ifThere(this.#directories.disk.lstat(wanted)));
      isWhole = there?.isFile() === true && there.size === size;
    }
    return isWhole;
  }

  async #areFree(input: PlanInput, folder: TargetPath, exists: boolean): Promise<boolean> {
    for await (const some of inBatches(input.files)) {
      input.signal?.throwIfAborted();
      for (const file of some)
        if (!(await this.#isFree(input, file, targetIn(folder, file.path), exists))) return false;
    }
    return true;
  }

  /** The name it had, else the one it should have, else the first free one after it. */
  async #place(input: PlanInput, file: PlannedFile, wanted: TargetPath): Promise<TargetPath> {
    const { target } = file;
    // The database knows it: no claim of another download that has the same file stands against it.
    if (target !== null && isInside(target, this.#root.path) && !(await input.taken(target)))
      return this.#claim(input, target);
    for (let n = 1; n <= MOST_NAMES; n++) {
      const path = n === 1 ? wanted : numbered(wanted, n);
      if (await this.#isFree(input, file, path, true)) return this.#claim(input, path);
    }
    throw noName(wanted);
  }

  async #isFree(
    input: PlanInput,
    file: PlannedFile,
    path: TargetPath,
    folderExists: boolean,
  ): Promise<boolean> {
    if (await this.#isTaken(input, path)) return false;
    if (!folderExists) return true;
    const there = await onDisk("look at", path, () => ifThere(this.#directories.disk.lstat(path)));
    // What may be the very same content is left to be compared by digest; everything else is somebody else's (F91).
    return there === undefined || (there.isFile() && file.digest !== null && there.size === file.size);
  }

  async #isTaken(input: PlanInput, path: TargetPath): Promise<boolean> {
    const claim = this.#claims.get(path);
    return (claim !== undefined && claim !== input.download.id) || input.taken(path);
  }

  #claim(input: PlanInput, path: TargetPath): TargetPath {
    if (!input.lookOnly) this.#claims.set(path, input.download.id);
    return path;
  }
}

function noName(path: TargetPath): DownloadError {
  return new DownloadError(
    "name_collision",
    `${path} and ${MOST_NAMES} names after it are taken: clear the models directory.`,
  );
}
