import { Database as Sqlite } from "bun:sqlite";
import { join } from "node:path";
import { ensureFile } from "./lock.ts";
import { migrate, refuseNewer, versionOf } from "./migrate.ts";
import type { SystemCalls } from "./system.ts";

/** File systems whose shared memory cannot be relied on, as `statfs` tells them (linux/magic.h and their own sources). */
const NETWORK_TYPES = new Set([
  0x6969, // NFS
  0x517b, // SMB
  0xff534d42, // CIFS
  0xfe534d42, // SMB2
  0x01021997, // 9p
  0x65735546, // FUSE, virtiofs
  0x00c36400, // Ceph
  0x0bd00bd0, // Lustre
  0x5346414f, // AFS
  0x47504653, // GPFS
  0x19830326, // BeeGFS
  0x01161970, // GFS2
  0x7461636f, // OCFS2
  0x786f4256, // VirtualBox shared folders
]);

/** Before it two connections that wrote at the same moment could damage a database with a write-ahead log (F104). */
const SAFE_TO_SHARE = [3, 51, 3];

export interface Connection {
  calls: SystemCalls;
  db: Sqlite;
  path: string;
  /** False: this connection alone may open the database, without shared memory. */
  shared: boolean;
}

/** The database's file. */
export const DATABASE = "state.db";

/**
 * Opens `state.db`, or the file of another name, with its schema up to date. Throws SQLite's corruption errors for the caller to handle, and
 * `internal` for a database of a newer modelhaul.
 */
export function connect(
  calls: SystemCalls,
  dataDir: string,
  shared = !isNetwork(calls, dataDir) && isSafeToShare(),
  name = DATABASE,
): Connection {
  const path = join(dataDir, name);
  if (calls.existsSync(path)) inspect(calls, path, dataDir);
  for (const name of [path, `${path}-wal`, `${path}-shm`])
    if (name === path || calls.existsSync(name)) ensureFile(calls, name);
  const db = calls.sqlite(path, { readwrite: true, create: true });
  try {
    // Nobody may stop the event loop for a lock: the store waits for it between tries instead.
    db.run("PRAGMA busy_timeout = 0");
    // Without shared memory WAL works on network file systems too, for one process (F106); lock.db sees to that.
    if (!shared) db.run("PRAGMA locking_mode = EXCLUSIVE");
    db.run("PRAGMA journal_mode = WAL");
    // No sync with each commit: the store brings the log to disk itself where that was promised.
    db.run("PRAGMA synchronous = NORMAL");
    db.run("PRAGMA foreign_keys = ON");
    db.run("PRAGMA cache_size = -16384");
    // No volume but that of the database: one for temporary files may be full, or not ours to write.
    db.run("PRAGMA temp_store = MEMORY");
    migrate(db);
    checkAfterCrash(db);
  } catch (error) {
    db.close();
    throw error;
  }
  return { calls, db, path, shared };
}

/** Looks before anything is written, were it only a log that is folded in (F107). */
function inspect(calls: SystemCalls, path: string, dataDir: string): void {
  const db = calls.sqlite(path, { readonly: true });
  try {
    refuseNewer(versionOf(db), dataDir);
  } finally {
    db.close();
  }
}

/** A database that was not closed is looked through once; one that was is trusted, so that starting stays quick. */
function checkAfterCrash(db: Sqlite): void {
  const clean = db.query("SELECT value FROM meta WHERE key = 'clean'").get() as { value: string } | null;
  if (clean?.value === "0") {
    const [first] = db.query("PRAGMA quick_check(1)").values() as [[string]];
    if (first[0] !== "ok") throw new CorruptDatabase(first[0]);
  }
  db.run("INSERT INTO meta VALUES ('clean', '0') ON CONFLICT DO UPDATE SET value = '0'");
}

/** What `quick_check` found, in the form of SQLite's own report. */
class CorruptDatabase extends Error {
  override readonly name = "SQLiteError";
  readonly code = "SQLITE_CORRUPT";
}

/** Version of the SQLite in use: the one inside Bun, or that of the system on macOS. */
export function sqliteVersion(): string {
  const db = new Sqlite(":memory:");
  try {
    return (db.query("SELECT sqlite_version() AS version").get() as { version: string }).version;
  } finally {
    db.close();
  }
}

/** Whether several connections may use one database at the same time: not with the releases that may damage it then (F104). */
export function isSafeToShare(version = sqliteVersion()): boolean {
  const parts = version.split(".").map(Number);
  const at = SAFE_TO_SHARE.findIndex((part, i) => parts[i] !== part);
  return at === -1 || (parts[at] ?? 0) > SAFE_TO_SHARE[at]!;
}

function isNetwork(calls: SystemCalls, dataDir: string): boolean {
  return NETWORK_TYPES.has(calls.statfsSync(dataDir).type);
}
