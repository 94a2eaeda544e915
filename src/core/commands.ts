import type { Tools } from "./attempt.ts";
import type { Board } from "./board.ts";
import {
  type Download,
  type File,
  isFinished,
  isRunning,
  type RetryPolicy,
  type State,
  UNFINISHED,
} from "./download.ts";
import { DownloadError } from "./errors.ts";
import type { Runner } from "./runner.ts";
import { bytesLeft, discardPartials } from "./settle.ts";

/** A command answers when the row has moved, or after this long (A21). */
const COMMAND_MS = 2000;
/** So often a row may move under a command's hands before it gives up. */
const MOST_TRIES = 20;
/** Errors after which the list of files may be another one. */
const STALE_LIST = new Set([
  "checksum",
  "remote_changed",
  "size_mismatch",
  "gone",
  "entry_not_found",
  "revision_not_found",
]);

export type QueueMove = { before: string } | { after: string } | { position: number };

/** Of an unfinished download; what is not given stays as it is. */
export interface DownloadChange {
  priority?: number | undefined;
  move?: QueueMove | undefined;
  rateLimit?: number | undefined;
  retry?: Partial<RetryPolicy> | undefined;
}

/** What became of a command. */
export interface Moved {
  row: Download;
  /** State before it. */
  previous: State;
}

/** Pause, resume, cancel, retry: wishes of clients against rows that may move at the same time. */
export class Commands {
  readonly #tools: Tools;
  readonly #board: Board;
  readonly #runner: Runner;

  constructor(tools: Tools, board: Board, runner: Runner) {
    this.#tools = tools;
    this.#board = board;
    this.#runner = runner;
  }

  /** Keeps the bytes. Pausing a paused one changes nothing; a finished one is `invalid_state`. */
  async pause(start: Download): Promise<Moved> {
    return this.#command(start, async (row) => {
      if (row.state === "paused") return true;
      if (row.state === "queued") return this.#move(row, "paused", { waiting: null, notBefore: null });
      if (row.state === "downloading" || row.state === "verifying") return this.#wish(row, "pause");
      throw refused("pause", row, isFinished(row.state) ? "it has ended" : "its engine is being created");
    });
  }

  /** Back to the queue. Resuming a running or queued one changes nothing; a finished one is `invalid_state`. */
  async resume(start: Download): Promise<Moved> {
    return this.#command(start, async (row) => {
      if (isRunning(row.state) && row.intent === "pause") return this.#unwish(row);
      if (row.state === "paused")
        return this.#move(row, "queued", { attempt: 0, notBefore: null, waiting: null, error: null });
      if (isFinished(row.state)) {
        const hint =
          row.state === "completed"
            ? ""
            : `; POST /v1/downloads/${encodeURIComponent(row.modelId)}/retry starts it again`;
        throw refused("resume", row, `it has ended${hint}`);
      }
      return true;
    });
  }

  /** Deletes the partial data (A6). A finished one never changes: `invalid_state` (A10). */
  async cancel(start: Download): Promise<Moved> {
    return this.#command(start, async (row) => {
      if (isFinished(row.state)) throw refused("cancel", row, "it has ended");
      if (isRunning(row.state)) return this.#wish(row, "cancel");
      const cancelled = await this.#refusedAsAWhole(row.id, async () => {
        const wished = await this.#tools.db.setIntent(row.id, ["queued", "paused"], "cancel");
        return wished && this.#runner.cancelIdle(wished);
      });
      // Another download may have waited for this one's files.
      if (cancelled) this.#runner.wake();
      return cancelled !== undefined;
    });
  }

  /** Queues a failed or cancelled one again; it continues from what is still on disk. */
  async retry(start: Download): Promise<Moved> {
    return this.#command(start, async (row) => {
      if (row.state === "completed") throw refused("retry", row, "it is complete");
      if (isRunning(row.state)) return true;
      const fresh = { attempt: 0, notBefore: null, waiting: null, error: null, endedAt: null };
      if (row.state === "queued") return row.notBefore === null || this.#hurry(row);
      if (isFinished(row.state)) {
        await this.#refuseTaken(row);
        await this.#giveWay(row);
        await this.#freshFiles(row);
        return this.#move(row, "queued", { ...fresh, bytes: await bytesLeft(this.#tools, row) });
      }
      return this.#move(row, "queued", fresh);
    });
  }

  /** Tries the command against the row as it is, again when somebody moved it in between. */
  async #command(start: Download, act: (row: Download) => Promise<boolean>): Promise<Moved> {
    let row: Download | undefined = start;
    for (let tries = 0; row && tries < MOST_TRIES; tries++) {
      if (await act(row)) return { row: (await this.#tools.db.get(start.id)) ?? row, previous: start.state };
      row = await this.#tools.db.get(start.id);
    }
    if (row) throw refused("change", row, "others are changing it at the same time; try again");
    throw new DownloadError("download_not_found", `No download found for model ID: ${start.modelId}`, {
      param: "model_id",
    });
  }

  async #move(row: Download, state: State, patch: Partial<Download>): Promise<boolean> {
    try {
      return (await this.#board.write(row.id, { states: [row.state] }, { ...patch, state })) !== undefined;
    } finally {
      // Also when it was refused: it may have been written before its error.
      this.#runner.wake();
    }
  }

  /** Leaves the wish in the row and waits until the owner has moved it; true when that is settled. */
  async #wish(row: Download, intent: "pause" | "cancel"): Promise<boolean> {
    const wished = await this.#refusedAsAWhole(row.id, () =>
      this.#tools.db.setIntent(row.id, [row.state], intent),
    );
    if (!wished) return false;
    if (!(await this.#bounded(this.#runner.interrupt(row.id, intent)))) return true;
    const now = await this.#tools.db.get(row.id);
    if (now?.state === (intent === "pause" ? "paused" : "cancelled")) return true;
    if (now && intent === "pause" && !isFinished(now.state))
      throw refused("pause", now, "it has been resumed in the meantime");
    return false;
  }

  /** What is refused leaves no wish behind: nobody would claim such a row any more, and nobody has been promised it. */
  async #refusedAsAWhole<T>(id: string, command: () => Promise<T>): Promise<T> {
    try {
      return await command();
    } catch (error) {
      await this.#tools.db.setIntent(id, UNFINISHED, null).catch(() => undefined);
      this.#runner.wake();
      throw error;
    }
  }

  /** A pause that has not happened yet is taken back: the attempt that is ending goes to the queue instead. */
  async #unwish(row: Download): Promise<boolean> {
    if (!(await this.#tools.db.setIntent(row.id, [row.state], null))) return false;
    await this.#bounded(this.#runner.settled(row.id));
    return true;
  }

  /** What waits for its next try is tried now. */
  async #hurry(row: Download): Promise<boolean> {
    const now = { attempt: 0, notBefore: null, waiting: null };
    try {
      return (await this.#board.write(row.id, { states: ["queued"] }, now)) !== undefined;
    } finally {
      this.#runner.wake();
    }
  }

  /** Waits for the work, but not longer than a client is kept waiting; false when it was not done by then. */
  async #bounded(work: Promise<void>): Promise<boolean> {
    const limit = new AbortController();
    const late = this.#tools.clock.sleep(COMMAND_MS, limit.signal).then(
      () => false,
      () => true,
    );
    const inTime = await Promise.race([work.then(() => true), late]);
    limit.abort();
    return inTime;
  }

  async #refuseTaken(row: Download): Promise<void> {
    const other = await this.#tools.db.byModelId(row.modelId);
    if (!other || other.id === row.id || isFinished(other.state)) return;
    throw new DownloadError("model_id_conflict", `'${row.modelId}' is already downloading again.`, {
      param: "model_id",
    });
  }

  /** A name that another download has taken up since this one ended stays there, also while that one does not run. */
  async #giveWay(row: Download): Promise<void> {
    const { db } = this.#tools;
    const lost: File[] = [];
    for (const file of await db.files(row.id)) {
      const owners = file.target === null ? [] : await db.filesByTarget(file.target);
      if (owners.some(({ downloadId, state }) => downloadId !== row.id && state !== "done")) lost.push(file);
    }
    await discardPartials(this.#tools, row, lost);
  }

  /** What failed is tried again; a list that may have changed at the hub is asked for anew. */
  async #freshFiles(row: Download): Promise<void> {
    const { db } = this.#tools;
    const files = await db.files(row.id);
    const stale =
      row.error !== null && STALE_LIST.has(row.error.code) && files.every((f) => f.state !== "done");
    if (stale) return db.dropFiles(row.id);
    const failed = files.filter((f) => f.state === "failed");
    await db.updateFiles(failed.map((f) => ({ id: f.id, patch: { state: "pending", error: null } })));
  }
}

/** The typed answer to a command that the state does not allow. */
export function refused(verb: string, row: Download, why: string): DownloadError {
  return new DownloadError("invalid_state", `Cannot ${verb} '${row.modelId}' (${row.state}): ${why}.`);
}
