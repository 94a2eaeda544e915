import { useSignalEffect } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { type ListHandle, SCROLLER, VirtualList } from "../../parts/virtual-list.tsx";
import { prefs } from "../../state/prefs.ts";
import { order, view } from "../../state/store.ts";
import { dragged, drop } from "./drag.ts";
import { onRowKey, SHORTCUTS } from "./keys.ts";
import { DownloadRow } from "./row.tsx";
import { current, keepOnly, selected, selectOnly, selectTo, toggle } from "./selection.ts";
import { useInSight } from "./show.ts";
import { open, toggleDetails } from "./unfolded.ts";

/** Below this a row needs several lines; the same number as in the style sheet. */
const NARROW = matchMedia("(max-width: 859px)");
const HEIGHTS = { comfortable: { wide: 60, narrow: 116 }, compact: { wide: 44, narrow: 104 } };

function useNarrow(): boolean {
  const [isNarrow, setNarrow] = useState(NARROW.matches);
  useEffect(() => {
    const look = (): void => setNarrow(NARROW.matches);
    NARROW.addEventListener("change", look);
    return () => NARROW.removeEventListener("change", look);
  }, []);
  return isNarrow;
}

/** Whoever looks for something else sees it from its beginning. */
function useFromTop(): RefObject<HTMLDivElement | null> {
  const list = useRef<HTMLDivElement>(null);
  const last = useRef(view.peek());
  useSignalEffect(() => {
    if (view.value === last.current) return;
    last.current = view.value;
    const scroller = list.current?.closest(`[${SCROLLER}]`);
    const tools = list.current?.parentElement?.querySelector(".tools");
    if (!list.current || !scroller || !tools) return;
    const hidden = list.current.getBoundingClientRect().top - tools.getBoundingClientRect().bottom;
    scroller.scrollTop += Math.min(0, hidden);
  });
  return list;
}

export function DownloadList() {
  const handle = useRef<ListHandle>(null);
  const isNarrow = useNarrow();
  useInSight(handle);
  useSignalEffect(() => keepOnly(order.value));
  const list = useFromTop();
  const heights = HEIGHTS[prefs.density.value];
  return (
    <div ref={list} class={dragged.value === undefined ? "downloads" : "downloads is-dragging"}>
      <VirtualList
        label="Downloads"
        ids={order.value}
        rowHeight={isNarrow ? heights.narrow : heights.wide}
        expanded={open.value}
        render={(id) => <DownloadRow id={id} />}
        rowProps={rowProps}
        handle={handle}
        onKey={(event, id) => {
          if (onRowKey(event, id, (next) => handle.current?.focus(next))) event.preventDefault();
        }}
      />
    </div>
  );
}

function rowProps(id: string): Record<string, unknown> {
  const at = drop.value;
  const marks = [
    "dl-row",
    selected.value.has(id) ? "is-selected" : "",
    dragged.value === id ? "is-dragged" : "",
    at?.beside === id ? `drop-${at.side}` : "",
  ];
  return {
    class: marks.filter(Boolean).join(" "),
    "aria-keyshortcuts": SHORTCUTS,
    onFocusIn: () => {
      current.value = id;
    },
    onClick: (event: PointerEvent) => onClick(event, id),
    onDblClick: (event: MouseEvent) => {
      if (!isControl(event)) toggleDetails(id);
    },
    onMouseDown: (event: MouseEvent) => {
      // Shift with a click selects rows, not the text between them.
      if (event.shiftKey) event.preventDefault();
    },
  };
}

const CONTROLS = "button, a, input, select, label, .menu, .grip, .details";
const isControl = ({ target }: Event): boolean =>
  target instanceof Element && target.closest(CONTROLS) !== null;

function onClick(event: PointerEvent, id: string): void {
  if (isControl(event)) return;
  if (event.pointerType === "touch") toggleDetails(id);
  else if (event.shiftKey) selectTo(id, order.peek());
  else if (event.ctrlKey || event.metaKey) toggle(id);
  else selectOnly(id);
}
