/** Listeners by the name of what they are told; `Events` maps each name to what comes with it. */
export class Emitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<(payload: never) => void>>();

  /** Answers how to be told no longer. */
  on<K extends keyof Events>(name: K, listener: (payload: Events[K]) => void): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
    return () => this.off(name, listener);
  }

  once<K extends keyof Events>(name: K, listener: (payload: Events[K]) => void): () => void {
    const off = this.on(name, (payload) => {
      off();
      listener(payload);
    });
    return off;
  }

  off<K extends keyof Events>(name: K, listener: (payload: Events[K]) => void): void {
    this.#listeners.get(name)?.delete(listener);
  }

  /** Of one event, or of all. */
  removeAllListeners(name?: keyof Events): void {
    if (name === undefined) this.#listeners.clear();
    else this.#listeners.delete(name);
  }

  listenerCount(name: keyof Events): number {
    return this.#listeners.get(name)?.size ?? 0;
  }

  /** Tells all listeners, in the order in which they came. */
  emit<K extends keyof Events>(name: K, payload: Events[K]): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])])
      (listener as (payload: Events[K]) => void)(payload);
  }
}
