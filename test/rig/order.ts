import { Database } from "bun:sqlite";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { isNaming, isSync, isWrite, type Step } from "./trace.ts";

/** What became of the promise about one final name. */
export interface Verdict {
  /** Final names that were given. */
  named: number;
  /** Files that the database calls done, when everything was over. */
  recorded: number;
  /** Each as a sentence. */
  violations: string[];
}

export interface OrderOptions {
  /** Folder of the models: what gets a name in it is final unless it ends in `.part`. */
  root: string;
  /** The database as it was before the trace began, and the folder it is in. */
  dataDir: string;
  database: Uint8Array;
  /** A folder to lay copies of the database into. */
  scratch: string;
}

const PART = ".part";
const FIRST_SIZE = 1 << 16;

/**
 * Judges a trace (F98, F100, G3): no name without a sync of that very file after its last write, no record of a file
 * as done before its name and a sync of the folder that came after it. The database is played from the trace, so that
 * what a power cut would have found in it is known at every point.
 */
export function judgeOrder(steps: Iterable<Step>, options: OrderOptions): Verdict {
  const judge = new Judge(options);
  for (const step of steps) judge.see(step);
  return judge.verdict();
}

/** What is known of the content of one file. */
interface Content {
  /** Grows with everything that is written. */
  version: number;
  synced: number;
}

class Judge {
  readonly #root: string;
  readonly #contents = new Map<string, Content>();
  readonly #syncs = new Map<number, number>();
  /** Final names whose folder was not synced since, and whether their sync has begun, by thread. */
  readonly #unsafe = new Map<string, { by: Set<number> }>();
  readonly #played: Played;
  readonly #violations: string[] = [];
  #named = 0;

  constructor(options: OrderOptions) {
    this.#root = `${options.root}/`;
    this.#played = new Played(options);
  }

  see(step: Step): void {
    const [path = ""] = step.paths;
    if (isWrite(step.call)) this.#write(step, path);
    else if (isSync(step.call)) this.#sync(step, path);
    else if (isNaming(step.call)) this.#name(step);
  }

  #write(step: Step, path: string): void {
    if (this.#played.takes(path)) {
      if (step.when === "begins") this.#played.write(step, path);
    } else if (path.startsWith(this.#root)) this.#content(path).version += 1;
  }

  #sync(step: Step, path: string): void {
    if (step.when === "begins") {
      this.#syncs.set(step.thread, this.#content(path).version);
      for (const [name, { by }] of this.#unsafe) if (dirname(name) === path) by.add(step.thread);
      return;
    }
    const version = this.#syncs.get(step.thread);
    if (step.failed || version === undefined) return;
    const content = this.#content(path);
    content.synced = Math.max(content.synced, version);
    const safe = [...this.#unsafe].filter(([name, { by }]) => dirname(name) === path && by.has(step.thread));
    if (safe.length === 0) return;
    // Last moment at which a power cut could still take the names away.
    this.#expectUnrecorded(safe.map(([name]) => name));
    for (const [name] of safe) this.#unsafe.delete(name);
  }

  #name(step: Step): void {
    const [from = "", to = ""] = step.paths;
    if (!to.startsWith(this.#root) || to.endsWith(PART)) return;
    const isLink = step.call.startsWith("symlink");
    if (step.when === "begins") {
      const { version, synced } = this.#content(from);
      if (!isLink && synced < version)
        this.#violations.push(`${to} was named with ${version - synced} writes that were not synced`);
      this.#expectUnrecorded([to]);
    } else if (!step.failed) {
      this.#named += 1;
      this.#unsafe.set(to, { by: new Set() });
      if (!isLink) this.#contents.set(to, { ...this.#content(from) });
    }
  }

  #expectUnrecorded(names: readonly string[]): void {
    const done = this.#played.done();
    for (const name of names)
      if (done.has(name) || done.has(basename(name)))
        this.#violations.push(`${name} was recorded as done before its name was on the disk`);
  }

  #content(path: string): Content {
    let content = this.#contents.get(path);
    if (!content) {
      content = { version: 0, synced: 0 };
      this.#contents.set(path, content);
    }
    return content;
  }

  verdict(): Verdict {
    for (const name of this.#unsafe.keys()) this.#violations.push(`the folder of ${name} was never synced`);
    this.#violations.push(...this.#played.faults);
    return { named: this.#named, recorded: this.#played.files(), violations: this.#violations };
  }
}

/** The database as the calls have written it so far. */
class Played {
  readonly faults: string[] = [];
  readonly #scratch: string;
  readonly #images: Map<string, { bytes: Uint8Array; length: number }>;
  #known: { done: Set<string>; files: number } | undefined;
  #copies = 0;

  constructor({ dataDir, database, scratch }: OrderOptions) {
    this.#scratch = scratch;
    const path = join(dataDir, "state.db");
    this.#images = new Map([
      [path, { bytes: database.slice(), length: database.length }],
      [`${path}-wal`, { bytes: new Uint8Array(FIRST_SIZE), length: 0 }],
    ]);
  }

  takes(path: string): boolean {
    return this.#images.has(path);
  }

  write({ call, data, offset, isCut }: Step, path: string): void {
    const image = this.#images.get(path)!;
    this.#known = undefined;
    if (call === "ftruncate") return;
    if (data === undefined || offset === undefined || isCut) {
      this.faults.push(`${call} on ${path} cannot be played`);
      return;
    }
    const end = offset + data.length;
    if (end > image.bytes.length) {
      const larger = new Uint8Array(Math.max(end, 2 * image.bytes.length));
      larger.set(image.bytes);
      image.bytes = larger;
    }
    image.bytes.set(data, offset);
    image.length = Math.max(image.length, end);
  }

  /** Paths, and digests, of the files that it calls done or whose download is completed. */
  done(): Set<string> {
    return this.#look().done;
  }

  /** How many files it calls done. */
  files(): number {
    return this.#look().files;
  }

  #look(): { done: Set<string>; files: number } {
    this.#known ??= this.#ask();
    return this.#known;
  }

  #ask(): { done: Set<string>; files: number } {
    const dir = join(this.#scratch, String(++this.#copies));
    mkdirSync(dir);
    for (const [path, { bytes, length }] of this.#images)
      writeFileSync(join(dir, basename(path)), bytes.subarray(0, length));
    const db = new Database(join(dir, "state.db"));
    try {
      const rows = db
        .query<{ target: string | null; digest: string | null }, []>(
          `SELECT f.target, json_extract(f.digest, '$.hex') AS digest FROM files f
           JOIN downloads d ON d.id = f.download_id WHERE f.state = 'done' OR d.state = 'completed'`,
        )
        .all();
      const done = rows.flatMap(({ target, digest }) => [target, digest].filter((it) => it !== null));
      return { done: new Set(done), files: rows.length };
    } finally {
      db.close();
      rmSync(dir, { recursive: true });
    }
  }
}
