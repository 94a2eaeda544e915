/** A list of any length, of which only what is in sight is drawn. */
import { type Signal, useSignal } from "@preact/signals";
import type { ComponentChildren, RefObject } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { drawn, type Layout, layout, stepOf } from "./window.ts";

export interface ListHandle {
  /** Scrolls to a row and gives it the focus. */
  focus(id: string): void;
  /** Scrolls to a row. */
  reveal(id: string): void;
}

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
  /** Class and attributes of the row's own element, which takes the focus; may read signals. */
  rowProps?: (id: string) => Record<string, unknown>;
  /** Keys pressed while the row itself has the focus. Arrows, Home, End and Page keys move, unless it prevents that. */
  onKey?: (event: KeyboardEvent, id: string) => void;
  /** Filled while the list is there. */
  handle?: RefObject<ListHandle | null>;
  class?: string;
}

/** The element that scrolls; the list may stand anywhere in it. */
export const SCROLLER = "data-scroller";

export function VirtualList(props: VirtualListProps) {
  const { ids, rowHeight, render, label, role = "list", expanded, rowProps } = props;
  const root = useRef<HTMLDivElement>(null);
  const extras = useSignal<ReadonlyMap<string, number>>(new Map());
  const place = useLayout(ids, rowHeight, expanded, extras);
  const sight = useSight(root);
  /** The one row that Tab leads to. */
  const current = useSignal<string | undefined>(undefined);
  const stop = tabStop(ids, current.value, place, sight.value.top);
  useKeptFocus(root, ids, current);
  const onKeyDown = useFocus({ root, props, current });
  const kept = stop === undefined ? -1 : ids.indexOf(stop);
  return (
    // biome-ignore lint/a11y/useAriaPropsSupportedByRole: both roles take a label
    // biome-ignore lint/a11y/noStaticElementInteractions: keys of the rows bubble to here
    <div
      ref={root}
      class={props.class ? `virtual ${props.class}` : "virtual"}
      role={role}
      aria-label={label}
      aria-rowcount={role === "table" ? ids.length : undefined}
      style={{ height: `${place.height}px` }}
      onKeyDown={onKeyDown}
      onFocusIn={({ target }) => {
        current.value = rowOf(target)?.dataset.id ?? current.value;
      }}
    >
      {drawn(place, ids.length, sight.value, kept).map((index) => {
        const id = ids[index]!;
        return (
          <RowFrame
            key={id}
            id={id}
            index={index}
            count={ids.length}
            top={place.top(index)}
            rowHeight={rowHeight}
            role={role}
            isStop={id === stop}
            extras={expanded?.has(id) ? extras : undefined}
            render={render}
            rowProps={rowProps}
          />
        );
      })}
    </div>
  );
}

interface RowFrameProps {
  id: string;
  index: number;
  count: number;
  top: number;
  rowHeight: number;
  role: "list" | "table";
  isStop: boolean;
  /** Where the height of an expanded one is told. */
  extras: Signal<ReadonlyMap<string, number>> | undefined;
  render: VirtualListProps["render"];
  rowProps: VirtualListProps["rowProps"] | undefined;
}

/** One row's element. It reads a signal of its own, so that it is drawn again only when its props have changed. */
function RowFrame({
  id,
  index,
  count,
  top,
  rowHeight,
  role,
  isStop,
  extras,
  render,
  rowProps,
}: RowFrameProps) {
  const ref = useRef<HTMLDivElement>(null);
  useSignal(0).value;
  useLayoutEffect(() => {
    if (!extras || !ref.current) return;
    const observer = new ResizeObserver(([entry]) => {
      const extra = Math.max(0, (entry?.borderBoxSize[0]?.blockSize ?? rowHeight) - rowHeight);
      if (extras.peek().get(id) !== extra) extras.value = new Map(extras.peek()).set(id, extra);
    });
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, [extras, rowHeight, id]);
  const height = extras ? { minHeight: `${rowHeight}px`, height: "auto" } : { height: `${rowHeight}px` };
  const where: Record<string, unknown> =
    role === "list"
      ? { role: "listitem", "aria-setsize": count, "aria-posinset": index + 1 }
      : { role: "row", "aria-rowindex": index + 1 };
  return (
    <div
      ref={ref}
      tabIndex={isStop ? 0 : -1}
      data-id={id}
      {...where}
      {...rowProps?.(id)}
      style={{ transform: `translateY(${top}px)`, ...height }}
    >
      {render(id, index)}
    </div>
  );
}

function useLayout(
  ids: readonly string[],
  rowHeight: number,
  expanded: ReadonlySet<string> | undefined,
  extras: Signal<ReadonlyMap<string, number>>,
): Layout {
  const measured = extras.value;
  return useMemo(() => {
    const higher = [...(expanded ?? [])]
      .map((id) => ({ index: ids.indexOf(id), extra: measured.get(id) ?? 0 }))
      .filter(({ index }) => index >= 0);
    return layout(ids.length, rowHeight, higher);
  }, [ids, rowHeight, expanded, measured]);
}

/** What of the list is in sight, from its upper edge; kept up while the page scrolls or changes its size. */
function useSight(root: RefObject<HTMLDivElement | null>): Signal<{ top: number; bottom: number }> {
  const sight = useSignal({ top: 0, bottom: 0 });
  const look = useRef(() => {
    const scroller = root.current?.closest<HTMLElement>(`[${SCROLLER}]`);
    if (!scroller || !root.current) return;
    const top = scroller.getBoundingClientRect().top - root.current.getBoundingClientRect().top;
    const bottom = top + scroller.clientHeight;
    if (top !== sight.peek().top || bottom !== sight.peek().bottom) sight.value = { top, bottom };
  }).current;
  useLayoutEffect(look);
  useEffect(() => {
    const scroller = root.current?.closest<HTMLElement>(`[${SCROLLER}]`);
    if (!scroller) return;
    const observer = new ResizeObserver(look);
    observer.observe(scroller);
    scroller.addEventListener("scroll", look, { passive: true });
    return () => {
      observer.disconnect();
      scroller.removeEventListener("scroll", look);
    };
  }, []);
  return sight;
}

/** The row that had the focus last, else the first in sight. */
function tabStop(ids: readonly string[], current: string | undefined, { at }: Layout, top: number) {
  return current !== undefined && ids.includes(current) ? current : ids[at(top)];
}

/**
 * Rows that change places are moved in the document, which takes the focus from them: it is given back. When the row is
 * gone, the one that has come into its place gets it.
 */
function useKeptFocus(
  root: RefObject<HTMLDivElement | null>,
  ids: readonly string[],
  current: Signal<string | undefined>,
): void {
  const before = root.current?.contains(document.activeElement) ? document.activeElement : null;
  const place = useRef(0);
  useLayoutEffect(() => {
    const index = current.peek() === undefined ? -1 : ids.indexOf(current.peek()!);
    if (before instanceof HTMLElement && document.activeElement !== before) {
      if (before.isConnected) before.focus({ preventScroll: true });
      else {
        const heir = index >= 0 ? ids[index] : ids[Math.min(place.current, ids.length - 1)];
        current.value = heir;
        if (heir !== undefined) elementOf(root.current, heir)?.focus({ preventScroll: true });
      }
    }
    if (index >= 0) place.current = index;
  });
}

interface Focusing {
  root: RefObject<HTMLDivElement | null>;
  props: VirtualListProps;
  current: Signal<string | undefined>;
}

/** Moves the focus from row to row, also to rows that are not drawn yet. */
function useFocus({ root, props, current }: Focusing) {
  const wanted = useRef<string | undefined>(undefined);
  const focus = (id: string): void => {
    wanted.current = id;
    if (current.peek() === id) settle();
    else current.value = id;
  };
  const settle = (): void => {
    const row = wanted.current === undefined ? undefined : elementOf(root.current, wanted.current);
    if (!row) return;
    wanted.current = undefined;
    row.scrollIntoView({ block: "nearest" });
    row.focus({ preventScroll: true });
  };
  useLayoutEffect(settle);
  const { handle } = props;
  useEffect(() => {
    if (!handle) return;
    const reveal = (id: string): void => {
      current.value = id;
      requestAnimationFrame(() => elementOf(root.current, id)?.scrollIntoView({ block: "nearest" }));
    };
    handle.current = { focus, reveal };
    return () => {
      handle.current = null;
    };
  }, [handle]);
  const onKeyDown = (event: KeyboardEvent): void => {
    const row = rowOf(event.target);
    const id = row?.dataset.id;
    if (!row || id === undefined || event.target !== row) return;
    props.onKey?.(event, id);
    if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey) return;
    const scroller = row.closest<HTMLElement>(`[${SCROLLER}]`);
    const page = Math.max(1, Math.floor((scroller?.clientHeight ?? 0) / props.rowHeight) - 1);
    const next = stepOf(event.key, props.ids.indexOf(id), props.ids.length, page);
    if (next === undefined) return;
    event.preventDefault();
    focus(props.ids[next]!);
  };
  return onKeyDown;
}

const rowOf = (target: EventTarget | null): HTMLElement | null =>
  target instanceof Element ? target.closest<HTMLElement>("[data-id]") : null;

const elementOf = (root: HTMLElement | null, id: string): HTMLElement | undefined =>
  [...(root?.children ?? [])].find((row): row is HTMLElement => (row as HTMLElement).dataset.id === id);
