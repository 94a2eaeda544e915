/** Keys of the list, for whoever has no mouse or no time for it. */
import { cancel, pause, remove, resume, retry } from "../../state/actions.ts";
import { order, peek } from "../../state/store.ts";
import { may } from "./allowed.ts";
import { removeMany, verbMany } from "./many.ts";
import { isQueueOrder, step, toEnd, toFront } from "./queue.ts";
import { clear, selectAll, selected, selectTo, toggle } from "./selection.ts";
import { toggleDetails } from "./unfolded.ts";

/** As told in the help. */
export const KEYS: readonly (readonly [keys: string, what: string])[] = [
  ["↑ ↓ Home End", "Go through the list"],
  ["Enter", "Show or hide details"],
  ["Space", "Select or leave out"],
  ["Shift + ↑ ↓", "Select further"],
  ["Ctrl + A", "Select all that is shown"],
  ["Escape", "Select nothing"],
  ["Alt + ↑ ↓", "Move up or down in the queue"],
  ["Alt + Home, Alt + End", "Move to the front or the end of the queue"],
  ["P", "Pause or resume"],
  ["R", "Retry"],
  ["Delete", "Cancel; remove what has ended"],
];

/** Of a row that has the focus itself. */
export const SHORTCUTS = "Enter Space Alt+ArrowUp Alt+ArrowDown P R Delete";

/** Answers true when the key meant something. `focus` goes to a row. */
export function onRowKey(event: KeyboardEvent, id: string, focus: (id: string) => void): boolean {
  const { key, altKey, shiftKey } = event;
  const hasControl = event.ctrlKey || event.metaKey;
  if (altKey && !hasControl) return reorder(key, id);
  if (hasControl) {
    if (key.toLowerCase() !== "a") return false;
    selectAll(order.peek());
    return true;
  }
  if (shiftKey && (key === "ArrowUp" || key === "ArrowDown"))
    return extend(id, key === "ArrowUp" ? -1 : 1, focus);
  return plain(key, id);
}

function reorder(key: string, id: string): boolean {
  const moves: Record<string, () => Promise<boolean>> = {
    ArrowUp: () => step(id, -1),
    ArrowDown: () => step(id, 1),
    Home: () => toFront(id),
    End: () => toEnd(id),
  };
  const move = moves[key];
  if (!move) return false;
  const item = peek(id);
  if (item && may("move", item) && isQueueOrder()) void move();
  return true;
}

function extend(id: string, by: 1 | -1, focus: (id: string) => void): boolean {
  const ids = order.peek();
  const next = ids[ids.indexOf(id) + by];
  if (!selected.peek().has(id)) selectTo(id, ids);
  if (next === undefined) return true;
  selectTo(next, ids);
  focus(next);
  return true;
}

function plain(key: string, id: string): boolean {
  const acts: Record<string, () => void> = {
    Enter: () => toggleDetails(id),
    " ": () => toggle(id),
    Escape: clear,
    Delete: () => end(id),
    p: () => pauseOrResume(id),
    r: () => {
      const item = peek(id);
      if (item && may("retry", item)) void retry(id);
    },
  };
  const act = acts[key.length === 1 ? key.toLowerCase() : key];
  act?.();
  return act !== undefined;
}

function pauseOrResume(id: string): void {
  const item = peek(id);
  if (item === undefined) return;
  if (may("resume", item)) void resume(id);
  else if (may("pause", item)) void pause(id);
}

/** The selected ones, if the row is one of them. */
function end(id: string): void {
  const ids = selected.peek().has(id) ? [...selected.peek()] : [id];
  const items = ids.map(peek).filter((item) => item !== undefined);
  const open = items.filter((item) => may("cancel", item)).map((item) => item.id);
  if (ids.length > 1) return void (open.length > 0 ? verbMany("cancel", open) : removeMany(ids));
  const [only] = items;
  if (only) void (may("cancel", only) ? cancel(only.id) : remove(only.id));
}
