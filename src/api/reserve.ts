import { closeSync, openSync } from "node:fs";
import { devNull } from "node:os";

const MOST = 32;
/** Beside the reserve itself, so that a few clients more do not use everything up at once again. */
const MARGIN = 1.5;

/**
 * File descriptors kept back for downloads and the database (F113): clients can take all that a process may have, and
 * what moves or is recorded needs some too. As many as there are to be had at the start, half of that when it is few.
 */
export class Reserve {
  readonly #size: number;
  readonly #held: number[] = [];

  constructor() {
    this.#fill(2 * MOST);
    this.#size = Math.min(MOST, Math.floor(this.#held.length / 2));
    this.#drop(this.#size);
  }

  /** Whether not one is left beside those that are held. */
  get isAllThatIsLeft(): boolean {
    const held = this.#held.length;
    const isFree = this.#fill(held + 1);
    this.#drop(held);
    return !isFree;
  }

  /** Lets those work with it who have none. */
  release(): void {
    this.#drop(0);
  }

  /** Holds it again; false, and nothing is held, while there are too few. */
  regain(): boolean {
    const isThere = this.#fill(Math.ceil(MARGIN * this.#size));
    this.#drop(isThere ? this.#size : 0);
    return isThere;
  }

  #fill(count: number): boolean {
    try {
      while (this.#held.length < count) this.#held.push(openSync(devNull, "r"));
      return true;
    } catch {
      return false;
    }
  }

  #drop(count: number): void {
    for (const descriptor of this.#held.splice(count)) closeSync(descriptor);
  }
}
