/** Rows whose details are shown. */
import { signal } from "@preact/signals";

export const open = signal<ReadonlySet<string>>(new Set());

export function toggleDetails(id: string): void {
  const next = new Set(open.value);
  if (!next.delete(id)) next.add(id);
  open.value = next;
}
