import { chmodSync, lstatSync, type Stats, unlinkSync } from "node:fs";
import { connect } from "node:net";
import { DownloadError } from "../core/errors.ts";

const OWNER_ONLY = 0o600;

/**
 * Makes room for a Unix socket: one that a dead process left behind is removed. Throws DownloadError `locked` when
 * somebody listens there, `invalid_path` when something else than a socket is at the path, `io` when it cannot be told.
 */
export async function vacate(path: string): Promise<void> {
  const found = statOf(path);
  if (found === undefined) return;
  if (!found.isSocket())
    throw new DownloadError(
      "invalid_path",
      `${path} exists and is no Unix socket; name another path with --unix.`,
    );
  const answer = await knock(path);
  if (answer === "open")
    throw new DownloadError(
      "locked",
      `Another process listens on the Unix socket ${path}. Stop that one, or name another path with --unix.`,
    );
  // ENOENT: its owner has just ended in an orderly way.
  if (answer !== "ECONNREFUSED" && answer !== "ENOENT")
    throw new DownloadError("io", `Cannot tell who listens on the Unix socket ${path} (${answer}).`);
  if (answer === "ECONNREFUSED") unlinkSync(path);
}

function statOf(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch {
    // Whatever is wrong with the path, binding it says so.
    return undefined;
  }
}

/** `open` when somebody accepts there, else the system's code. */
function knock(path: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = connect(path);
  socket.once("connect", () => resolve("open"));
  socket.on("error", (error) => resolve("code" in error ? String(error.code) : error.message));
  return promise.finally(() => socket.destroy());
}

/**
 * Binds a Unix socket that no other user can open, not even for a moment (F210): a socket has the mode that the
 * process's mask leaves, and whoever connects before it is changed stays connected.
 */
export function forOwnerOnly<T>(path: string, bind: () => T): T {
  const mask = process.umask(0o777 & ~OWNER_ONLY);
  try {
    const bound = bind();
    chmodSync(path, OWNER_ONLY);
    return bound;
  } finally {
    process.umask(mask);
  }
}
