import type { Tools } from "./attempt.ts";
import { type Digest, type Download, type File, isFinished } from "./download.ts";
import { DownloadError } from "./errors.ts";
import type { Page, PageRequest } from "./ports.ts";
import type { TargetPath } from "./target-path.ts";

/** A finished file as `GET /v1/files` shows it. */
export interface DiskFile {
  file: File;
  modelId: string;
  repo: string | null;
  provider: string;
  /** Still there, with the size it had. */
  exists: boolean;
}

export interface Verification {
  file: File;
  digest: Digest;
  /** Whether it is what was promised or computed before; null when there was nothing to compare with. */
  matches: boolean | null;
}

/** Removes a record's file from disk, unless another download works on it or has finished with it (F91). */
export async function removeFromDisk({ db, storage }: Tools, file: File): Promise<void> {
  if (file.state !== "done" || file.target === null) return;
  const owners = await db.filesByTarget(file.target);
  if (owners.every((other) => other.downloadId === file.downloadId)) await storage.remove(file.target);
}

/** What is on disk: finished files of all downloads, and what can be done with one. */
export class DiskFiles {
  readonly #tools: Tools;
  readonly #changed: (downloadId: string) => Promise<unknown>;

  /** `changed` is called when a finished download has lost a file, to tell those who watch it. */
  constructor(tools: Tools, changed: (downloadId: string) => Promise<unknown>) {
    this.#tools = tools;
    this.#changed = changed;
  }

  async list(page: PageRequest): Promise<Page<DiskFile>> {
    const { items, nextCursor } = await this.#tools.db.doneFiles(page);
    return { items: await Promise.all(items.map((file) => this.#dress(file))), nextCursor };
  }

  /** Absolute path of what a client's path names inside the models directory; undefined when nothing of ours is there. */
  async locate(path: string): Promise<TargetPath | undefined> {
    return this.#tools.storage.locate?.(path);
  }

  /** Whether all that a completed download brought is still there. */
  async holds(download: Download): Promise<boolean> {
    const files = await this.#tools.db.files(download.id);
    if (files.length === 0 || files.length < download.filesTotal) return false;
    for (const file of files) if (!(await this.#exists(file))) return false;
    return true;
  }

  /**
   * Reads the whole file and compares it with the digest promised, else with the one computed before (F93).
   * `onProgress` gets the bytes read so far, and the size.
   */
  async verify(
    id: number,
    signal?: AbortSignal,
    onProgress?: (bytes: number, total: number) => void,
  ): Promise<Verification> {
    const { file, path } = await this.#present(id);
    const expected = file.digest ?? file.computed;
    const tell = onProgress && ((bytes: number): void => onProgress(bytes, Math.max(bytes, file.size ?? 0)));
    const digest = await this.#tools.digests.file(path, expected?.algorithm ?? "sha256", signal, tell);
    const matches = expected ? expected.hex === digest.hex : null;
    const verified = file.digest !== null && matches === true;
    // A digest computed once stays the reference for later; a mismatch must not become the new truth.
    const computed = matches === false ? file.computed : digest;
    const updated = await this.#tools.db.updateFile(id, { computed, verified });
    return { file: updated ?? file, digest, matches };
  }

  /**
   * Removes the file from the list, and from disk unless another download has it too. Refused while its download still
   * works on others.
   */
  async remove(id: number): Promise<void> {
    const file = await this.#find(id);
    const download = await this.#tools.db.get(file.downloadId);
    if (download && !isFinished(download.state)) {
      throw new DownloadError(
        "invalid_state",
        `'${file.path}' belongs to a download that is ${download.state}; cancel it first.`,
      );
    }
    await removeFromDisk(this.#tools, file);
    await this.#tools.db.deleteFile(id);
    await this.#changed(file.downloadId);
  }

  async #find(id: number): Promise<File> {
    const file = await this.#tools.db.file(id);
    if (file && file.state === "done" && file.target !== null) return file;
    throw new DownloadError("file_not_found", `No file with id ${id} is on disk.`, { param: "id" });
  }

  async #present(id: number): Promise<{ file: File; path: TargetPath }> {
    const file = await this.#find(id);
    const path = file.target;
    if (path !== null && (await this.#tools.storage.stat(path)).exists) return { file, path };
    throw new DownloadError("file_not_found", `'${file.path}' is no longer on disk. Download it again.`, {
      param: "id",
    });
  }

  async #dress(file: File): Promise<DiskFile> {
    const download = await this.#tools.db.get(file.downloadId);
    return {
      file,
      modelId: download?.modelId ?? file.path,
      repo: download?.repo ?? download?.source.repo ?? null,
      provider: download?.source.provider ?? "",
      exists: await this.#exists(file),
    };
  }

  async #exists(file: File): Promise<boolean> {
    if (file.state !== "done" || file.target === null) return false;
    const stored = await this.#tools.storage.stat(file.target);
    return stored.exists && stored.size === file.size;
  }
}
