/** One after the other, under each name. */
export class Turns {
  readonly #last = new Map<string, Promise<void>>();

  /** Resolves with what ends the turn, once all before have ended theirs. Rejects with the signal's reason. */
  async take(name: string, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    const before = this.#last.get(name) ?? Promise.resolve();
    const turn = Promise.withResolvers<void>();
    const all = before.then(() => turn.promise);
    this.#last.set(name, all);
    void all.then(() => {
      if (this.#last.get(name) === all) this.#last.delete(name);
    });
    try {
      await unlessAborted(before, signal);
    } catch (reason) {
      turn.resolve();
      throw reason;
    }
    return turn.resolve;
  }
}

async function unlessAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
