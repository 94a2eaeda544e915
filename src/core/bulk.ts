/** One command for many downloads. */
import { type Download, isRunning, type State } from "./download.ts";
import { toDownloadError } from "./errors.ts";
import type { Snapshot } from "./feed.ts";
import type { Log } from "./ports.ts";

export interface Outcome {
  download: Snapshot;
  /** State before the command. */
  previous: State;
}

export interface BulkOutcome {
  done: Outcome[];
  failed: { download: Snapshot; reason: string }[];
}

/**
 * Gives the command to each of these downloads; what waits goes first, so that no slot that becomes free is taken by a
 * download about to be stopped. One that has gone meanwhile is left out. Never rejects because of a command.
 */
export async function bulk(
  rows: readonly Download[],
  command: (id: string) => Promise<Outcome>,
  find: (id: string) => Promise<Snapshot | undefined>,
  log: Log,
): Promise<BulkOutcome> {
  const outcome: BulkOutcome = { done: [], failed: [] };
  const one = async (row: Download): Promise<void> => {
    try {
      outcome.done.push(await command(row.id));
    } catch (error) {
      const download = await find(row.id);
      if (download) outcome.failed.push({ download, reason: reasonOf(error, log) });
    }
  };
  await Promise.all(rows.filter((row) => !isRunning(row.state)).map(one));
  await Promise.all(rows.filter((row) => isRunning(row.state)).map(one));
  return outcome;
}

/** Why a command failed, for its client. The text of an error nobody expected belongs into the log (F164). */
function reasonOf(error: unknown, log: Log): string {
  const { code, message } = toDownloadError(error);
  if (code !== "internal") return message;
  log.error("A command to many downloads failed for one", { error: message });
  return "The server failed unexpectedly; its log says more.";
}
