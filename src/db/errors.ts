import { DownloadError } from "../core/errors.ts";

interface SqliteError extends Error {
  code: string;
}

/** Whether this came from SQLite; `code` is its extended result code by name. */
export function isSqliteError(error: unknown): error is SqliteError {
  return error instanceof Error && error.name === "SQLiteError" && "code" in error;
}

/** Someone else (a shell, a backup) holds the lock just now; trying again is the answer (F102). */
export function isBusy(error: unknown): boolean {
  return isSqliteError(error) && /^SQLITE_(BUSY|LOCKED)/.test(error.code);
}

/** The volume has no room for what was to be written (F80), be it the memory that connections share. */
export function isFull(error: unknown): boolean {
  return isSqliteError(error) && /^SQLITE_(FULL|IOERR_SHMSIZE)$/.test(error.code);
}

/** The file is not, or no longer, a database that can be trusted (F103). */
export function isCorrupt(error: unknown): boolean {
  return isSqliteError(error) && /^SQLITE_(CORRUPT|NOTADB|FORMAT)/.test(error.code);
}

/** An error of SQLite or of the file system as one a user can act on; `dataDir` is where to look. */
export function toDatabaseError(error: unknown, dataDir: string): unknown {
  if (!(error instanceof Error) || error instanceof DownloadError) return error;
  const code = "code" in error ? String(error.code) : "";
  const fail = (kind: "no_space" | "read_only" | "locked" | "io", text: string) =>
    new DownloadError(kind, `The database in ${dataDir} ${text}`, { cause: error });
  if (/^(SQLITE_FULL|SQLITE_IOERR_SHMSIZE|ENOSPC|EDQUOT)/.test(code))
    return fail(
      "no_space",
      "cannot grow: its volume is full. Free some space; work continues by itself then.",
    );
  if (/^(SQLITE_(READONLY|CANTOPEN|PERM|AUTH)|EROFS|EACCES|EPERM)/.test(code))
    return fail("read_only", "cannot be written. Check the permissions of the directory and its volume.");
  if (isBusy(error))
    return fail("locked", "is held by another program, such as a shell or a backup. End that and try again.");
  if (isCorrupt(error))
    return fail("io", "is damaged. Restart modelhaul: it keeps a copy aside and saves what can be read.");
  if (/^(SQLITE_IOERR|EIO)/.test(code))
    return fail("io", `could not be read or written (${code}). Check the disk it is on.`);
  if (/^(EMFILE|ENFILE)/.test(code))
    return fail("io", "could not be opened: too many files are open. Close programs, or raise the limit.");
  if (code === "SQLITE_CONSTRAINT_TRIGGER" && error.message === "transition")
    return new DownloadError("invalid_state", "A download cannot change between these states.", {
      cause: error,
    });
  if (/^E[A-Z0-9]+$/.test(code)) return fail("io", `could not be used: the system says ${code}.`);
  return error;
}
