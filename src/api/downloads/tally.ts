import { type Download, isFinished } from "../../core/download.ts";
import type { Downloads, FeedEvent } from "../../core/downloads.ts";

type Counted = Pick<Download, "type" | "modelType" | "state">;

/** The seed's summary over unfinished downloads (R66, A7). */
export function summarize(downloads: Iterable<Counted>) {
  const summary = {
    total_active: 0,
    startup_downloads: 0,
    regular_downloads: 0,
    embedding_model_downloads: 0,
    llm_model_downloads: 0,
  };
  for (const { state, type, modelType } of downloads) {
    if (isFinished(state)) continue;
    summary.total_active++;
    summary[`${type}_downloads`]++;
    summary[`${modelType}_model_downloads`]++;
  }
  return summary;
}

/**
 * The same summary for a page of a long list, without reading the whole queue each time: counted once, then kept up
 * by the events.
 */
export class Tally {
  readonly #downloads: Pick<Downloads, "active" | "feed">;
  readonly #unfinished = new Map<string, Counted>();
  #ready: Promise<void> | undefined;
  #unsubscribe: () => void = () => {};

  constructor(downloads: Pick<Downloads, "active" | "feed">) {
    this.#downloads = downloads;
  }

  async summary() {
    this.#ready ??= this.#count().catch((error) => {
      // The next who asks has it counted again.
      this.stop();
      this.#ready = undefined;
      throw error;
    });
    await this.#ready;
    return summarize(this.#unfinished.values());
  }

  stop(): void {
    this.#unsubscribe();
  }

  async #count(): Promise<void> {
    this.#unfinished.clear();
    const early: FeedEvent[] = [];
    let listen = (event: FeedEvent): void => void early.push(event);
    this.#unsubscribe = this.#downloads.feed.subscribe((event) => listen(event));
    for (const download of await this.#downloads.active()) this.#see(download.id, download);
    for (const event of early) this.#apply(event);
    listen = (event) => this.#apply(event);
  }

  #apply(event: FeedEvent): void {
    if (event.type === "removed") this.#unfinished.delete(event.id);
    else this.#see(event.download.id, event.download);
  }

  #see(id: string, { type, modelType, state }: Counted): void {
    if (isFinished(state)) this.#unfinished.delete(id);
    else this.#unfinished.set(id, { type, modelType, state });
  }
}
