/** Models of which more is to come, or was to come: their downloads have not brought all of their files. */
import { row } from "../../state/store.ts";
import { isFinished } from "../../state/tally.ts";
import type { State } from "../../state/types.ts";
import type { Model } from "./groups.ts";

export interface Unfinished {
  state: State;
  /** Files that are there, and all of them; undefined while nothing is known of the download. */
  files: { done: number; total: number } | undefined;
  /** Its download works on it, or will: nothing of it can be deleted. */
  isHeld: boolean;
}

/** Undefined for what is all there. Reads the live state: that of the list is as old as the list. */
export function unfinished({ id, state: listed }: Model): Unfinished | undefined {
  const download = row(id).value;
  const state = download?.state ?? listed;
  if (state === undefined || state === "completed") return undefined;
  const isHeld = !isFinished(state);
  const files = download && { done: download.files_done, total: download.files_total };
  // What failed as an engine has brought its files all the same.
  if (!isHeld && files && files.total > 0 && files.done >= files.total) return undefined;
  return { state, files, isHeld };
}
