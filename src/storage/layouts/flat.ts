import { lstat, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { SourceRef } from "../../core/download.ts";
import { DownloadError } from "../../core/errors.ts";
import { parseFileName, parseRepoPath } from "../../core/paths.ts";
import type { Clock, Plan, PlanInput, Target } from "../../core/ports.ts";
import type { Directories } from "../directories.ts";
import { ifThere, onDisk } from "../errors.ts";
import { numbered, partialName, refuseCollisions } from "../names.ts";
import { isInside, type Root } from "../roots.ts";
import type { Layout } from "./layout.ts";

/** How long a planned name is kept for its download until the database knows of it. */
const CLAIM_MS = 60_000;
/** Names tried before giving up. */
const MOST_NAMES = 1000;

type PlannedFile = PlanInput["files"][number];

/** `<models>/<repository>/<file>`, and `<models>/<file name>` for plain URLs (A18). */
export class FlatLayout implements Layout {
  readonly #root: Root;
  readonly #directories: Directories;
  readonly #clock: Clock;
  /** Names planned a moment ago, which the database may not know yet. */
  readonly #claims = new Map<string, { download: string; until: number }>();
  #planning: Promise<unknown> = Promise.resolve();

  constructor(root: Root, directories: Directories, clock: Clock) {
    this.#root = root;
    this.#directories = directories;
    this.#clock = clock;
  }

  /** The place that `plan` gives when no name is taken; null for names that it would refuse. */
  expected({ repo, files, filename }: SourceRef): string | null {
    const only = files?.length === 1 ? files[0] : undefined;
    const names = repo === undefined ? [filename] : only === undefined ? [repo] : [repo, only];
    try {
      return join(this.#root.path, ...names.map((name) => parseRepoPath(name ?? "")));
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
    const base = repo === null ? this.#root.path : join(this.#root.path, parseRepoPath(repo));
    await this.#root.ready();
    const { folder, free } = await this.#folder(input, base);
    const targets = new Map<number, Target>();
    const folders = new Set<string>();
    for (const file of files) {
      const wanted = join(folder, file.path);
      const path = free ? this.#claim(input, wanted) : await this.#place(input, file, wanted);
      folders.add(dirname(path));
      targets.set(file.id, { path, partial: partialName(path, download.id) });
    }
    for (const dir of folders) await this.#directories.check(dir);
    const only = files.length === 1 ? targets.get(files[0]!.id) : undefined;
    return { targets, localPath: only?.path ?? folder };
  }

  async finish(input: PlanInput): Promise<void> {
    for (const [path, { download }] of this.#claims)
      if (download === input.download.id) this.#claims.delete(path);
  }

  /** Its download has been given up: the name is anybody's, unless the database knows of another one that has it (F226). */
  release(path: string): void {
    this.#claims.delete(path);
  }

  async remove(path: string): Promise<void> {
    await onDisk("remove", path, () => ifThere(unlink(path)));
    await this.#directories.prune(dirname(path));
  }

  /**
   * Folder of a many-file download: numbered as a whole, so that parts of one model stay together. `free` when all
   * names in it have been found free.
   */
  async #folder(input: PlanInput, base: string): Promise<{ folder: string; free: boolean }> {
    if (input.files.length < 2 || input.repo === null) return { folder: base, free: false };
    for (const { target, path } of input.files) {
      const folder = target?.endsWith(`/${path}`) ? target.slice(0, -path.length - 1) : undefined;
      if (folder !== undefined && isInside(folder, this.#root.path)) return { folder, free: false };
    }
    for (let n = 1; n <= MOST_NAMES; n++) {
      const folder = n === 1 ? base : `${base}-${n}`;
      const exists = (await ifThere(lstat(folder))) !== undefined;
      if (n > 1 && exists) continue;
      if (await this.#areFree(input, folder, exists)) return { folder, free: true };
    }
    throw noName(base);
  }

  async #areFree(input: PlanInput, folder: string, exists: boolean): Promise<boolean> {
    for (const file of input.files)
      if (!(await this.#isFree(input, file, join(folder, file.path), exists))) return false;
    return true;
  }

  /** The name it had, else the one it should have, else the first free one after it. */
  async #place(input: PlanInput, file: PlannedFile, wanted: string): Promise<string> {
    const { target } = file;
    // The database knows it: no claim of a moment ago, of another download that has the same file, stands against it.
    if (target !== null && isInside(target, this.#root.path) && !(await input.taken(target)))
      return this.#claim(input, target);
    for (let n = 1; n <= MOST_NAMES; n++) {
      const path = n === 1 ? wanted : numbered(wanted, n);
      if (await this.#isFree(input, file, path, true)) return this.#claim(input, path);
    }
    throw noName(wanted);
  }

  async #isFree(input: PlanInput, file: PlannedFile, path: string, folderExists: boolean): Promise<boolean> {
    if (await this.#isTaken(input, path)) return false;
    if (!folderExists) return true;
    const there = await onDisk("look at", path, () => ifThere(lstat(path)));
    // What may be the very same content is left to be compared by digest; everything else is somebody else's (F91).
    return there === undefined || (there.isFile() && file.digest !== null && there.size === file.size);
  }

  async #isTaken(input: PlanInput, path: string): Promise<boolean> {
    const claim = this.#claims.get(path);
    const isOthers = claim !== undefined && claim.download !== input.download.id;
    return (isOthers && claim.until > this.#clock.monotonic()) || input.taken(path);
  }

  #claim(input: PlanInput, path: string): string {
    const now = this.#clock.monotonic();
    this.#claims.delete(path);
    this.#claims.set(path, { download: input.download.id, until: now + CLAIM_MS });
    // Oldest first, so the outdated ones are in front.
    for (const [old, { until }] of this.#claims) {
      if (until > now) break;
      this.#claims.delete(old);
    }
    return path;
  }
}

function noName(path: string): DownloadError {
  return new DownloadError(
    "name_collision",
    `${path} and ${MOST_NAMES} names after it are taken: clear the models directory.`,
  );
}
