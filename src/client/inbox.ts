import type { LiveEvent } from "./live-event.ts";

/**
 * Events between a connection and a reader that may be slower. Of the progress of one download only the newest waits;
 * changes of state are all kept, so a reader that stands still holds no more than these.
 */
export class Inbox {
  #events: (LiveEvent | undefined)[] = [];
  /** Where the newest progress of each download waits. */
  readonly #progress = new Map<string, number>();
  #wake: () => void = () => {};
  #end: { error?: unknown } | undefined;

  push(event: LiveEvent): void {
    if (event.type === "download") {
      const { id } = event.download;
      const waiting = this.#progress.get(id);
      this.#progress.delete(id);
      if (event.previous_state === null) {
        if (waiting !== undefined) this.#events[waiting] = undefined;
        this.#progress.set(id, this.#events.length);
      }
    }
    this.#events.push(event);
    this.#wake();
  }

  /** No more will come; with an error the reader gets it behind what waits. */
  end(error?: unknown): void {
    this.#end ??= error === undefined ? {} : { error };
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<LiveEvent> {
    for (;;) {
      const ready = this.#events;
      this.#events = [];
      this.#progress.clear();
      for (const event of ready) if (event) yield event;
      if (this.#events.length > 0) continue;
      if (this.#end) {
        if ("error" in this.#end) throw this.#end.error;
        return;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
