import type { Tools } from "./attempt.ts";
import type { Board } from "./board.ts";
import { type Download, type File, isFinished, RUNNING } from "./download.ts";
import { DownloadError, KEEPS_PARTIALS, MOST_ATTEMPTS, toDownloadError } from "./errors.ts";
import type { DownloadPatch } from "./ports.ts";
import { retryDelay } from "./retry.ts";
import type { Settings } from "./settings.ts";

/** How soon a download that waits for its disk looks again. */
const DISK_RECHECK_MS = 5000;

/** Why an attempt was ended from outside. Not a failure. */
export class Interruption extends Error {
  override readonly name = "Interruption";
  readonly kind: "pause" | "cancel" | "shutdown" | "lost";

  constructor(kind: Interruption["kind"]) {
    super(`interrupted: ${kind}`);
    this.kind = kind;
  }
}

export interface AttemptResult {
  owner: string;
  row: Download;
  bytes: number;
  filesDone: number;
  averageBps: number;
  warnings: string[];
  /** Bytes beyond what earlier attempts had reached; any at all start the counting of tries anew (F47). */
  gained: number;
  failure: unknown;
  /** When it ended: recording that may have to wait for the very disk that ended it. */
  endedAt: number;
}

/** Writes what became of an attempt. A wish that came while it ended is honoured here as well. */
export async function settle(
  tools: Tools,
  board: Board,
  settings: Settings,
  result: AttemptResult,
): Promise<void> {
  const current = await tools.db.get(result.row.id);
  if (!current) return;
  // Written before, with an error only of the sync behind it (F85).
  if (current.owner !== result.owner) return letGo(tools, board, current.id, current.state);
  const { failure } = result;
  const kind = failure instanceof Interruption ? failure.kind : undefined;
  let patch: DownloadPatch;
  if (failure === undefined) patch = { state: "completed", endedAt: tools.clock.now(), error: null };
  else if (kind === "cancel" || current.intent === "cancel") patch = await cancelled(tools, current);
  else if (kind !== undefined) patch = { state: "queued" };
  else patch = await failed(tools, settings, current, result);
  if (patch.state === "queued" && current.intent === "pause")
    patch = { ...patch, state: "paused", notBefore: null, waiting: null };
  const { bytes, filesDone, averageBps, warnings } = result;
  const common: DownloadPatch = { owner: null, leaseUntil: null, intent: null, averageBps, warnings };
  const rest: DownloadPatch = { notBefore: null, waiting: null, bytes, filesDone, ...patch };
  await board.write(current.id, { states: RUNNING, owner: result.owner }, { ...common, ...rest });
  await letGo(tools, board, current.id, patch.state ?? current.state);
}

/** Lets go of what a download in this state does not need any more. */
export async function letGo(tools: Tools, board: Board, id: string, state: Download["state"]): Promise<void> {
  // One that was cancelled may be retried, and needs them again; they go with its record.
  if (state === "completed") await tools.secrets.delete(id);
  if (!isFinished(state)) return;
  board.forgetMeter(id);
  tools.transfer.forget(id);
}

async function cancelled(tools: Tools, row: Download): Promise<DownloadPatch> {
  await discardPartials(tools, row);
  return { state: "cancelled", endedAt: tools.clock.now() };
}

async function failed(
  tools: Tools,
  settings: Settings,
  row: Download,
  result: AttemptResult,
): Promise<DownloadPatch> {
  const error = toDownloadError(result.failure);
  const now = tools.clock.now();
  if (error.code === "internal")
    tools.log.error("unexpected failure", { id: row.id, error: describe(error) });
  if (error.verdict === "wait") {
    const until = Math.max(now, result.endedAt + DISK_RECHECK_MS);
    const reason = error.code === "volume_gone" ? "volume" : "disk";
    return { state: "queued", notBefore: until, waiting: { reason, until }, error: record(error) };
  }
  if (error.verdict === "retry") {
    const attempt = result.gained > 0 ? 1 : row.attempt + 1;
    const policy = row.retry ?? settings.retry;
    const maxAttempts = Math.min(policy.maxAttempts, MOST_ATTEMPTS[error.code] ?? policy.maxAttempts);
    const delay = retryDelay({ ...policy, maxAttempts }, attempt, error.retryAfterMs, Math.random());
    if (delay !== undefined) {
      const until = now + delay;
      const reason = error.code === "rate_limited" ? "host_limit" : "retry";
      return { state: "queued", attempt, notBefore: until, waiting: { reason, until }, error: record(error) };
    }
    return { state: "failed", attempt, endedAt: now, error: record(error) };
  }
  // Another try cannot mend it: the partial data goes (A6). A verified file that failed as an engine stays (A16), what a
  // disk did not read back, for it may be whole (F86), and what was on a way that has become a wrong one (F63).
  if (!KEEPS_PARTIALS.has(error.code)) await discardPartials(tools, row);
  return { state: "failed", endedAt: now, error: record(error) };
}

const record = (error: DownloadError) => ({ code: error.code, message: error.message });

function describe(error: Error): string {
  const cause = error.cause instanceof Error ? `\n${error.cause.stack}` : "";
  return `${error.stack}${cause}`;
}

/** Whether partial data is left of a download that has ended: its own bytes say how far it came (A4), not what is there. */
export const hasPartial = (files: readonly File[]): boolean =>
  files.some(({ state, bytes }) => state !== "done" && bytes > 0);

/** Where the next try of a download that has ended begins. */
export async function bytesLeft(tools: Tools, row: Download): Promise<number> {
  const files = await tools.db.files(row.id);
  if (hasPartial(files)) return row.bytes;
  return files.reduce((sum, f) => sum + (f.state === "done" ? f.bytes : 0), 0);
}

/**
 * Removes the partial files of a download (of `some` of its files), what was known of them, and their names, which are
 * free for others then. Finished files of it stay. False when some of it is still there: its disk was away, say.
 */
export async function discardPartials(tools: Tools, row: Download, some?: readonly File[]): Promise<boolean> {
  const files = some ?? (await readable(tools, row));
  const partial = files.filter(isPartial);
  if (partial.length === 0) return true;
  try {
    await removePartials(
      tools,
      row,
      partial.filter((f) => f.target !== null),
      files,
    );
    await tools.db.updateFiles(
      partial.map((f) => ({ id: f.id, patch: { bytes: 0, validator: null, target: null } })),
    );
    return true;
  } catch (error) {
    tools.log.warn("could not remove partial data", { id: row.id, error: String(error) });
    return false;
  }
}

/** What another program keeps has no name of ours. */
const isPartial = ({ state, target, bytes }: File): boolean =>
  state !== "done" && (target !== null || bytes > 0);

/** Whether there is anything for `discardPartials` to do. */
export const hasDiscardable = async (tools: Tools, row: Download): Promise<boolean> =>
  (await readable(tools, row)).some(isPartial);

/** None when their rows are damaged: such a download can end, and be removed from the list, all the same. */
async function readable(tools: Tools, row: Download): Promise<File[]> {
  try {
    return await tools.db.files(row.id);
  } catch (error) {
    if (!(error instanceof DownloadError && error.code === "internal")) throw error;
    tools.log.warn("could not read which files a download has; its partial data stays", {
      id: row.id,
      error: String(error),
    });
    return [];
  }
}

async function removePartials(
  tools: Tools,
  row: Download,
  partial: readonly File[],
  files: readonly File[],
): Promise<void> {
  if (partial.length === 0) return;
  const { id, modelId, source, layout, commit, repo } = row;
  const download = { id, modelId, source, layout, commit };
  const taken = async () => false;
  const plan = await tools.storage.plan({ download, repo, files, taken, lookOnly: true });
  await tools.storage.discard(partial.flatMap(({ id }) => plan.targets.get(id) ?? []));
  await tools.db.dropReceipts(partial.map(({ id }) => id));
}
