import { adoptFile } from "./adopt.ts";
import type { Attempt } from "./attempt.ts";
import type { File, PartialMark, Receipt } from "./download.ts";
import { DownloadError, toDownloadError } from "./errors.ts";
import type { FileJournal } from "./journal.ts";
import type { PartFile, Target, TransferJob, TransferObserver, TransferResult } from "./ports.ts";
import type { TargetPath } from "./target-path.ts";

/** Brings one file to its final name. Rejects with what stopped it; bytes on disk stay. */
export async function fetchFile(attempt: Attempt, file: File, signal: AbortSignal): Promise<void> {
  const target = attempt.plan.targets.get(file.id) as Target;
  const content = attempt.source.content?.(file);
  if (content !== undefined) return writeFile(attempt, file, target, new TextEncoder().encode(content));
  if (target.role !== "content") return transferFile(attempt, file, target, signal);
  const leave = await attempt.turns.take(target.path, signal);
  try {
    // Another download may have brought it in the meantime.
    if (!(await adoptFile(attempt, file, target))) await transferFile(attempt, file, target, signal);
  } finally {
    leave();
  }
}

/** Writes what the source knew already, under the digest that stands for it. */
async function writeFile(attempt: Attempt, file: File, target: Target, content: Uint8Array): Promise<void> {
  const { storage, digests } = attempt.tools;
  const part = await storage.open(target);
  try {
    await part.write(0, [content]);
    await part.truncate(content.length);
    const digest = file.digest && (await digests.file(target.partial, file.digest.algorithm, attempt.signal));
    if (digest?.hex !== file.digest?.hex)
      throw new DownloadError("checksum", `${file.path} is not what was listed: start the download anew.`);
    const path = await storage.commit(target, part);
    await recordDone(attempt, file, path, { size: content.length, digest, verified: digest !== null }, false);
  } finally {
    await part.close();
  }
}

/** From the receipts to the final name. */
async function transferFile(
  attempt: Attempt,
  file: File,
  target: Target,
  signal: AbortSignal,
): Promise<void> {
  const { storage, journal, transfer, db } = attempt.tools;
  const part = await storage.open(target);
  let watch: FileJournal | undefined;
  let observer: TransferObserver | undefined;
  let done = false;
  let left: PartialMark | null = null;
  try {
    const receipts = await trusted(attempt, file, part);
    watch = journal.open(file.id, part, receipts, file.size);
    observer = observe(attempt, file, watch);
    attempt.meter.moving.set(file.id, file);
    const result = await transfer.fetch(job(attempt, file, part, receipts, observer, signal));
    // Without a digest only size and complete receipts can prove after a crash that the final file is ours (F97).
    if (file.size === null) {
      await learnSize(attempt, file, result.size);
      await db.updateFile(file.id, { size: result.size });
    }
    if (!file.digest) await journal.settle(watch);
    const path = await commitOrAdopt(attempt, file, target, part);
    done = true;
    journal.close(watch);
    if (path === undefined) await db.dropReceipts([file.id]);
    else await recordDone(attempt, file, path, result, watch.saved || receipts.length > 0);
  } finally {
    try {
      if (watch && !done) await journal.settle(watch);
    } finally {
      // Also when the database does not take it: whoever comes next opens the file anew.
      if (watch) journal.close(watch);
      observer?.connections(0);
      attempt.verifying.delete(file.id);
      if (!done) left = part.mark?.() ?? null;
      await part.close();
    }
    if (!done && watch?.isBroken) await countLost(attempt, file);
    if (!done) await db.updateFile(file.id, { bytes: file.bytes, size: file.size, partial: left });
    attempt.meter.moving.delete(file.id);
  }
}

/**
 * Gives the file its final name; returns it, or undefined when another service on this folder has brought the very same
 * content there meanwhile, which is then taken for ours (F110). Without a promised digest nothing shows that it is.
 */
async function commitOrAdopt(
  attempt: Attempt,
  file: File,
  target: Target,
  part: PartFile,
): Promise<TargetPath | undefined> {
  try {
    return await attempt.tools.storage.commit(target, part);
  } catch (error) {
    const isTaken = error instanceof DownloadError && error.code === "name_collision";
    if (isTaken && file.digest && (await adoptFile(attempt, file, target))) return undefined;
    throw error;
  }
}

function job(
  attempt: Attempt,
  file: File,
  part: PartFile,
  receipts: Receipt[],
  observer: TransferObserver,
  signal: AbortSignal,
): TransferJob {
  const { source, row, secret } = attempt;
  const context = { secret, signal, log: attempt.tools.log };
  return {
    downloadId: row.id,
    label: file.path,
    size: file.size,
    digest: file.digest,
    validator: file.validator,
    receipts,
    part,
    locate: () => source.locate(row.source, file, context),
    explain: (status, headers) => source.explain?.(row.source, status, headers),
    observer,
    signal,
  };
}

async function recordDone(
  attempt: Attempt,
  file: File,
  target: TargetPath,
  result: TransferResult,
  hasReceipts: boolean,
): Promise<void> {
  attempt.meter.bytes += result.size - file.bytes;
  const { size, digest: computed, verified } = result;
  const completedAt = attempt.tools.clock.now();
  attempt.meter.filesDone++;
  attempt.verifying.delete(file.id);
  const patch = {
    state: "done",
    size,
    bytes: size,
    target,
    computed,
    verified,
    checked: null,
    error: null,
    completedAt,
  } as const;
  Object.assign(file, patch);
  attempt.tools.journal.note(file.id, patch);
  if (hasReceipts) {
    await attempt.tools.journal.flush();
    await attempt.tools.db.dropReceipts([file.id]);
  }
  if (!verified) attempt.warn(`${file.path}: nobody promised a digest, so the content is unverified`);
}

/**
 * Receipts that are covered by bytes on disk; a partial file that was deleted or cut counts only as far as it exists (F87,
 * F88). One that somebody has written to counts where a promised digest tells in the end whether it is right, and not at
 * all where nothing would (F89).
 */
async function trusted(attempt: Attempt, file: File, part: PartFile): Promise<Receipt[]> {
  const { db } = attempt.tools;
  const known = await db.receipts(file.id);
  const isAltered = known.length > 0 && file.digest === null && wasAltered(file, part);
  const receipts = (isAltered ? [] : known)
    .map((r) => ({ start: r.start, length: Math.min(r.length, part.initialLength - r.start) }))
    .filter((r) => r.length > 0);
  const bytes = union(receipts);
  attempt.meter.bytes += bytes - file.bytes;
  file.bytes = bytes;
  if (bytes < union(known)) {
    // What is gone must be forgotten for good: saved receipts only ever add to those that are there.
    await db.dropReceipts([file.id]);
    if (receipts.length > 0) await db.saveWritten([{ fileId: file.id, receipts }], []);
    attempt.warn(`${file.path}: ${isAltered ? ALTERED : lossOf(part)}`);
    // Progress falls: whoever watches is told why.
    await attempt.write({});
  }
  // From now on it changes, and a crash leaves no word on how.
  if (file.partial !== null) await db.updateFile(file.id, { partial: null });
  file.partial = null;
  return receipts;
}

/** Some file systems keep the time of a write to two seconds, once it has left the memory. */
const MTIME_STEP_MS = 2000;

function wasAltered({ partial }: File, part: PartFile): boolean {
  const now = part.mark?.();
  if (partial === null || now === undefined || now.size < partial.size) return false;
  return now.size > partial.size || Math.abs(now.modifiedAt - partial.modifiedAt) > MTIME_STEP_MS;
}

const ALTERED =
  "its partial file was changed by somebody else, and nobody promised a digest, so it is fetched again from the beginning";
const lossOf = ({ initialLength }: PartFile): string =>
  initialLength === 0
    ? "its partial file was gone, so it is fetched again from the beginning"
    : `its partial file ended after ${initialLength} bytes, so the rest is fetched again`;

/** A sync has failed, so what it should have covered counts as lost: progress does not show it any longer (F85). */
async function countLost(attempt: Attempt, file: File): Promise<void> {
  const kept = union(await attempt.tools.db.receipts(file.id));
  attempt.meter.bytes += kept - file.bytes;
  file.bytes = kept;
  attempt.warn(
    `${file.path}: the disk did not keep what was written, so that is fetched again; check the disk`,
  );
}

/** Number of bytes covered by at least one range. */
export function union(ranges: readonly Receipt[]): number {
  let covered = 0;
  let end = 0;
  for (const { start, length } of [...ranges].sort((a, b) => a.start - b.start)) {
    covered += Math.max(0, start + length - Math.max(start, end));
    end = Math.max(end, start + length);
  }
  return covered;
}

function observe(attempt: Attempt, file: File, watch: FileJournal): TransferObserver {
  const { meter } = attempt;
  const { journal } = attempt.tools;
  let connections = 0;
  // Old receipts must be gone before a new validator vouches for them; false when they are not.
  let reset = Promise.resolve(true);
  return {
    identified({ size, validator }) {
      file.validator = validator;
      if (size !== null && size !== file.size) void learnSize(attempt, file, size).catch(() => {});
      reset = reset.then((isClean) => {
        if (isClean) journal.note(file.id, { validator, size: file.size });
        return isClean;
      });
    },
    written(start, length, gained) {
      watch.written(start, length);
      meter.gained += gained;
      meter.bytes += gained;
      file.bytes += gained;
      for (const reservation of attempt.reservations) reservation.shrink(gained);
    },
    restarted(reason) {
      meter.bytes -= file.bytes;
      file.bytes = 0;
      attempt.verifying.delete(file.id);
      attempt.warn(`${file.path}: started again from the beginning (${reason})`);
      void attempt.write(attempt.row.state === "verifying" ? { state: "downloading" } : {}).catch(() => {});
      reset = journal.reset(watch).then(
        () => true,
        (error) => {
          attempt.abort(toDownloadError(error));
          return false;
        },
      );
    },
    verifying() {
      attempt.verifying.add(file.id);
      const all = meter.filesDone + attempt.verifying.size === attempt.files.length;
      if (all && attempt.row.state === "downloading")
        void attempt.write({ state: "verifying" }).catch(() => {});
    },
    connections(count) {
      meter.connections += count - connections;
      connections = count;
    },
    bottleneck(kind) {
      meter.bottleneck = kind;
    },
    warning(text) {
      attempt.warn(`${file.path}: ${text}`);
    },
  };
}

/** A size nobody had named before: counted in the total, and only fetched when there is room for it (F16, F69). */
async function learnSize(attempt: Attempt, file: File, size: number): Promise<void> {
  const more = size - (file.size ?? file.bytes);
  file.size = size;
  try {
    if (more > 0)
      attempt.reservations.push(await attempt.tools.storage.reserve(attempt.plan.localPath, more));
  } catch (error) {
    return attempt.abort(toDownloadError(error));
  }
  if (attempt.files.some((f) => f.size === null)) return;
  const total = attempt.files.reduce((sum, f) => sum + (f.size ?? 0), 0);
  await attempt.write({ total });
}
