import type { Tools } from "./attempt.ts";
import {
  type Check,
  type Digest,
  type Download,
  type File,
  isDamaged,
  isFinished,
  type State,
} from "./download.ts";
import { DownloadError } from "./errors.ts";
import type { KeyedLock } from "./keyed-lock.ts";
import type { Page, PageRequest, StoredFile } from "./ports.ts";
import type { TargetPath } from "./target-path.ts";

/** A finished file as `GET /v1/files` shows it. */
export interface DiskFile {
  file: File;
  modelId: string;
  repo: string | null;
  provider: string;
  /** Of the download it belongs to; null when its record is gone. */
  downloadState: State | null;
  /** Still there, with the size it had. */
  exists: boolean;
  trust: Trust;
}

/**
 * What is known of a finished file's bytes. `verified`: they were compared with a promised digest. `damaged`: they were
 * found not to be what they should be. `changed`: somebody has written to it since they were known. `missing`: gone.
 */
export const TRUSTS = ["verified", "unverified", "damaged", "changed", "missing"] as const;
export type Trust = (typeof TRUSTS)[number];

/** File systems round times, and another machine that serves the disk has a clock of its own. Milliseconds. */
const TIME_SLACK_MS = 2000;

/** As `stored` says by now. */
function trustOf(file: File, stored: StoredFile): Trust {
  if (!stored.exists) return "missing";
  if (isChanged(file, stored)) return "changed";
  if (isDamaged(file)) return "damaged";
  return file.verified ? "verified" : "unverified";
}

const isWhole = ({ size }: File, stored: StoredFile): boolean => stored.exists && stored.size === size;

/** Whether it has been written to since it was last read as a whole, or else since it came. */
function isChanged(file: File, stored: StoredFile): boolean {
  const { checked, completedAt } = file;
  if (checked !== null) return checked.modifiedAt !== stored.modifiedAt;
  const sinceThen = (stored.modifiedAt ?? 0) - (completedAt ?? Number.POSITIVE_INFINITY);
  return !isWhole(file, stored) || sinceThen > TIME_SLACK_MS;
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
  readonly #records: KeyedLock;
  readonly #changed: (downloadId: string) => Promise<unknown>;

  /**
   * Who holds the lock of a download's id in `records` finds it, if it has ended, not tried again. `changed` is called when
   * a finished download has lost a file, to tell those who watch it.
   */
  constructor(tools: Tools, records: KeyedLock, changed: (downloadId: string) => Promise<unknown>) {
    this.#tools = tools;
    this.#records = records;
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

  /** Of these, the ids of those that are done and lie on our disk; with each whether it is still there, with its size. */
  async whole(files: readonly File[]): Promise<ReadonlyMap<number, boolean>> {
    const ours = files.filter(({ state, target }) => state === "done" && target !== null);
    return new Map(await Promise.all(ours.map(async (file) => [file.id, await this.#exists(file)] as const)));
  }

  /** Whether all that a completed download brought is still there. */
  async holds(download: Download): Promise<boolean> {
    const files = await this.#tools.db.files(download.id);
    if (files.length === 0 || files.length < download.filesTotal) return false;
    for (const file of files) if (!(await this.#exists(file))) return false;
    return true;
  }

  /**
   * Reads the whole file and compares it with the digest promised, else with the one computed before (F93). What was
   * found is kept, also for other downloads that have this file, until it is read again or fetched anew.
   * `onProgress` gets the bytes read so far, and the size.
   */
  async verify(
    id: number,
    signal?: AbortSignal,
    onProgress?: (bytes: number, total: number) => void,
  ): Promise<Verification> {
    const { file, path, modifiedAt } = await this.#present(id);
    const expected = file.digest ?? file.computed;
    const tell = onProgress && ((bytes: number): void => onProgress(bytes, Math.max(bytes, file.size ?? 0)));
    const digest = await this.#tools.digests.file(path, expected?.algorithm ?? "sha256", signal, tell);
    const matches = expected ? expected.hex === digest.hex : null;
    const verified = file.digest !== null && matches === true;
    // A digest computed once stays the reference for later; a mismatch must not become the new truth.
    const computed = matches === false ? file.computed : digest;
    const checked = { at: this.#tools.clock.now(), matches, found: digest, modifiedAt };
    const updated = await this.#tools.db.updateFile(id, { computed, verified, checked });
    await this.#share(id, path, checked);
    return { file: updated ?? file, digest, matches };
  }

  /** The same bytes in other records: each has its own digest to be compared with, where it is of the same kind. */
  async #share(id: number, path: TargetPath, check: Check): Promise<void> {
    for (const other of await this.#tools.db.filesByTarget(path)) {
      const expected = other.digest ?? other.computed;
      if (other.id === id || other.state !== "done" || expected?.algorithm !== check.found.algorithm)
        continue;
      const matches = expected.hex === check.found.hex;
      const verified = other.digest !== null && matches;
      await this.#tools.db.updateFile(other.id, { verified, checked: { ...check, matches } });
    }
  }

  /**
   * Removes the file from the list, and from disk unless another download has it too. Refused while its download still
   * works on others.
   */
  async remove(id: number): Promise<void> {
    const { downloadId } = await this.#find(id);
    await this.#records.run(downloadId, () => this.#remove(id));
  }

  async #remove(id: number): Promise<void> {
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

  async #present(id: number): Promise<{ file: File; path: TargetPath; modifiedAt: number | null }> {
    const file = await this.#find(id);
    const path = file.target;
    const stored = path === null ? undefined : await this.#tools.storage.stat(path);
    if (path !== null && stored?.exists) return { file, path, modifiedAt: stored.modifiedAt };
    throw new DownloadError("file_not_found", `'${file.path}' is no longer on disk. Download it again.`, {
      param: "id",
    });
  }

  async #dress(file: File): Promise<DiskFile> {
    const download = await this.#tools.db.get(file.downloadId);
    const stored = await this.#look(file);
    return {
      file,
      modelId: download?.modelId ?? file.path,
      repo: download?.repo ?? download?.source.repo ?? null,
      provider: download?.source.provider ?? "",
      downloadState: download?.state ?? null,
      exists: isWhole(file, stored),
      trust: trustOf(file, stored),
    };
  }

  async #exists(file: File): Promise<boolean> {
    return isWhole(file, await this.#look(file));
  }

  async #look({ state, target }: File): Promise<StoredFile> {
    if (state === "done" && target !== null) return this.#tools.storage.stat(target);
    return { exists: false, size: null, modifiedAt: null };
  }
}
