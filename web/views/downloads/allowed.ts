/** What may be done in which state: buttons are enabled by this, and the server has the last word. */
import { ALLOWED as VERBS } from "../../state/actions.ts";
import type { DownloadItem, State } from "../../state/types.ts";

const ALLOWED = {
  ...VERBS,
  remove: ["completed", "failed", "cancelled"],
  move: ["queued"],
  limit: ["queued", "downloading", "paused", "verifying", "creating_engine"],
} satisfies Record<string, readonly State[]>;

export type Act = keyof typeof ALLOWED;

export const may = (act: Act, { state }: Pick<DownloadItem, "state">): boolean =>
  (ALLOWED[act] as readonly State[]).includes(state);

/** Ids of those that the act may be done to. */
export const whichMay = (act: Act, items: readonly DownloadItem[]): string[] =>
  items.filter((item) => may(act, item)).map(({ id }) => id);
