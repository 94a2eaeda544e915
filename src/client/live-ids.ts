import { ModelhaulError } from "./errors.ts";
import type { LiveEvent, RemovedEvent } from "./live-event.ts";
import { pathOf, type Transport } from "./transport.ts";

/** What of the downloads that are watched is still there. They are asked for by name at first, then as what they are. */
export class WatchedIds {
  #left: readonly string[];
  /** Name of each that has been heard of, by UUID. */
  readonly #names = new Map<string, string>();

  constructor(ids: readonly string[]) {
    this.#left = ids;
  }

  /** To be asked for from now on: a name may lead to another download by then, and what is gone would be refused. */
  get left(): readonly string[] {
    return this.#left;
  }

  /** Keeps book of an event; whether nothing is there any more. */
  sees(event: LiveEvent): boolean {
    if (event.type === "removed") {
      this.#left = this.#left.filter((id) => id !== event.id && id !== event.model_id);
      return this.#left.length === 0;
    }
    for (const { id, model_id } of event.type === "snapshot" ? event.downloads : [event.download]) {
      this.#names.set(id, model_id);
      this.#left = [...new Set(this.#left.map((asked) => (asked === model_id ? id : asked)))];
    }
    return false;
  }

  /**
   * Those that were removed while nobody listened. None before anything was heard of: then they have never been there.
   * Throws `ModelhaulError` where the server refuses to tell, and `ConnectionError` where it does not answer.
   */
  async removed(transport: Transport, seq: number, signal: AbortSignal): Promise<RemovedEvent[]> {
    if (this.#names.size === 0) return [];
    const gone: RemovedEvent[] = [];
    for (const id of this.#left) {
      try {
        await transport.json("GET", pathOf`/v1/downloads/${id}`, { signal });
      } catch (error) {
        if (!(error instanceof ModelhaulError) || error.status !== 404) throw error;
        gone.push({ type: "removed", seq, id, model_id: this.#names.get(id) ?? id });
      }
    }
    return gone;
  }
}
