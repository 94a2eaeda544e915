import { constants } from "node:fs";
import { resolve } from "node:path";
import type { Log, Secret, Secrets } from "../core/ports.ts";
import { beside, knownTarget, type TargetPath, targetIn } from "../core/target-path.ts";
import { syncDirectory } from "./directories.ts";
import { type Disk, systemDisk } from "./disk.ts";
import { ifThere, onDisk } from "./errors.ts";

const NAME = "secrets.json";
const temporaryOf = (path: TargetPath): TargetPath => beside(path, ".new");
/** A link in the place of the new file is refused, not followed. */
const FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | (constants.O_NOFOLLOW ?? 0);

type Known = ReadonlyMap<string, Secret>;
type Edit = (next: Map<string, Secret>) => void;

/**
 * Opens the secrets of a data directory: one file that only its owner can read (0600). A change is answered when it is
 * on disk and replaces the file as a whole. A file that is not ours to read is kept aside, never deleted.
 * Rejects with DownloadError `no_space read_only io tampered`.
 */
export async function openSecrets(dataDir: string, log?: Log, disk: Disk = systemDisk): Promise<Secrets> {
  const dir = knownTarget(resolve(dataDir));
  const path = targetIn(dir, NAME);
  let known = await onDisk("read", path, () => load(disk, dir, path, log));
  let last: Promise<void> = Promise.resolve();
  let batch: { edits: Edit[]; written: Promise<void> } | undefined;
  /** One write at a time, with all changes that came while one ran; what fails is not remembered either. */
  const change = (edit: Edit): Promise<void> => {
    batch ??= { edits: [], written: last.then(write) };
    batch.edits.push(edit);
    last = batch.written.catch(() => undefined);
    return batch.written;
  };
  const write = async (): Promise<void> => {
    const next = new Map(known);
    for (const edit of batch?.edits ?? []) edit(next);
    batch = undefined;
    await onDisk("write", path, () => replace(disk, dir, path, next));
    known = next;
  };
  return {
    get: async (id) => {
      await last;
      return structuredClone(known.get(id) ?? {});
    },
    put: (id, secret) => {
      const copy = structuredClone(secret);
      return change((next) => void next.set(id, copy));
    },
    ids: async () => {
      await last;
      return [...known.keys()];
    },
    delete: async (id) => {
      await last;
      if (known.has(id)) await change((next) => void next.delete(id));
    },
  };
}

async function load(disk: Disk, dir: TargetPath, path: TargetPath, log: Log | undefined): Promise<Known> {
  await disk.mkdir(dir, { recursive: true, mode: 0o700 });
  // Of a write that a kill cut short: never answered, and what it holds would outlive its downloads. What cannot be
  // taken away is told by the next write.
  const left = temporaryOf(path);
  if (await disk.lstat(left).catch(() => undefined)) await disk.unlink(left).catch(() => undefined);
  const text = await ifThere(disk.readFile(path, "utf8"));
  if (text === undefined) return new Map();
  await disk.chmod(path, 0o600);
  const known = parse(text);
  if (known) return known;
  const copy = beside(path, `.damaged-${new Date().toISOString().replace(/[:.]/g, "-")}`);
  await disk.rename(path, copy);
  log?.warn("The file of secrets was damaged. A copy was kept; give tokens again where they are needed.", {
    copy,
  });
  return new Map();
}

/** Undefined unless it is what `replace` writes, down to the last value. */
function parse(text: string): Known | undefined {
  try {
    const entries: [string, unknown][] = Object.entries(JSON.parse(text) ?? undefined);
    return entries.every((entry): entry is [string, Secret] => isSecret(entry[1]))
      ? new Map(entries)
      : undefined;
  } catch {
    return undefined;
  }
}

const isText = (value: unknown): value is string => typeof value === "string";
const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** A member that is added to secrets does not compile until it is judged here: what is not, is taken for damage. */
const FITS: Record<keyof Secret, (value: unknown) => boolean> = {
  token: isText,
  url: isText,
  headers: (value) => isRecord(value) && Object.values(value).every(isText),
};

function isSecret(value: unknown): value is Secret {
  const fits = ([name, member]: [string, unknown]): boolean =>
    Object.hasOwn(FITS, name) && FITS[name as keyof Secret](member);
  return isRecord(value) && Object.entries(value).every(fits);
}

async function replace(disk: Disk, dir: TargetPath, path: TargetPath, known: Known): Promise<void> {
  const temporary = temporaryOf(path);
  const fd = await disk.open(temporary, FLAGS, 0o600);
  try {
    // One that a crash left behind may be wider.
    disk.fchmodSync(fd, 0o600);
    const bytes = Buffer.from(JSON.stringify(Object.fromEntries(known)));
    for (let at = 0; at < bytes.length; ) {
      const written = await disk.write(fd, bytes.subarray(at), at);
      if (written === 0) throw new Error("the system takes no more bytes");
      at += written;
    }
    await disk.fsync(fd);
  } finally {
    await disk.close(fd);
  }
  await disk.rename(temporary, path);
  await syncDirectory(disk, dir);
}
