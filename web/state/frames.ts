/** Runs work at most once a frame; in a page that is not shown, which gets no frames, a few times a second. */
const HIDDEN_MS = 500;

export function oncePerFrame(work: () => void): () => void {
  let isPlanned = false;
  const run = (): void => {
    if (!isPlanned) return;
    isPlanned = false;
    work();
  };
  return () => {
    if (isPlanned) return;
    isPlanned = true;
    if (globalThis.document?.visibilityState === "visible") requestAnimationFrame(run);
    // The page may be hidden before its frame comes.
    setTimeout(run, HIDDEN_MS);
  };
}
