import { DownloadError } from "../core/errors.ts";

/**
 * Brings committed transactions to disk, off the event loop and for all who wait at once. While a download fills the
 * page cache a synchronous commit has been seen to stop the process for 600 ms; this stops only those who asked.
 *
 * After a sync has failed, what came before it may be gone although a later one succeeds (F85), so nothing is
 * acknowledged until `repair`, a complete checkpoint, has written everything anew.
 */
export class GroupSync {
  readonly #datasync: () => Promise<void>;
  readonly #repair: () => Promise<void>;
  #running: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;
  #broken = false;

  constructor(datasync: () => Promise<void>, repair: () => Promise<void>) {
    this.#datasync = datasync;
    this.#repair = repair;
  }

  /** Resolves when everything committed before the call is on disk; rejects with `io`. */
  sync(): Promise<void> {
    // One under way may have begun before the caller's commit: the next one counts.
    this.#next ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#running = this.#next!;
        this.#next = undefined;
        return this.#once();
      });
    return this.#next;
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#next) await this.#next.catch(() => undefined);
    await this.#running.catch(() => undefined);
  }

  async #once(): Promise<void> {
    try {
      if (this.#broken) await this.#repair();
      else await this.#datasync();
      this.#broken = false;
    } catch (error) {
      this.#broken = true;
      throw new DownloadError("io", "A change could not be brought to disk safely. Check the disk.", {
        cause: error,
      });
    }
  }
}
