import { dirname } from "node:path";
import type { Database, Log } from "../core/ports.ts";
import type { Disk } from "./disk.ts";
import { ifThere } from "./errors.ts";

/** Where the volumes of our folders were mounted when they were last in use: by folder, none for the system's own. */
export interface Mounts {
  get(folder: string): string | undefined;
  set(folder: string, mountPoint: string | undefined): void;
}

const KEY = "mounts";

/** Kept in the database, so that a volume that is missing at the start is missed (F94). */
export async function rememberMounts(
  db: Pick<Database, "setting" | "saveSetting">,
  log: Log,
): Promise<Mounts> {
  const known = new Map(Object.entries(((await db.setting(KEY)) ?? {}) as Record<string, string>));
  return {
    get: (folder) => known.get(folder),
    set(folder, mountPoint) {
      if (known.get(folder) === mountPoint) return;
      if (mountPoint === undefined) known.delete(folder);
      else known.set(folder, mountPoint);
      // Not fatal: the next process looks again.
      db.saveSetting(KEY, Object.fromEntries(known)).catch((error) =>
        log.warn("could not note where a folder is mounted", { folder, error: String(error) }),
      );
    },
  };
}

/** The folder in which the volume of `path`, which exists, begins; undefined for the system's own. */
export async function mountPointOf(disk: Disk, path: string): Promise<string | undefined> {
  const { dev } = await disk.stat(path);
  for (let at = path; at !== dirname(at); at = dirname(at))
    if ((await disk.stat(dirname(at))).dev !== dev) return at;
  return undefined;
}

/** Whether nothing is mounted there any more. An empty folder shows it; one with files in it has been put into use. */
export async function isUnmounted(disk: Disk, mountPoint: string): Promise<boolean> {
  const there = await ifThere(disk.stat(mountPoint));
  if (!there) return true;
  if (there.dev !== (await disk.stat(dirname(mountPoint))).dev) return false;
  return (await disk.readdir(mountPoint)).length === 0;
}
