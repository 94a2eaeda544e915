import { DownloadError } from "../core/errors.ts";
import type { Clock, Log, PlanInput, Storage } from "../core/ports.ts";
import { parentOf, type TargetPath } from "../core/target-path.ts";
import { commitPart } from "./commit.ts";
import { Directories } from "./directories.ts";
import { discardParts } from "./discard.ts";
import { type Disk, systemDisk } from "./disk.ts";
import { ifThere, onDisk } from "./errors.ts";
import { FlatLayout } from "./layouts/flat.ts";
import { HfCacheLayout } from "./layouts/hf-cache.ts";
import type { Layout } from "./layouts/layout.ts";
import { OllamaLayout } from "./layouts/ollama.ts";
import { locate } from "./locate.ts";
import type { Mounts } from "./mounts.ts";
import { openPart } from "./part-file.ts";
import { Root } from "./roots.ts";
import { Space } from "./space.ts";

export interface StorageOptions {
  modelsDir: string;
  /** Root of the Hugging Face cache, the one with `models--…` folders in it. */
  hfCacheDir: string;
  /** Ollama's models directory, the one with `blobs` and `manifests` in it. */
  ollamaModelsDir: string;
  clock: Clock;
  log: Log;
  /** Bytes that downloads always leave free on a volume; default 64 MiB. */
  minFreeBytes?: number;
  /** False makes the hf-cache layout do without symbolic links (`HF_HUB_DISABLE_SYMLINKS`); default true. */
  symlinks?: boolean;
  /** What earlier processes knew of their volumes. */
  mounts?: Mounts;
  /** The system's own unless given. */
  disk?: Disk;
}

const MIN_FREE = 64 * 1024 * 1024;

/** Where bytes rest: partial files, final names, layouts and space of the local disk. */
export function createStorage(options: StorageOptions): Storage {
  const { clock, minFreeBytes = MIN_FREE, symlinks = true, disk = systemDisk } = options;
  const models = new Root(options.modelsDir, clock, disk, options.mounts);
  const cache = new Root(options.hfCacheDir, clock, disk, options.mounts);
  const ollama = new Root(options.ollamaModelsDir, clock, disk, options.mounts);
  // The longer path first: one may lie in the other.
  const roots = [ollama, models, cache].sort((a, b) => b.path.length - a.path.length);
  const directories = new Directories(roots, disk);
  const flat = new FlatLayout(models, directories);
  const hub = new HfCacheLayout(cache, directories, symlinks);
  const daemons = new OllamaLayout(ollama, directories);
  const space = new Space(minFreeBytes, clock, disk);
  const mode = 0o666 & ~process.umask();

  /** A plain URL has no place in the hub's cache. */
  const layoutOf = ({ download, repo }: PlanInput): Layout => {
    if (download.layout === "ollama") return daemons;
    return download.layout === "hf-cache" && repo !== null && download.commit !== null ? hub : flat;
  };
  const ready = (path: TargetPath) => directories.rootOf(path).ready();

  return {
    // What a hub's cache or Ollama calls it depends on what is found there, which nobody knows yet.
    expected: (source, layout) =>
      layout === "ollama" || (layout === "hf-cache" && source.repo !== undefined)
        ? null
        : flat.expected(source),

    async checkWritable(source, layout) {
      const isHub = layout === "hf-cache" && source.repo !== undefined;
      const root = layout === "ollama" ? ollama : isHub ? cache : models;
      await directories.checkWritable((root === models && flat.expected(source)) || root.path, root);
    },

    plan: (input) => layoutOf(input).plan(input),
    release: (downloadId) => flat.release(downloadId),
    open: ({ partial }) => openPart(partial, directories),

    async commit(target, part) {
      const { partial, path, blob, role } = target;
      const replace = blob !== undefined || role !== undefined;
      const named = () => commitPart({ partial, final: blob ?? path, replace, mode }, part, directories);
      if (role === "seal") await daemons.seal(target, named);
      else await named();
      if (blob !== undefined) await hub.link(target);
      return path;
    },

    async keep(target) {
      return target.blob === undefined || hub.keep(target);
    },

    finish: (input, plan) => layoutOf(input).finish(input, plan),

    discard: (targets) => discardParts(targets, directories),

    async remove(path) {
      const root = directories.rootOf(parentOf(path));
      await directories.check(parentOf(path));
      const there = await onDisk("look at", path, () => ifThere(disk.stat(path)));
      if (there?.isDirectory())
        throw new DownloadError("invalid_path", `${path} is a directory, not a file.`);
      const layout = root === cache ? hub : root === ollama ? daemons : flat;
      await layout.remove(path);
    },

    async stat(path) {
      const there = await onDisk("look at", path, () => ifThere(disk.stat(path)));
      return there?.isFile()
        ? { exists: true, size: there.size, modifiedAt: there.mtimeMs }
        : { exists: false, size: null, modifiedAt: null };
    },

    locate: (text) => locate(models, text),

    async free(path) {
      await ready(path);
      return space.free(path);
    },

    async reserve(path, bytes) {
      await ready(path);
      return space.reserve(path, bytes);
    },

    async usage() {
      await models.ready();
      const freeBytes = await space.free(models.path);
      const used = await onDisk("count the files of", models.path, () =>
        space.used([models.path, cache.path, ollama.path]),
      );
      return { freeBytes, reservedBytes: space.reservedBytes, ...used };
    },
  };
}
