import { mkdir, readdir, readFile, rename, rm, rmdir, writeFile } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import type { Downloads, Snapshot } from "../../core/downloads.ts";
import type { Log } from "../../core/ports.ts";
import { fileNameOf, pairOfFileName } from "./file-name.ts";
import { isGone, isTracked, keyOf, type Pair } from "./pair.ts";
import { Pairs } from "./pairs.ts";
import { presentFile } from "./present.ts";

/** A file is written at most once in this time, but for the last word when we close. */
const PAUSE_MS = 300;
/** When the disk did not take it. */
const RETRY_MS = 2000;
/** Files written at the same time. */
const AT_ONCE = 8;
const TEMPORARY = ".new-";

export interface ProgressFilesOptions {
  downloads: Downloads;
  /** The folder; made when it is missing. */
  dir: string;
  log: Log;
}

/**
 * One JSON file `{status, progress, error}` for each one-file download from a hub, named after repository and path
 * (R148, `fileNameOf`). Each is replaced as a whole, at most a few times a second, and what it says last is what is true. All
 * are compared with the records at the start, so that nothing an earlier process left behind is believed; they are
 * not synced, since after a power loss that is what mends them. Failures are logged and tried again: a download never
 * waits for its progress file.
 */
export class ProgressFiles {
  readonly pairs: Pairs;
  /** Resolves when every file says what is true. Never rejects. */
  readonly ready: Promise<void>;
  readonly #downloads: Downloads;
  readonly #dir: string;
  readonly #log: Log;
  /** What is to be written, by key: as last told, or null where the record must be read. */
  readonly #dirty = new Map<string, Snapshot | null>();
  /** Text of the files of what is under way. */
  readonly #written = new Map<string, string>();
  readonly #resting = new Map<string, Timer>();
  /** Not taken by the disk; it is told once, until all are. */
  readonly #failing = new Set<string>();
  readonly #busy = new Map<string, Promise<void>>();
  #running: Promise<void> | undefined;
  readonly #temporary = `${TEMPORARY}${crypto.randomUUID()}-`;
  #temporaries = 0;
  #isClosed = false;

  constructor({ downloads, dir, log }: ProgressFilesOptions) {
    this.#downloads = downloads;
    this.#dir = dir;
    this.#log = log;
    this.pairs = new Pairs(downloads, (key, download) => this.#note(key, download));
    this.ready = this.#reconcile();
  }

  /** Resolves when the file of this pair says what is true, or the disk does not take it. */
  async settled(pair: Pair): Promise<void> {
    const key = keyOf(pair);
    await (this.#dirty.has(key) ? this.#write(key) : this.#busy.get(key));
  }

  /** Writes the last word of every download. Call it when none can move any more, and the records can still be read. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.ready;
    this.pairs.stop();
    for (const timer of this.#resting.values()) clearTimeout(timer);
    await this.#running;
    for (const key of [...this.#dirty.keys()]) {
      await this.#write(key);
      if (this.#dirty.has(key)) return;
    }
  }

  async #reconcile(): Promise<void> {
    try {
      await mkdir(this.#dir, { recursive: true });
      await this.pairs.ready(() => this.#drained());
      await this.#drained();
      await this.#removeStray();
    } catch (error) {
      this.#complain(error);
    }
  }

  /** Names that belong to no record, and what a crash left of a write. Files that are none of ours stay. */
  async #removeStray(): Promise<void> {
    for (const entry of await readdir(this.#dir, { recursive: true, withFileTypes: true })) {
      if (entry.isDirectory()) continue;
      const path = join(entry.parentPath, entry.name);
      const name = relative(this.#dir, path).split(sep).join("/");
      const pair = pairOfFileName(name);
      const isTemporary = name.startsWith(TEMPORARY) && !name.startsWith(this.#temporary);
      if (isTemporary || (pair && this.pairs.tracked(keyOf(pair)) === undefined)) await this.#remove(path);
    }
  }

  #note(key: string, download: Snapshot | null): void {
    if (download && !isTracked(download)) return;
    this.#dirty.set(key, download);
    if (!this.#isClosed) this.#start();
  }

  #start(): Promise<void> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #drained(): Promise<void> {
    while (this.#next(1).length > 0) await this.#start();
  }

  /** The next that may be written, in the order in which they changed. */
  #next(most: number): string[] {
    const keys: string[] = [];
    for (const key of this.#dirty.keys()) {
      if (!this.#resting.has(key)) keys.push(key);
      if (keys.length === most) break;
    }
    return keys;
  }

  async #run(): Promise<void> {
    for (let keys = this.#next(AT_ONCE); keys.length > 0; keys = this.#next(AT_ONCE))
      await Promise.all(keys.map((key) => this.#write(key)));
  }

  #rest(key: string, ms: number): void {
    if (this.#isClosed) return;
    clearTimeout(this.#resting.get(key));
    const wake = (): void => {
      this.#resting.delete(key);
      if (this.#dirty.has(key) && !this.#isClosed) void this.#start();
    };
    this.#resting.set(key, setTimeout(wake, ms));
  }

  /** One after the other for each file, so that what is newer is written later. */
  #write(key: string): Promise<void> {
    const work = (this.#busy.get(key) ?? Promise.resolve()).then(() => this.#settle(key));
    this.#busy.set(key, work);
    return work.finally(() => {
      if (this.#busy.get(key) === work) this.#busy.delete(key);
    });
  }

  async #settle(key: string): Promise<void> {
    const told = this.#dirty.get(key);
    if (told === undefined) return;
    this.#dirty.delete(key);
    try {
      const isNew = await this.#replace(key, told ?? (await this.#read(key)));
      if (isNew) this.#rest(key, PAUSE_MS);
      this.#failing.delete(key);
    } catch (error) {
      if (this.#failing.size === 0) this.#complain(error);
      this.#failing.add(key);
      if (!this.#dirty.has(key)) this.#dirty.set(key, null);
      this.#rest(key, RETRY_MS);
    }
  }

  async #read(key: string): Promise<Snapshot | undefined> {
    const id = this.pairs.tracked(key);
    return id === undefined ? undefined : this.#downloads.find(id);
  }

  /** True when there was something to write. */
  async #replace(key: string, download: Snapshot | undefined): Promise<boolean> {
    const [repo, file] = JSON.parse(key) as [string, string];
    const path = join(this.#dir, fileNameOf({ repo, file }));
    if (!download || (await isGone(this.#downloads, download))) {
      this.#written.delete(key);
      await this.#remove(path);
      return false;
    }
    const text = JSON.stringify(presentFile(download));
    const known = this.#written.get(key) ?? (await readFile(path, "utf8").catch(() => undefined));
    if (download.endedAt === null) this.#written.set(key, text);
    else this.#written.delete(key);
    if (known === text) return false;
    try {
      await this.#put(path, text);
      return true;
    } catch (error) {
      this.#written.delete(key);
      throw error;
    }
  }

  async #put(path: string, text: string): Promise<void> {
    const temporary = join(this.#dir, this.#temporary + this.#temporaries++);
    try {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(temporary, text);
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    }
  }

  /** With the folders that only a long name needed. */
  async #remove(path: string): Promise<void> {
    await rm(path, { force: true });
    for (let at = dirname(path); at.length > this.#dir.length; at = dirname(at)) {
      try {
        await rmdir(at);
      } catch {
        // Another long name goes on in it.
        return;
      }
    }
  }

  #complain(error: unknown): void {
    this.#log.warn("could not write progress files; programs that read them see old progress", {
      folder: this.#dir,
      error: error instanceof Error ? error.message : String(error),
    });
  }
}
