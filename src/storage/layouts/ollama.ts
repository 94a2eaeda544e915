import { relative, sep } from "node:path";
import { DownloadError } from "../../core/errors.ts";
import { foldPath, PART_SUFFIX, parseModelPath, showName } from "../../core/paths.ts";
import type { Plan, PlanInput, Target } from "../../core/ports.ts";
import { parentOf, type TargetPath, targetIn } from "../../core/target-path.ts";
import type { Directories } from "../directories.ts";
import { ifThere, onDisk } from "../errors.ts";
import { shortId } from "../names.ts";
import type { Root } from "../roots.ts";
import type { Layout } from "./layout.ts";
import { BLOB_PREFIX, blobName, blobsOf, namedDigests } from "./ollama-manifests.ts";

type PlannedFile = PlanInput["files"][number];

/**
 * Partial data. Not in `blobs/`, where a starting daemon deletes what is no digest, nor in `manifests/`, where every
 * file is a model (protocols/ollama.md §6).
 */
const STAGING = ".modelhaul";

/**
 * A models directory of Ollama (protocols/ollama.md §6): content in `blobs/` under its digest, shared by all models,
 * and `manifests/{host}/{namespace}/{model}/{tag}`, which makes a model of them. The manifest gets its name last, and
 * only while everything that it names is there.
 */
export class OllamaLayout implements Layout {
  readonly #root: Root;
  readonly #directories: Directories;
  #busy: Promise<unknown> = Promise.resolve();

  constructor(root: Root, directories: Directories) {
    this.#root = root;
    this.#directories = directories;
  }

  /** The first file of the list is what `local_path` shows: the source puts the model's weights there. */
  async plan({ files, download }: PlanInput): Promise<Plan> {
    await this.#root.ready();
    const id = shortId(download.id);
    const targets = new Map<number, Target>();
    for (const file of files) targets.set(file.id, await this.#target(file, id));
    const folders = new Set([...targets.values()].map(({ path }) => parentOf(path)));
    for (const dir of [this.#at(STAGING), ...folders]) await this.#directories.check(dir);
    return { targets, localPath: targets.get(files[0]?.id ?? -1)?.path ?? this.#root.path };
  }

  /** `named` gives the manifest its name, alone with this directory: nothing it names may go in the meantime. */
  seal({ partial }: Target, named: () => Promise<void>): Promise<void> {
    return this.#alone(async () => {
      const text = await onDisk("read", partial, () => this.#directories.disk.readFile(partial, "utf8"));
      for (const { hex, size } of blobsOf(text) ?? []) {
        const path = this.#at("blobs", blobName(hex));
        const there = await onDisk("look at", path, () => ifThere(this.#directories.disk.stat(path)));
        if (there?.isFile() && (size === null || there.size === size)) continue;
        throw new DownloadError(
          "io",
          `${path} was taken away while the rest of the model was being downloaded: it is fetched again.`,
        );
      }
      await named();
    });
  }

  async finish(): Promise<void> {
    await this.#directories.prune(this.#at(STAGING));
  }

  /**
   * A manifest goes with the blobs that no other one names; a blob stays while any manifest names it. Where a manifest
   * cannot be read, all blobs stay: a starting daemon knows what to do with them.
   */
  remove(path: TargetPath): Promise<void> {
    const [kind, name = ""] = relative(this.#root.path, path).split(sep);
    return this.#alone(() =>
      onDisk("remove", path, async () => {
        if (kind !== "blobs" && kind !== "manifests") await ifThere(this.#directories.disk.unlink(path));
        const blobs = kind === "blobs" ? [name] : kind === "manifests" ? await this.#dropManifest(path) : [];
        // Blobs that are elsewhere by now are none of ours (F198).
        const isElsewhere = await this.#directories.leadsOut(this.#at("blobs"));
        const named = isElsewhere
          ? undefined
          : await namedDigests(this.#directories.disk, this.#at("manifests"));
        for (const blob of blobs)
          if (named && !named.has(blob.slice(BLOB_PREFIX.length)))
            await ifThere(this.#directories.disk.unlink(this.#at("blobs", blob)));
        await this.#directories.prune(parentOf(path));
        await this.#directories.prune(this.#at("blobs"));
      }),
    );
  }

  /** Names of the blobs that it named. */
  async #dropManifest(path: TargetPath): Promise<string[]> {
    const text = await ifThere(this.#directories.disk.readFile(path, "utf8"));
    await ifThere(this.#directories.disk.unlink(path));
    return (blobsOf(text ?? "") ?? []).map(({ hex }) => blobName(hex));
  }

  #at(...names: string[]): TargetPath {
    return targetIn(this.#root.path, ...names);
  }

  async #target(file: PlannedFile, id: string): Promise<Target> {
    const [kind, ...names] = parseModelPath(file.path).split("/");
    const staged = (name: string) => this.#at(STAGING, `${name}.${id}${PART_SUFFIX}`);
    const hex = file.digest?.algorithm === "sha256" ? file.digest.hex : undefined;
    if (kind === "manifests" && canHold(names))
      return { path: await this.#spelled(names), partial: staged("manifest"), role: "seal" };
    const [name] = names;
    if (kind === "blobs" && name !== undefined && hex !== undefined && name === blobName(hex))
      return { path: this.#at("blobs", name), partial: staged(name), role: "content" };
    throw new DownloadError(
      "invalid_path",
      `${showName(file.path)} has no place in an Ollama models directory.`,
    );
  }

  /** Models whose names differ only in case are one to Ollama: the spelling that is there already is kept. */
  async #spelled(names: readonly string[]): Promise<TargetPath> {
    let at = this.#at("manifests");
    for (const name of names) {
      const dir = at;
      const there = (await onDisk("look at", dir, () => ifThere(this.#directories.disk.readdir(dir)))) ?? [];
      const known = there.includes(name) ? name : there.find((other) => foldPath(other) === foldPath(name));
      at = targetIn(dir, known ?? name);
    }
    return at;
  }

  /** One after the other: between looking at what manifests name and acting upon it, none may come or go. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#busy.then(work);
    this.#busy = done.catch(() => {});
    return done;
  }
}

/** A colon, which a host may have, cannot stand in a name on Windows (§6). */
const canHold = ([host = ""]: readonly string[]): boolean =>
  process.platform !== "win32" || !host.includes(":");
