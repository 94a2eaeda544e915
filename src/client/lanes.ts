/** Work that takes its turn. */

/** Does it when it is its turn. An abort while it waits rejects with the signal's reason, and it is never done. */
export type Lanes = <T>(work: () => Promise<T>, signal?: AbortSignal) => Promise<T>;

/** At most `width` pieces of work at a time, in the order in which they came. */
export function lanes(width: number): Lanes {
  let running = 0;
  const waiting = new Set<() => void>();

  const turn = (signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      const begin = (): void => {
        waiting.delete(begin);
        signal?.removeEventListener("abort", leave);
        running += 1;
        resolve();
      };
      const leave = (): void => {
        waiting.delete(begin);
        reject(signal?.reason);
      };
      if (running < width) return begin();
      signal?.addEventListener("abort", leave, { once: true });
      waiting.add(begin);
    });

  return async (work, signal) => {
    signal?.throwIfAborted();
    await turn(signal);
    try {
      return await work();
    } finally {
      running -= 1;
      const [next] = waiting;
      next?.();
    }
  };
}
