import { Database as Sqlite } from "bun:sqlite";
import { closeSync, existsSync, fsyncSync, linkSync, openSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { DownloadError } from "../core/errors.ts";
import { PART_SUFFIX } from "../core/paths.ts";
import { isBusy, isCorrupt, toDatabaseError } from "./errors.ts";
import { refuseNewer, versionOf } from "./migrate.ts";

/** Longest wait for whoever holds the database. */
const BUSY_TIMEOUT_MS = 5000;

export interface Backup {
  /** Of the file. */
  bytes: number;
  downloads: number;
}

/**
 * Writes one complete copy of a data directory's database to `file`, whether a daemon runs on it or not (F105). What a
 * crash left in the log is in it. What is known of partial files is not: they go on changing, and a copy that vouches
 * for bytes of another time could put together a wrong file. Throws `file_not_found` when there is no database,
 * `name_collision` when `file` exists, `locked`, `read_only`, `no_space`, `io`; then no file is left.
 */
export function backupDatabase(dataDir: string, file: string): Backup {
  const source = join(dataDir, "state.db");
  if (!existsSync(source))
    throw new DownloadError(
      "file_not_found",
      `There is no database in ${dataDir}, so there is nothing to back up. Name the data folder with --data-dir.`,
    );
  if (existsSync(file)) throw taken(file);
  const partial = `${file}${PART_SUFFIX}`;
  try {
    // Its mode is there before its content; one that a crash left behind is begun anew.
    rmSync(partial, { force: true });
    closeSync(openSync(partial, "wx", 0o600));
    copy(source, partial, dataDir);
    const downloads = complete(partial);
    sync(partial);
    giveName(partial, file);
    syncFolder(dirname(file));
    return { bytes: statSync(file).size, downloads };
  } catch (error) {
    rmSync(partial, { force: true });
    throw explained(error, dataDir, file);
  }
}

/** Reads as one of several readers: a daemon goes on writing meanwhile. */
function copy(source: string, partial: string, dataDir: string): void {
  const db = new Sqlite(source, { readonly: true });
  try {
    db.run(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    refuseNewer(versionOf(db), dataDir);
    db.run("VACUUM INTO ?", [partial]);
  } finally {
    db.close();
  }
}

/** Unfinished files begin again, and say so. */
const WITHOUT_PARTIALS = [
  "DELETE FROM receipts",
  `UPDATE downloads SET bytes = (SELECT ifnull(sum(bytes), 0) FROM files WHERE download_id = downloads.id AND state = 'done')
   WHERE id IN (SELECT download_id FROM files WHERE state <> 'done')`,
  "UPDATE files SET bytes = 0 WHERE state <> 'done'",
];

/** Makes the copy fit to be started from; how many downloads it has. Throws when it is not whole. */
function complete(partial: string): number {
  const db = new Sqlite(partial, { readwrite: true, create: false });
  try {
    // Nobody else sees this file yet, and it is synced as a whole.
    db.run("PRAGMA journal_mode = OFF");
    for (const change of WITHOUT_PARTIALS) db.run(change);
    const [[state]] = db.query("PRAGMA quick_check(1)").values() as [[string]];
    if (state !== "ok") throw new DownloadError("io", `The copy is damaged: ${state}`);
    return (db.query("SELECT count(*) AS count FROM downloads").get() as { count: number }).count;
  } finally {
    db.close();
  }
}

function sync(path: string): void {
  const fd = openSync(path, "r+");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Without a durable name the copy is complete all the same; some systems cannot sync a folder. */
function syncFolder(dir: string): void {
  try {
    const fd = openSync(dir, "r");
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch {
    // Nothing to be done about it.
  }
}

/** A link is refused by the system itself when the name exists. */
function giveName(partial: string, file: string): void {
  try {
    linkSync(partial, file);
  } catch (error) {
    if (codeOf(error) === "EEXIST" || existsSync(file)) throw taken(file);
    // A file system without hard links.
    renameSync(partial, file);
  }
  rmSync(partial, { force: true });
}

const taken = (file: string): DownloadError =>
  new DownloadError("name_collision", `${file} exists already and is not overwritten: choose another name.`);

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error ? String(error.code) : "";

/** Names the side that is to blame: what is read, or what is written. */
function explained(error: unknown, dataDir: string, file: string): unknown {
  if (error instanceof DownloadError) return error;
  if (isBusy(error) || isCorrupt(error)) return toDatabaseError(error, dataDir);
  const text = error instanceof Error ? error.message : String(error);
  const code = codeOf(error);
  const kind = /^(SQLITE_FULL|ENOSPC|EDQUOT)/.test(code)
    ? "no_space"
    : /^(SQLITE_(READONLY|CANTOPEN|PERM)|EROFS|EACCES|EPERM)/.test(code)
      ? "read_only"
      : "io";
  return new DownloadError(kind, `Could not write the backup ${file}: ${text}`, { cause: error });
}
