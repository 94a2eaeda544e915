/** In a page that is not shown, which gets no frames, work is done a few times a second. */
const HIDDEN_MS = 500;
/** Numbers that change faster than this cannot be read, and cost a frame each. */
const CALM_MS = 250;

/** Runs work with the next frame when it is urgent, else a few times a second; once for all that asked meanwhile. */
export function paced(work: () => void): (isUrgent: boolean) => void {
  let last = Number.NEGATIVE_INFINITY;
  let calm: ReturnType<typeof setTimeout> | undefined;
  let late: ReturnType<typeof setTimeout> | undefined;
  let isPlanned = false;
  const run = (): void => {
    if (!isPlanned) return;
    isPlanned = false;
    clearTimeout(late);
    clearTimeout(calm);
    calm = undefined;
    last = performance.now();
    work();
  };
  const withFrame = (): void => {
    if (isPlanned) return;
    isPlanned = true;
    if (globalThis.document?.visibilityState === "visible") requestAnimationFrame(run);
    // The page may be hidden before its frame comes.
    late = setTimeout(run, HIDDEN_MS);
  };
  return (isUrgent) => {
    if (isUrgent) withFrame();
    else calm ??= setTimeout(withFrame, Math.max(0, last + CALM_MS - performance.now()));
  };
}
