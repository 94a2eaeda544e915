/** When what has come is shown: numbers change together, a few times a second, and what nobody sees costs little. */

/** In a page that is not shown, which gets no frames, work is done a few times a second. */
const HIDDEN_MS = 500;
/** Numbers that change faster than this cannot be read, and cost a frame each. */
const CALM_MS = 250;
/** Where many numbers change at once nobody reads them all, and each frame costs more. */
const MANY_MS = 1_000;
/** So much is many. */
const MANY = 8;
/** Of a page that is not shown there is the title. */
const UNSEEN_MS = 2_000;

const isSeen = (): boolean => globalThis.document?.visibilityState !== "hidden";

/** Calm work of all kinds is done at the same moments, for one frame. */
export const untilNext = (everyMs: number): number => everyMs - (performance.now() % everyMs);

function calmly(lastCount: number): number {
  if (!isSeen()) return UNSEEN_MS;
  return untilNext(lastCount > MANY ? MANY_MS : CALM_MS);
}

/**
 * Runs work with the next frame when it is urgent, else a few times a second; once for all that asked meanwhile, and at
 * once when a hidden page is shown. The work answers how much it was.
 */
export function paced(work: () => number): (isUrgent: boolean) => void {
  let calm: ReturnType<typeof setTimeout> | undefined;
  let late: ReturnType<typeof setTimeout> | undefined;
  let isPlanned = false;
  let lastCount = 0;
  const run = (): void => {
    if (!isPlanned) return;
    isPlanned = false;
    clearTimeout(late);
    clearTimeout(calm);
    calm = undefined;
    lastCount = work();
  };
  const withFrame = (): void => {
    if (isPlanned) return;
    isPlanned = true;
    if (globalThis.document?.visibilityState === "visible") requestAnimationFrame(run);
    // The page may be hidden before its frame comes.
    late = setTimeout(run, HIDDEN_MS);
  };
  globalThis.document?.addEventListener("visibilitychange", () => {
    if (calm !== undefined && isSeen()) withFrame();
  });
  return (isUrgent) => {
    if (isUrgent) withFrame();
    else calm ??= setTimeout(withFrame, calmly(lastCount));
  };
}

/** Runs work once a second, with the numbers that change then; answers how to end that. */
export function everySecond(work: () => void): () => void {
  let timer: ReturnType<typeof setTimeout>;
  const plan = (): void => {
    timer = setTimeout(() => {
      work();
      plan();
    }, untilNext(1_000));
  };
  plan();
  return () => clearTimeout(timer);
}
