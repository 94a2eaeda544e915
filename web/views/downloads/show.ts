/** `#/downloads?show=ID`, the way to one download from elsewhere. */
import { computed } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { ListHandle } from "../../parts/virtual-list.tsx";
import { prefs } from "../../state/prefs.ts";
import { route } from "../../state/route.ts";
import { downloads, order } from "../../state/store.ts";
import { open } from "./unfolded.ts";

const wanted = computed(() => {
  const { view, params } = route.value;
  return view === "downloads" ? params.get("show") : null;
});

/** It is among those that are shown, whatever hid it, with its details. Once: afterwards the reader decides. */
export function useUnhidden(): void {
  const id = wanted.value;
  const isThere = id !== null && downloads.value.has(id);
  useEffect(() => {
    if (id === null || !isThere) return;
    if (!order.peek().includes(id)) {
      prefs.filter.value = "all";
      prefs.search.value = "";
    }
    open.value = new Set(open.peek()).add(id);
  }, [id, isThere]);
}

/** It has the focus and is in sight, once the list has it. */
export function useInSight(handle: RefObject<ListHandle | null>): void {
  const id = wanted.value;
  const isListed = id !== null && order.value.includes(id);
  const last = useRef<string | null>(null);
  useEffect(() => {
    if (id === null || !isListed || last.current === id) return;
    last.current = id;
    handle.current?.focus(id);
  }, [id, isListed]);
}
