/** Which rows are selected, as in any list: click, Ctrl or Shift with it, and the same by keyboard. */
import { signal } from "@preact/signals";

export const selected = signal<ReadonlySet<string>>(new Set());
/** The row that the keyboard is on. */
export const current = signal<string | undefined>(undefined);
/** Where a range begins. */
let anchor: string | undefined;

export function clear(): void {
  selected.value = new Set();
  anchor = undefined;
}

export function selectOnly(id: string): void {
  selected.value = new Set([id]);
  anchor = id;
}

export function toggle(id: string): void {
  const next = new Set(selected.value);
  if (!next.delete(id)) next.add(id);
  selected.value = next;
  anchor = id;
}

/** From where the last selection began to this one, in the order that is shown. */
export function selectTo(id: string, order: readonly string[]): void {
  const from = anchor === undefined ? -1 : order.indexOf(anchor);
  const to = order.indexOf(id);
  if (from < 0 || to < 0) selectOnly(id);
  else selected.value = new Set(order.slice(Math.min(from, to), Math.max(from, to) + 1));
}

export function selectAll(order: readonly string[]): void {
  selected.value = new Set(order);
}

/** Forgets what is not shown any more: nobody acts on rows that he does not see. */
export function keepOnly(order: readonly string[]): void {
  const shown = new Set(order);
  const kept = [...selected.value].filter((id) => shown.has(id));
  if (kept.length < selected.value.size) selected.value = new Set(kept);
  if (anchor !== undefined && !shown.has(anchor)) anchor = undefined;
  if (current.value !== undefined && !shown.has(current.value)) current.value = undefined;
}
