import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type TempDir, tempDir } from "../support/temp.ts";
import { judgeOrder, type Verdict } from "./order.ts";
import { stepsOf } from "./trace.ts";

const hex = (bytes: Uint8Array | string): string =>
  [...Buffer.from(bytes)].map((it) => `\\x${it.toString(16).padStart(2, "0")}`).join("");

/** A models folder, and a database that has nothing done yet and a log that records one file. */
class World implements Disposable {
  readonly dir: TempDir = tempDir("order");
  readonly root = this.dir.at("models");
  readonly part = join(this.root, "m.gguf.01234567.part");
  readonly final = join(this.root, "m.gguf");
  readonly state = this.dir.at("state.db");
  readonly #database: Uint8Array;
  readonly #log: Uint8Array;

  constructor() {
    mkdirSync(this.root);
    const db = new Database(this.state);
    db.run("PRAGMA journal_mode = WAL");
    db.run("CREATE TABLE downloads (id TEXT, state TEXT)");
    db.run("CREATE TABLE files (download_id TEXT, target TEXT, digest TEXT, state TEXT)");
    db.run("INSERT INTO downloads VALUES ('d', 'downloading')");
    db.run("INSERT INTO files VALUES ('d', ?, NULL, 'pending')", [this.final]);
    db.query("PRAGMA wal_checkpoint(TRUNCATE)").get();
    this.#database = new Uint8Array(readFileSync(this.state));
    db.run("UPDATE files SET state = 'done'");
    this.#log = new Uint8Array(readFileSync(`${this.state}-wal`));
    db.close();
  }

  judge(...lines: string[]): Verdict {
    const options = {
      root: this.root,
      dataDir: this.dir.path,
      database: this.#database,
      scratch: this.dir.path,
    };
    return judgeOrder(stepsOf(lines), options);
  }

  write = (thread = 1, end = "= 4"): string =>
    `${thread} pwrite64(9<${hex(this.part)}>, "${hex("data")}", 4, 0) ${end}`;
  sync = (path = this.part): string => `1 fdatasync(9<${hex(path)}>) = 0`;
  name = (): string => `1 link("${hex(this.part)}", "${hex(this.final)}") = 0`;
  folder = (): string => `2 fsync(8<${hex(this.root)}>) = 0`;
  /** The commit that says it is done, as SQLite writes it: head, then frames. */
  record(): string[] {
    const cut = (from: number, to: number): string =>
      `3 pwrite64(5<${hex(`${this.state}-wal`)}>, "${hex(this.#log.subarray(from, to))}", ${to - from}, ${from}) = ${to - from}`;
    const lines = [cut(0, 32)];
    for (let at = 32; at < this.#log.length; at += 24 + 4096)
      lines.push(cut(at, at + 24), cut(at + 24, at + 24 + 4096));
    return lines;
  }

  [Symbol.dispose](): void {
    this.dir[Symbol.dispose]();
  }
}

test("F98 the judge finds nothing wrong with write, sync, name, sync of the folder, record", () => {
  using it = new World();
  const verdict = it.judge(it.write(), it.sync(), it.name(), it.folder(), ...it.record());
  expect(verdict).toEqual({ named: 1, recorded: 1, violations: [] });
});

test.each<[string, (it: World) => string[], RegExp]>([
  [
    "a name without a sync",
    (it) => [it.write(), it.name(), it.folder()],
    /named with 2 writes that were not synced/,
  ],
  [
    "a write after the sync",
    (it) => [it.write(), it.sync(), it.write(), it.name(), it.folder()],
    /named with 2 writes/,
  ],
  [
    "a sync that began before the write had ended",
    (it) => [
      it.write(7, "<unfinished ...>").replace(") <", " <"),
      it.sync(),
      "7 <... pwrite64 resumed>) = 4",
      it.name(),
      it.folder(),
    ],
    /named with 1 writes/,
  ],
  [
    "a failed sync",
    (it) => [it.write(), it.sync().replace("= 0", "= -1 EIO"), it.name(), it.folder()],
    /named with 2/,
  ],
  [
    "a sync of another file",
    (it) => [it.write(), it.sync(`${it.part}2`), it.name(), it.folder()],
    /named with 2/,
  ],
  [
    "a folder that is never synced",
    (it) => [it.write(), it.sync(), it.name()],
    /the folder of .* was never synced/,
  ],
  [
    "a sync of the folder before the name",
    (it) => [it.write(), it.sync(), it.folder(), it.name()],
    /the folder of .* was never synced/,
  ],
  [
    "a record before the name",
    (it) => [it.write(), it.sync(), ...it.record(), it.name(), it.folder()],
    /recorded as done before its name/,
  ],
  [
    "a record before the sync of the folder",
    (it) => [it.write(), it.sync(), it.name(), ...it.record(), it.folder()],
    /recorded as done before its name/,
  ],
])("F98 the judge finds %s", (_, lines, violation) => {
  using it = new World();
  const { violations } = it.judge(...lines(it));
  expect(violations.join("\n")).toMatch(violation);
});
