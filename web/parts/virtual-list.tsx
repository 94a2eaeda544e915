/** A list of any length, of which only what is in sight is drawn. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

export interface VirtualListProps {
  ids: readonly string[];
  /** CSS pixels of a row that is not expanded. */
  rowHeight: number;
  /** Content of one row. Let it read its own signal, so that an update draws that row only. */
  render: (id: string, index: number) => ComponentChildren;
  /** Read out. */
  label: string;
  /** `table` needs cells in its rows. */
  role?: "list" | "table";
  /** Rows that are as high as what is in them. */
  expanded?: ReadonlySet<string>;
  /** Class and attributes of the row's own element, which takes the focus. */
  rowProps?: (id: string) => Record<string, unknown>;
  /** Keys pressed while the row itself has the focus; arrows, Home, End and Page keys are taken. */
  onKey?: (event: KeyboardEvent, id: string) => void;
}

/** The element that scrolls; the list may stand anywhere in it. */
export const SCROLLER = "data-scroller";

export function VirtualList({ ids, rowHeight, render, label, role = "list", rowProps }: VirtualListProps) {
  const root = useRef<HTMLDivElement>(null);
  const range = useSignal({ from: 0, to: 50 });
  useLayoutEffect(() => {
    const scroller = root.current?.closest<HTMLElement>(`[${SCROLLER}]`);
    if (!scroller) return;
    const look = (): void => {
      const top = scroller.getBoundingClientRect().top - (root.current?.getBoundingClientRect().top ?? 0);
      const from = Math.max(0, Math.floor(top / rowHeight) - 5);
      const to = Math.ceil((top + scroller.clientHeight) / rowHeight) + 5;
      if (from !== range.value.from || to !== range.value.to) range.value = { from, to };
    };
    look();
    scroller.addEventListener("scroll", look, { passive: true });
    return () => scroller.removeEventListener("scroll", look);
  }, [rowHeight]);
  const { from, to } = range.value;
  const shown = ids.slice(from, to);
  return (
    // biome-ignore lint/a11y/useAriaPropsSupportedByRole: both roles take a label
    <div
      ref={root}
      class="virtual"
      role={role}
      aria-label={label}
      style={{ height: `${ids.length * rowHeight}px` }}
    >
      {shown.map((id, at) => (
        <div
          key={id}
          role={role === "list" ? "listitem" : "row"}
          tabIndex={at === 0 ? 0 : -1}
          data-id={id}
          {...rowProps?.(id)}
          style={{ transform: `translateY(${(from + at) * rowHeight}px)`, height: `${rowHeight}px` }}
        >
          {render(id, from + at)}
        </div>
      ))}
    </div>
  );
}
