import { chmodSync, closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Log, Secret, Secrets } from "../core/ports.ts";
import { diskError } from "./errors.ts";

const NAME = "secrets.json";

/**
 * Secrets given with requests, in one file that only its owner can read (0600). Each change replaces the file as a
 * whole and is on disk when it is answered. A file that cannot be read as ours is kept aside, never deleted.
 */
export async function openSecrets(dataDir: string, log?: Log): Promise<Secrets> {
  const path = join(dataDir, NAME);
  const known = read(path, log);
  const save = (): void => {
    try {
      replace(dataDir, path, JSON.stringify(Object.fromEntries(known)));
    } catch (error) {
      throw diskError(error, "keep the secrets in", path);
    }
  };
  return {
    get: async (id) => ({ ...known.get(id) }),
    put: async (id, secret) => {
      known.set(id, { ...secret });
      save();
    },
    delete: async (id) => {
      if (known.delete(id)) save();
    },
  };
}

function read(path: string, log: Log | undefined): Map<string, Secret> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return new Map();
    throw diskError(error, "read", path);
  }
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed))
      throw new Error("not an object");
    chmodSync(path, 0o600);
    return new Map(Object.entries(parsed as Record<string, Secret>));
  } catch {
    const aside = `${path}.damaged-${Date.now()}`;
    renameSync(path, aside);
    log?.warn("The file of secrets was damaged and is kept aside; give tokens again where they are needed.", {
      aside,
    });
    return new Map();
  }
}

function replace(dir: string, path: string, text: string): void {
  const temporary = `${path}.new`;
  const fd = openSync(temporary, "w", 0o600);
  try {
    writeSync(fd, text);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, path);
  if (process.platform === "win32") return; // Windows cannot open a directory to sync it.
  const folder = openSync(dir, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
