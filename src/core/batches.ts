/** Long lists are worked through so many at a time: the event loop belongs to others in between (F224, F225). */
export const BATCH = 1000;

/** Lets everything that waits for the event loop have its turn. */
export const othersTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** The list in pieces of {@link BATCH}; others have their turn between two of them. */
export async function* inBatches<T>(list: readonly T[]): AsyncGenerator<readonly T[]> {
  for (let at = 0; at < list.length; at += BATCH) {
    if (at > 0) await othersTurn();
    yield list.slice(at, at + BATCH);
  }
}
