/** Reordering by mouse or finger: a row is taken by its grip and let go between two others. */
import { signal } from "@preact/signals";
import { SCROLLER } from "../../parts/virtual-list.tsx";
import { peek } from "../../state/store.ts";
import { may } from "./allowed.ts";
import { moveTo, type Place } from "./queue.ts";

/** Where the row would go if it were let go now. */
export interface Drop {
  id: string;
  /** The row it would stand beside. */
  beside: string;
  side: "before" | "after";
}

export const dragged = signal<string | undefined>(undefined);
export const drop = signal<Drop | undefined>(undefined);

/** So near to the edge of the list it scrolls, this much per frame. */
const EDGE = 48;
const SCROLL = 12;

export function startDrag(event: PointerEvent, id: string): void {
  if (event.button !== 0 || dragged.value !== undefined) return;
  event.preventDefault();
  const grip = event.currentTarget as HTMLElement;
  const scroller = grip.closest<HTMLElement>(`[${SCROLLER}]`);
  const end = new AbortController();
  const { signal: ended } = end;
  let y = event.clientY;
  const look = (): void => {
    drop.value = dropAt(event.clientX, y, id);
  };
  const stop = (isDone: boolean): void => {
    const at = drop.value;
    end.abort();
    dragged.value = undefined;
    drop.value = undefined;
    if (isDone && at) void moveTo(id, placeOf(at));
  };
  const move = (next: PointerEvent): void => {
    y = next.clientY;
    look();
  };
  dragged.value = id;
  addEventListener("pointermove", move, { signal: ended });
  addEventListener("pointerup", () => stop(true), { signal: ended });
  addEventListener("pointercancel", () => stop(false), { signal: ended });
  addEventListener("keydown", ({ key }: KeyboardEvent) => key === "Escape" && stop(false), { signal: ended });
  if (scroller) scrollAtEdges(scroller, () => y, look, ended);
}

const placeOf = ({ beside, side }: Drop): Place =>
  side === "before" ? { before: beside } : { after: beside };

/** The waiting row under the pointer, and which of its halves. */
function dropAt(x: number, y: number, id: string): Drop | undefined {
  const under = document.elementFromPoint(x, y)?.closest<HTMLElement>("[data-id]");
  const beside = under?.dataset.id;
  const item = beside === undefined ? undefined : peek(beside);
  if (!under || !item || beside === id || !may("move", item)) return undefined;
  const { top, height } = under.getBoundingClientRect();
  return { id, beside: item.id, side: y < top + height / 2 ? "before" : "after" };
}

function scrollAtEdges(
  scroller: HTMLElement,
  pointer: () => number,
  look: () => void,
  ended: AbortSignal,
): void {
  const frame = (): void => {
    if (ended.aborted) return;
    const { top, bottom } = scroller.getBoundingClientRect();
    const by = pointer() < top + EDGE ? -SCROLL : pointer() > bottom - EDGE ? SCROLL : 0;
    if (by !== 0) {
      scroller.scrollTop += by;
      look();
    }
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}
