import type { Attempt } from "./attempt.ts";
import { contentKey, type Digest, type Download, type File, isDamaged } from "./download.ts";
import { pagesOf } from "./pages.ts";
import type { ManifestFile, Target } from "./ports.ts";
import type { TargetPath } from "./target-path.ts";

/**
 * Looks at planned final names that exist already. The same content (by digest, or by our own complete record) is
 * done without a download (F91, F97); returns the paths that hold something else, for another name to be chosen.
 */
export async function adoptPresent(attempt: Attempt): Promise<string[]> {
  const strange: string[] = [];
  // What stands nowhere yet stays together: one strange file, and all of it goes elsewhere (A17).
  const isNewSet = attempt.files.length > 1 && attempt.files.every(({ target }) => target === null);
  // The small ones tell soonest that this is not the place.
  for (const file of attempt.files.toSorted((a, b) => (a.size ?? 0) - (b.size ?? 0))) {
    attempt.signal.throwIfAborted();
    const target = attempt.plan.targets.get(file.id);
    if (!target) continue;
    const present = attempt.plan.present?.get(file.id);
    if (present !== undefined) {
      if (file.state !== "done") await adoptNamed(attempt, file, present);
      continue;
    }
    const stored = await attempt.tools.storage.stat(target.path);
    if (!stored.exists) {
      if (file.state === "done") await markMissing(attempt, file);
      continue;
    }
    if (file.state === "done" && stored.size === file.size && !isDamaged(file)) continue;
    if (await adoptFile(attempt, file, target)) continue;
    if (target.role !== undefined) {
      await giveUp(attempt, file, target);
      continue;
    }
    strange.push(target.path);
    if (isNewSet) return takeBack(attempt, strange);
  }
  return strange;
}

/** None of the files is taken for one of this download after all. */
async function takeBack<T>(attempt: Attempt, strange: T): Promise<T> {
  for (const file of attempt.files.filter(({ state }) => state === "done")) {
    await markMissing(attempt, file);
    file.target = null;
    await attempt.tools.db.updateFile(file.id, { target: null });
  }
  return strange;
}

/** Takes what has the final name, when it is the file asked for; false when there is nothing, or something else. */
export async function adoptFile(attempt: Attempt, file: File, target: Target): Promise<boolean> {
  const stored = await attempt.tools.storage.stat(target.path);
  const ours = stored.exists && (await proofOf(attempt, file, target.path, stored.size));
  if (!ours) return false;
  // A kill between the two names of one file leaves the partial one behind.
  await attempt.tools.storage.discard([target]);
  await markDone(attempt, file, target.path, ours.computed);
  return true;
}

/** What has the name of the file is something else, and is going to be replaced. */
async function giveUp(attempt: Attempt, file: File, { role }: Target): Promise<void> {
  if (file.state === "done") await markMissing(attempt, file);
  if (role === "content")
    attempt.warn(`${file.path}: what was on disk is not what its name says; it is fetched anew`);
}

/**
 * A file whose name says its digest: read once, for a name proves nothing about bytes (F93). A damaged one is no longer
 * `present`, so that it is fetched and its place taken.
 */
async function adoptNamed(attempt: Attempt, file: File, path: TargetPath): Promise<void> {
  const { tools, plan, signal } = attempt;
  const { digest } = file;
  // The name in the snapshot may still be missing: `finish` makes it.
  const content = (await tools.storage.stat(path)).exists ? path : (plan.targets.get(file.id)?.blob ?? path);
  const target = plan.targets.get(file.id);
  const computed = digest && (await tools.digests.file(content, digest.algorithm, signal));
  const isRight = computed?.hex === digest?.hex;
  // Whoever removes the version before takes away what no other has a name for.
  if (isRight && (!target || (await tools.storage.keep?.(target)) !== false))
    return markDone(attempt, file, path, computed);
  plan.present?.delete(file.id);
  if (isRight) return;
  attempt.warn(`${file.path}: what was on disk has another content than the hub's file; it is fetched anew`);
}

/** Why the file there is the one asked for; undefined when it is not. */
async function proofOf(
  attempt: Attempt,
  file: File,
  path: TargetPath,
  size: number | null,
): Promise<{ computed: Digest | null } | undefined> {
  if (file.size !== null && size !== file.size) return undefined;
  if (file.digest) {
    const computed = await attempt.tools.digests.file(path, file.digest.algorithm, attempt.signal);
    return computed.hex === file.digest.hex ? { computed } : undefined;
  }
  // Nobody promised a digest: ours only if the rename is what a crash kept us from recording.
  if (file.target !== path || file.size === null) return undefined;
  const receipts = await attempt.tools.db.receipts(file.id);
  const covered = receipts.reduce((sum, r) => sum + r.length, 0);
  return covered < file.size ? undefined : { computed: null };
}

async function markDone(
  attempt: Attempt,
  file: File,
  path: TargetPath,
  computed: Digest | null,
): Promise<void> {
  const size = file.size ?? (await attempt.tools.storage.stat(path)).size;
  attempt.meter.bytes += Math.max(0, (size ?? 0) - file.bytes);
  if (file.state !== "done") attempt.meter.filesDone++;
  Object.assign(file, {
    state: "done",
    target: path,
    size,
    bytes: size ?? 0,
    computed,
    verified: computed !== null,
    checked: null,
    error: null,
  });
  const { state, target, bytes, verified, error } = file;
  const completedAt = attempt.tools.clock.now();
  await attempt.tools.db.updateFile(file.id, {
    state,
    target,
    size,
    bytes,
    computed,
    verified,
    checked: null,
    error,
    completedAt,
  });
  await attempt.tools.db.dropReceipts([file.id]);
}

/** A finished file that somebody has taken away is fetched again. */
async function markMissing(attempt: Attempt, file: File): Promise<void> {
  attempt.meter.bytes -= file.bytes;
  attempt.meter.filesDone--;
  Object.assign(file, { state: "pending", bytes: 0, computed: null, verified: false, checked: null });
  await attempt.tools.db.updateFile(file.id, {
    state: "pending",
    bytes: 0,
    computed: null,
    verified: false,
    checked: null,
    completedAt: null,
  });
}

/**
 * A file without a promised digest that an earlier download of the same address has brought: with the same strong
 * ETag, or else date, and size at the server, and still there with that size, it need not be fetched again (F91). Nor
 * need one that came while this download waited for it.
 */
export async function reuseEarlier(attempt: Attempt, listed: readonly ManifestFile[]): Promise<void> {
  const { db, storage } = attempt.tools;
  const isMarked = ({ etag, lastModified, digest }: ManifestFile): boolean =>
    digest === null && (etag !== undefined || lastModified !== undefined);
  const marked = new Map<string, ManifestFile>(listed.filter(isMarked).map((f) => [f.path, f]));
  if (marked.size === 0 && attempt.row.source.behind === undefined) return;
  const ours = new Map(attempt.files.map((file) => [file.path, file]));
  for (const earlier of await newestOf(attempt)) {
    for (const known of await db.files(earlier.id)) {
      const file = ours.get(known.path);
      const unchanged = known.size === file?.size && hasMark(known, marked.get(known.path));
      if (!file || file.state === "done" || !(unchanged || isAwaited(attempt, earlier, known, file)))
        continue;
      if (known.state !== "done" || known.target === null || isDamaged(known)) continue;
      const stored = await storage.stat(known.target);
      if (stored.exists && stored.size === known.size)
        await markDone(attempt, file, known.target, known.computed);
    }
  }
}

/** Whether the server shows of it what it showed when the file was fetched. */
function hasMark({ validator }: File, now: ManifestFile | undefined): boolean {
  if (now?.etag !== undefined) return validator?.etag === now.etag;
  return (
    now?.lastModified !== undefined && validator?.etag === null && validator.lastModified === now.lastModified
  );
}

/** Fetched after this download was asked for, which has waited for it. */
function isAwaited({ row }: Attempt, earlier: Download, known: File, file: File): boolean {
  if (row.source.behind === undefined || (earlier.endedAt ?? 0) < row.createdAt) return false;
  return known.digest?.hex === file.digest?.hex && (file.size === null || known.size === file.size);
}

const MOST_EARLIER = 20;

/** The last downloads of the same source that have brought something, newest first. */
async function newestOf({ row, tools }: Attempt): Promise<Download[]> {
  // What failed as an engine has brought its files all the same.
  const states: Download["state"][] =
    row.source.behind === undefined ? ["completed"] : ["completed", "failed"];
  const filter = { sourceKey: contentKey(row.source), states };
  let newest: Download[] = [];
  for await (const page of pagesOf(tools.db, filter)) newest = [...newest, ...page].slice(-MOST_EARLIER);
  return newest.reverse();
}

/** Whether another download's finished file is the very thing that this download asks for. */
export function isSame(attempt: Attempt, other: File): boolean {
  if (other.state !== "done") return false;
  const file = attempt.files.find((f) => f.path === other.path);
  if (!file) return false;
  return file.digest ? file.digest.hex === other.digest?.hex : file.target === other.target;
}
