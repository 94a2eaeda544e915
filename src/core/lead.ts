import { adoptPresent, isSame, reuseEarlier } from "./adopt.ts";
import type { Attempt } from "./attempt.ts";
import { bring } from "./bring.ts";
import { contentKey, type File, isFinished } from "./download.ts";
import { DownloadError, toDownloadError } from "./errors.ts";
import { fetchFile } from "./file-attempt.ts";
import type { PlanInput } from "./ports.ts";
import { discardPartials } from "./settle.ts";
import type { TargetPath } from "./target-path.ts";

const SPACE_LOOK_MS = 500;
/** So many names on disk are looked at together. */
const LOOKS_AT_ONCE = 64;
/** Files of one download that are fetched at the same time; their connections are bounded by the transfer's permits. */
const FILES_AT_ONCE = 24;

/** Leads an attempt from the reference to the last rename and the engine. Rejects with what ended it. */
export async function runAttempt(attempt: Attempt): Promise<void> {
  if (attempt.source.bring) return bring(attempt);
  await resolveFiles(attempt);
  const input = await planTargets(attempt);
  await reserveSpace(attempt);
  const unguard = guardSpace(attempt);
  try {
    const isSeal = ({ id }: File) => attempt.plan.targets.get(id)?.role === "seal";
    const pending = attempt.files.filter((f) => f.state !== "done");
    await fetchAll(
      attempt,
      pending.filter((f) => !isSeal(f)),
    );
    await fetchAll(attempt, pending.filter(isSeal));
    attempt.signal.throwIfAborted();
    await attempt.tools.storage.finish(input, attempt.plan);
    await refuseMissing(attempt);
  } finally {
    unguard();
    for (const reservation of attempt.reservations) reservation.release();
  }
  await createEngine(attempt);
}

/** What somebody has taken away while the rest was being fetched is fetched again: no success without it (I1). */
async function refuseMissing({ files, tools }: Attempt): Promise<void> {
  const isThere = async ({ target }: File) => target === null || (await tools.storage.stat(target)).exists;
  for (let at = 0; at < files.length; at += LOOKS_AT_ONCE) {
    const some = files.slice(at, at + LOOKS_AT_ONCE);
    const there = await Promise.all(some.map(isThere));
    const gone = some[there.indexOf(false)];
    if (!gone) continue;
    const text = `${gone.path} was taken away while the rest was being downloaded: it is fetched again.`;
    throw new DownloadError("io", text, { verdict: "retry" });
  }
}

/** After a crash the receipts know more than the rows: progress must not fall to what was there at the last orderly end. */
async function countArrived({ files, tools, signal }: Attempt): Promise<void> {
  for (const file of files) {
    if (file.state !== "pending" || file.target === null || file.validator === null) continue;
    signal.throwIfAborted();
    file.bytes = (await tools.db.receipts(file.id)).reduce((sum, { length }) => sum + length, 0);
  }
}

/** Reference -> rows of `files`, once; a later attempt goes on with the same commit and the same list (F76). */
async function resolveFiles(attempt: Attempt): Promise<void> {
  const { db, log } = attempt.tools;
  attempt.files = await db.files(attempt.row.id);
  if (attempt.files.length === 0) {
    const { source, secret, signal } = attempt;
    const manifest = await source.resolve(attempt.row.source, { secret, signal, log });
    for (const warning of manifest.warnings ?? []) attempt.warn(warning);
    // The files last: where they are, a later attempt does not ask what they were pinned to.
    const labels = { ...attempt.row.labels, ...manifest.labels };
    await attempt.write({ commit: manifest.commit ?? null, repo: manifest.repo ?? null, labels });
    const drafts = manifest.files.map((f) => newFile(attempt.row.id, f));
    attempt.files = await db.putFiles(attempt.row.id, drafts);
    await reuseEarlier(attempt, manifest.files);
  }
  await countArrived(attempt);
  const total = attempt.files.every((f) => f.size !== null)
    ? attempt.files.reduce((sum, f) => sum + (f.size ?? 0), 0)
    : null;
  const filesDone = attempt.files.filter((f) => f.state === "done").length;
  const bytes = attempt.files.reduce((sum, f) => sum + f.bytes, 0);
  attempt.meter.bytes = total === null ? bytes : Math.min(bytes, total);
  attempt.meter.filesDone = filesDone;
  await attempt.write({ total, bytes: attempt.meter.bytes, filesTotal: attempt.files.length, filesDone });
}

function newFile(
  downloadId: string,
  file: { path: string; size: number | null; digest: File["digest"]; locator: string },
) {
  return {
    downloadId,
    path: file.path,
    size: file.size,
    digest: file.digest,
    computed: null,
    verified: false,
    checked: null,
    locator: file.locator,
    state: "pending" as const,
    target: null,
    validator: null,
    partial: null,
    bytes: 0,
    error: null,
    completedAt: null,
  };
}

/** Final names for all files. A name whose file turns out to be somebody else's is passed over for the next one (A18). */
async function planTargets(attempt: Attempt): Promise<PlanInput> {
  try {
    return await chooseNames(attempt);
  } finally {
    // They stand in the database, or it has come to nothing.
    attempt.tools.storage.release(attempt.row.id);
  }
}

async function chooseNames(attempt: Attempt): Promise<PlanInput> {
  const { storage, journal } = attempt.tools;
  const foreign = new Set<string>();
  const { id, modelId, source, layout, commit, repo } = attempt.row;
  const input: PlanInput = {
    download: { id, modelId, source, layout, commit },
    repo: repo ?? source.repo ?? null,
    files: attempt.files,
    taken: async (path) => foreign.has(path) || (await belongsToAnother(attempt, path)),
    ours: (path) => wasBrought(attempt, path),
    signal: attempt.signal,
  };
  for (;;) {
    attempt.plan = await storage.plan(input);
    const strange = await adoptPresent(attempt);
    if (strange.length === 0) break;
    for (const path of strange) foreign.add(path);
  }
  const planned = (file: File) => attempt.plan.targets.get(file.id)?.path ?? null;
  await giveUpNames(
    attempt,
    attempt.files.filter((f) => f.target !== null && f.target !== planned(f)),
  );
  for (const file of attempt.files) {
    const target = planned(file);
    if (file.target === target) continue;
    file.target = target;
    journal.note(file.id, { target });
  }
  await journal.flush();
  await attempt.write({ localPath: attempt.plan.localPath });
  return input;
}

/** What these files have under names that went to others belongs to nothing any more. */
async function giveUpNames(attempt: Attempt, moved: readonly File[]): Promise<void> {
  await discardPartials(attempt.tools, attempt.row, moved);
  for (const file of moved.filter(({ state, bytes }) => state !== "done" && bytes > 0)) {
    attempt.meter.bytes -= file.bytes;
    Object.assign(file, { bytes: 0, validator: null });
    attempt.warn(`${file.path}: started again from the beginning (its name belongs to another file by now)`);
  }
}

/** The same file, or what an earlier download of the same source left, is no stranger's: it is looked at, and kept when right. */
async function belongsToAnother(attempt: Attempt, path: TargetPath): Promise<boolean> {
  const { row, tools } = attempt;
  for (const file of await tools.db.filesByTarget(path)) {
    if (file.downloadId === row.id || file.state === "failed" || isSame(attempt, file)) continue;
    const owner = await tools.db.get(file.downloadId);
    if (!owner || !isFinished(owner.state) || contentKey(owner.source) !== contentKey(row.source))
      return true;
  }
  return false;
}

/** Whether an earlier download of the same source has brought what has this name. */
async function wasBrought({ row, tools }: Attempt, path: TargetPath): Promise<boolean> {
  for (const { downloadId, state } of await tools.db.filesByTarget(path)) {
    const owner = state === "done" ? await tools.db.get(downloadId) : undefined;
    if (owner && contentKey(owner.source) === contentKey(row.source)) return true;
  }
  return false;
}

async function reserveSpace(attempt: Attempt): Promise<void> {
  const missing = attempt.files.reduce(
    (sum, f) => sum + (f.state === "done" ? 0 : Math.max(0, (f.size ?? 0) - f.bytes)),
    0,
  );
  attempt.reservations.push(await attempt.tools.storage.reserve(attempt.plan.localPath, missing));
}

/** A file of unknown size has no reservation: it may fill the disk only up to what is always kept free (F16, F69). */
function guardSpace(attempt: Attempt): () => void {
  const look = async (): Promise<void> => {
    if (attempt.files.every((f) => f.size !== null)) return;
    const path = attempt.plan.localPath;
    if ((await attempt.tools.storage.free(path)) > 0) return;
    attempt.abort(
      new DownloadError("no_space", `The disk of ${path} is full. Make room, it goes on by itself.`),
    );
  };
  const timer = setInterval(() => void look().catch(() => {}), SPACE_LOOK_MS);
  return () => clearInterval(timer);
}

/** So many files in a row that could be tried again, and the trouble is the host's, not theirs. */
const TROUBLES_IN_A_ROW = 3;

interface Trouble {
  file: File;
  error: DownloadError;
}

/**
 * Fetches these files, several at once, in the order of the list. One file's trouble does not stop the others (F43);
 * trouble with the disk, or with one file after another, ends the attempt.
 */
async function fetchAll(attempt: Attempt, pending: readonly File[]): Promise<void> {
  const troubles: Trouble[] = [];
  const stop = new AbortController();
  const signal = AbortSignal.any([attempt.signal, stop.signal]);
  let next = 0;
  let inARow = 0;
  const lane = async (): Promise<void> => {
    for (let file = pending[next++]; file && !signal.aborted; file = pending[next++]) {
      try {
        await fetchFile(attempt, file, signal);
        inARow = 0;
      } catch (thrown) {
        if (signal.aborted) return;
        const error = toDownloadError(thrown);
        troubles.push({ file, error });
        if (error.verdict === "final") await recordFailure(attempt, file, error);
        else if (error.verdict === "wait" || ++inARow >= TROUBLES_IN_A_ROW) stop.abort(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(FILES_AT_ONCE, pending.length) }, lane));
  // However this ends: first the files say how far they came, then the download says how it ended.
  await attempt.tools.journal.flush();
  attempt.signal.throwIfAborted();
  if (stop.signal.aborted) throw stop.signal.reason;
  const again = troubles.find((t) => t.error.verdict !== "final") ?? troubles[0];
  if (again)
    throw attempt.files.length === 1 || again.error.verdict !== "final"
      ? again.error
      : partialFailure(attempt, troubles);
}

async function recordFailure(attempt: Attempt, file: File, error: DownloadError): Promise<void> {
  const patch = { state: "failed", error: { code: error.code, message: error.message } } as const;
  Object.assign(file, patch);
  await attempt.tools.db.updateFile(file.id, patch);
}

function partialFailure(attempt: Attempt, troubles: readonly Trouble[]): DownloadError {
  const { error } = troubles[0] as Trouble;
  const names = troubles.slice(0, 3).map((t) => t.file.path);
  const more = troubles.length > names.length ? ` and ${troubles.length - names.length} more` : "";
  const count = `${troubles.length} of ${attempt.files.length} files failed (${names.join(", ")}${more})`;
  return new DownloadError(error.code, `${count}; the others are complete. First reason: ${error.message}`, {
    cause: error,
  });
}

async function createEngine(attempt: Attempt): Promise<void> {
  const spec = attempt.row.engine;
  if (spec === null) return;
  await attempt.write({ state: "creating_engine" });
  const path = attempt.row.localPath ?? attempt.plan.localPath;
  const { engines } = attempt.tools;
  // Its folder may hold other quantizations, brought before.
  const among = attempt.files.flatMap(({ target }) => target ?? []);
  const { id } = attempt.row;
  const { modelType } = await engines.create(spec, path, id, attempt.signal, attempt.warn, among);
  // By name it was a guess (A23).
  if (modelType !== attempt.row.modelType || modelType !== spec.modelType)
    await attempt.write({ modelType, engine: { ...spec, modelType } });
}
