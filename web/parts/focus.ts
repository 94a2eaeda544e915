/** A browser takes the focus from what is disabled or gone, and whoever works by keyboard would begin at the top again. */
import type { RefObject } from "preact";
import { useLayoutEffect, useState } from "preact/hooks";

interface Held {
  disabled: boolean;
  "aria-disabled": "true" | undefined;
  onBlur: () => void;
}

/** Attributes of a button that is off: while it has the focus, and while `isBusy`, it is only marked so. */
export function useOff(ref: RefObject<HTMLElement | null>, isOff: boolean, isBusy = false): Held {
  const [, drawAgain] = useState(0);
  const isMarked = isBusy || (isOff && ref.current !== null && document.activeElement === ref.current);
  return {
    disabled: isOff && !isMarked,
    "aria-disabled": isMarked ? "true" : undefined,
    onBlur: () => {
      if (isMarked) drawAgain((count) => count + 1);
    },
  };
}

/** When it goes with the focus in it, the first of the `heirs` that can take the focus gets it. */
export function useHeirs(
  ref: RefObject<HTMLElement | null>,
  heirs: () => readonly (HTMLElement | null | undefined)[],
): void {
  useLayoutEffect(() => {
    const own = ref.current;
    return () => {
      if (own?.contains(document.activeElement)) queueMicrotask(() => handOn(heirs()));
    };
  }, []);
}

function handOn(heirs: readonly (HTMLElement | null | undefined)[]): void {
  for (const heir of heirs) {
    if (!heir?.isConnected) continue;
    heir.focus({ preventScroll: true });
    if (document.activeElement === heir) return;
  }
}
