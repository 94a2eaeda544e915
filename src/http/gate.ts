import { abortable } from "./dial.ts";

export interface Gate {
  /** Waits for a place; call what it gives back once, when the place is free again. */
  enter(signal?: AbortSignal): Promise<() => void>;
}

/** At most `places` at a time, first come, first served. */
export function createGate(places: number): Gate {
  let free = places;
  const waiting: (() => void)[] = [];

  const leave = (): void => {
    const next = waiting.shift();
    if (next) next();
    else free++;
  };
  return {
    async enter(signal) {
      if (free > 0) free--;
      else {
        const { promise, resolve } = Promise.withResolvers<void>();
        waiting.push(resolve);
        try {
          await abortable(promise, signal);
        } catch (error) {
          const place = waiting.indexOf(resolve);
          if (place >= 0) waiting.splice(place, 1);
          else leave();
          throw error;
        }
      }
      let left = false;
      return () => {
        if (!left) leave();
        left = true;
      };
    },
  };
}
