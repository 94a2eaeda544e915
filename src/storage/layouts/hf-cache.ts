import { createHash } from "node:crypto";
import { DownloadError } from "../../core/errors.ts";
import { PART_SUFFIX, parseRepoPath, showName } from "../../core/paths.ts";
import type { Plan, PlanInput, Target } from "../../core/ports.ts";
import { parentOf, type TargetPath, targetIn } from "../../core/target-path.ts";
import type { Directories } from "../directories.ts";
import type { Disk } from "../disk.ts";
import { codeOf, ifThere, onDisk } from "../errors.ts";
import { refuseCollisions, shortId } from "../names.ts";
import type { Root } from "../roots.ts";
import { Links } from "./hf-links.ts";
import { writeRef } from "./hf-refs.ts";
import { removeFromCache } from "./hf-remove.ts";
import type { Layout } from "./layout.ts";

type PlannedFile = PlanInput["files"][number];

/** First line is what backup tools look for (protocols/huggingface.md §7 rule 11). */
const CACHEDIR_TAG = [
  "Signature: 8a477f597d28d172789f06886806bc55",
  "# This directory is a cache of model files in the layout of the Hugging Face Hub.",
  "# What this tag means is explained at:",
  "#\thttps://bford.info/cachedir/",
  "",
].join("\n");

/**
 * The cache that Python, llama.cpp and others share (protocols/huggingface.md §7): content in `blobs/` under its
 * digest, `snapshots/{commit}/{path}` as links to it. Where no digest is known, or links cannot be made, the file
 * itself stands in the snapshot, which the others accept as well (§7.1).
 */
export class HfCacheLayout implements Layout {
  readonly #root: Root;
  readonly #directories: Directories;
  readonly #links: Links;

  constructor(root: Root, directories: Directories, symlinks: boolean) {
    this.#root = root;
    this.#directories = directories;
    this.#links = new Links(directories, symlinks);
  }

  async plan(input: PlanInput): Promise<Plan> {
    const { files, download } = input;
    for (const { path } of files) parseRepoPath(path);
    refuseCollisions(files.map((file) => file.path));
    const { folder, snapshot } = this.#place(input);
    await this.#root.ready();
    const targets = new Map<number, Target>();
    const present = new Map<number, TargetPath>();
    await this.#directories.check(targetIn(folder, "blobs"));
    for (const dir of new Set(files.map(({ path }) => parentOf(targetIn(snapshot, path)))))
      await this.#directories.check(dir);
    const isNew = (await ifThere(this.#directories.disk.lstat(folder))) === undefined;
    for (const file of files) {
      const target = targetOf(file, folder, snapshot, download.id);
      targets.set(file.id, target);
      if (!isNew && (await isPresent(this.#directories.disk, target, file)))
        present.set(file.id, target.path);
      else if (!this.#links.available) delete target.blob;
    }
    const only = files.length === 1 ? targets.get(files[0]!.id) : undefined;
    return { targets, present, localPath: only?.path ?? snapshot };
  }

  /** The snapshot's name for content that has just come to stand in `blobs/`. */
  async link(target: Target): Promise<void> {
    if (target.blob !== undefined) await this.#links.point(target.path, target.blob, true);
  }

  /** The same for content that was there before; false when another download or program has taken it away meanwhile. */
  async keep({ path, blob }: Target): Promise<boolean> {
    const { disk } = this.#directories;
    const isThere = async (at: TargetPath) =>
      (await onDisk("look at", at, () => ifThere(disk.stat(at)))) !== undefined;
    if (blob === undefined || (await isThere(path))) return true;
    if (!(await isThere(blob))) return false;
    await this.#links.point(path, blob, false);
    return isThere(path);
  }

  /** Links for what was there before, then the ref: it must never name a snapshot that does not exist (§7 rule 3). */
  async finish(input: PlanInput, plan: Plan): Promise<void> {
    const { folder, snapshot, commit } = this.#place(input);
    for (const id of plan.present?.keys() ?? []) {
      const { path, blob } = plan.targets.get(id) ?? {};
      if (path === undefined || blob === undefined || (await ifThere(this.#directories.disk.stat(path))))
        continue;
      await this.#links.point(path, blob, false);
    }
    await this.#directories.ensure(snapshot);
    await this.#tag();
    const revision = input.download.source.revision ?? "main";
    if (revision !== commit)
      await writeRef(this.#directories, folder, parseRepoPath(revision), commit, input.download.id);
  }

  remove(path: TargetPath): Promise<void> {
    return removeFromCache(this.#root, this.#directories, path);
  }

  #place({ repo, download }: PlanInput): { folder: TargetPath; snapshot: TargetPath; commit: string } {
    const commit = download.commit ?? "";
    if (!/^[0-9a-f]{40}(?:[0-9a-f]{24})?$/.test(commit))
      throw new DownloadError(
        "invalid_path",
        `${showName(commit)} is not a commit; the hf-cache layout needs one.`,
      );
    const name = `models--${parseRepoPath(repo ?? "").replaceAll("/", "--")}`;
    const folder = targetIn(this.#root.path, name);
    return { folder, snapshot: targetIn(folder, "snapshots", commit), commit };
  }

  async #tag(): Promise<void> {
    const path = targetIn(this.#root.path, "CACHEDIR.TAG");
    try {
      await this.#directories.disk.writeFile(path, CACHEDIR_TAG, { flag: "wx" });
    } catch (error) {
      // A missing tag harms nobody.
      if (codeOf(error) !== "EEXIST" && codeOf(error) !== "EACCES") throw error;
    }
  }
}

/**
 * Blob names as the hub's clients expect them: SHA-256 for large files, git's SHA-1 for others (rule 1). Never
 * `{name}.incomplete` for what is not finished: older clients would take it for theirs (rule 9).
 */
function targetOf(file: PlannedFile, folder: TargetPath, snapshot: TargetPath, downloadId: string): Target {
  const { digest, path } = file;
  const named = digest?.algorithm === "sha256" || digest?.algorithm === "git-sha1" ? digest.hex : undefined;
  const key = named ?? createHash("sha1").update(path).digest("hex");
  const partial = targetIn(folder, "blobs", `${key}.${shortId(downloadId)}${PART_SUFFIX}`);
  const target = { path: targetIn(snapshot, path), partial };
  return named === undefined ? target : { ...target, blob: targetIn(folder, "blobs", named) };
}

/**
 * Whether the file is there under a name that says its content: its blob, or the snapshot's own name for it. Links
 * that lead nowhere or to something of another size are taken away, so that the file is fetched again.
 */
async function isPresent(disk: Disk, target: Target, file: PlannedFile): Promise<boolean> {
  return onDisk("look at", target.path, async () => {
    const fits = (found: { isFile(): boolean; size: number } | undefined) =>
      found?.isFile() === true && (file.size === null || found.size === file.size);
    const pointed = await ifThere(disk.stat(target.path));
    if (fits(pointed)) return true;
    const pointer = await ifThere(disk.lstat(target.path));
    if (pointer?.isSymbolicLink()) await disk.unlink(target.path);
    else if (pointer)
      throw new DownloadError(
        "name_collision",
        `${target.path} has another content than the hub's file: remove it, then retry.`,
      );
    return target.blob !== undefined && fits(await ifThere(disk.stat(target.blob)));
  });
}
