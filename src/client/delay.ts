/** The longest a timer can run; with more than that it would be over at once. */
const LONGEST_MS = 2 ** 31 - 1;

/** Acts after so many milliseconds; never when that is longer than timers run (25 days), or endless. */
export const after = (ms: number, act: () => void): ReturnType<typeof setTimeout> | undefined =>
  ms > LONGEST_MS ? undefined : setTimeout(act, ms);

/** Waits; at once over when the signal comes, without an error. */
export function delay(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
  });
}
