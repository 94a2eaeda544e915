import { type DatabaseOptions, Database as Sqlite } from "bun:sqlite";
import fs from "node:fs";

/**
 * All that this room asks of SQLite and of the disk under it. Handed in by whoever composes the rooms, so that each
 * statement and each call can be made to fail (FAULTS G5). Checkpoints in the worker are asked of SQLite there.
 */
export const systemCalls = {
  sqlite: (path: string, options: DatabaseOptions): Sqlite => new Sqlite(path, options),
  chmodSync: fs.chmodSync,
  closeSync: fs.closeSync,
  existsSync: fs.existsSync,
  fdatasync: fs.fdatasync,
  fdatasyncSync: fs.fdatasyncSync,
  mkdirSync: fs.mkdirSync,
  openSync: fs.openSync,
  readdirSync: fs.readdirSync,
  renameSync: fs.renameSync,
  statSync: fs.statSync,
  statfsSync: fs.statfsSync,
  truncateSync: fs.truncateSync,
  unlinkSync: fs.unlinkSync,
  writeSync: fs.writeSync,
};

export type SystemCalls = Readonly<typeof systemCalls>;
