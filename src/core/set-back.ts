import type { Board } from "./board.ts";
import { allRows } from "./pages.ts";
import type { Clock } from "./ports.ts";

/** Clocks that are kept right by a time server move by less than this. */
const NOTICED_MS = 1000;

/**
 * Waits end at a time of the wall clock, so that a restart or a sleep of the machine does not make them longer. A clock
 * that is set back would: then they are brought forward by as much (F111).
 */
export class SetBack {
  readonly #clock: Clock;
  /** What the wall clock was ahead of the other one when last looked at. */
  #offset: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#offset = this.#ahead();
  }

  /** Looks at the clocks; after a setting back every wait ends when it would have ended. Rejects when rows cannot be written. */
  async mend(board: Board): Promise<void> {
    const offset = this.#ahead();
    const back = this.#offset - offset;
    if (back >= NOTICED_MS)
      for (const { id, notBefore, waiting } of await allRows(board.db, { states: ["queued"] })) {
        if (notBefore === null) continue;
        const until = notBefore - back;
        const patch = { notBefore: until, waiting: waiting && { ...waiting, until } };
        await board.write(id, { states: ["queued"] }, patch);
      }
    this.#offset = offset;
  }

  #ahead(): number {
    return this.#clock.now() - this.#clock.monotonic();
  }
}
