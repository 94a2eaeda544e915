/** How many numbers one write to the database covers. */
const BLOCK = 16_384;

/** Where the upper bound of numbers that may have been given is kept. */
export interface SequenceStore {
  /** Records the bound; committed, but not yet on disk. May throw. */
  save(limit: number): void;
  /** Resolves when what was saved is on disk. */
  sync(): Promise<void>;
  /** The same, blocking. */
  syncNow(): void;
  /** A transaction is open, and could still take a bound back. */
  busy(): boolean;
}

/**
 * Hands out growing numbers from memory. Their upper bound is on disk before the first of a block is given, so that
 * no crash and no power loss makes a number come twice (F221).
 */
export class Sequence {
  readonly #store: SequenceStore;
  #last: number;
  /** Numbers up to this one may be given. */
  #limit: number;
  #extending = false;

  /** `limit` is the bound recorded by the run before. */
  constructor(store: SequenceStore, limit: number) {
    this.#store = store;
    this.#last = limit;
    this.#limit = limit;
  }

  /** The number given last. */
  get last(): number {
    return this.#last;
  }

  next(): number {
    this.reserve(1);
    return ++this.#last;
  }

  /** Makes sure that `count` numbers can be given within one transaction. Call it before the transaction begins. */
  reserve(count: number): void {
    if (this.#limit - this.#last < count) this.#extendNow(count);
    else if (this.#limit - this.#last < BLOCK / 2) this.#extendSoon();
  }

  #extendNow(count: number): void {
    if (this.#store.busy()) throw new Error("sequence numbers were not reserved before the transaction");
    const limit = this.#last + Math.max(count, BLOCK);
    this.#store.save(limit);
    this.#store.syncNow();
    this.#limit = Math.max(this.#limit, limit);
  }

  /** Well before the block ends, so that nobody has to wait for the disk. */
  #extendSoon(): void {
    if (this.#extending || this.#store.busy()) return;
    this.#extending = true;
    const limit = this.#limit + BLOCK;
    Promise.resolve()
      .then(() => this.#store.save(limit))
      .then(() => this.#store.sync())
      .then(() => {
        this.#limit = Math.max(this.#limit, limit);
      })
      // Not fatal: the block at hand is not used up, and its end extends it in earnest.
      .catch(() => undefined)
      .finally(() => {
        this.#extending = false;
      });
  }
}
