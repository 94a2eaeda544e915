/** Numbers in [0, 1) that are the same for the same seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A whole number in [from, to]. */
export const between = (next: () => number, from: number, to: number): number =>
  from + Math.floor(next() * (to - from + 1));

/** One of several. */
export const oneOf = <T>(next: () => number, all: readonly T[]): T => all[Math.floor(next() * all.length)]!;
