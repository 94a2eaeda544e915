import { type Download, isFinished, UNFINISHED } from "../../core/download.ts";
import type { Downloads, FeedEvent } from "../../core/downloads.ts";

const PAGE = 500;

type Counted = Pick<Download, "type" | "modelType" | "state">;

const nothing = () => ({
  total_active: 0,
  startup_downloads: 0,
  regular_downloads: 0,
  embedding_model_downloads: 0,
  llm_model_downloads: 0,
});

type Summary = ReturnType<typeof nothing>;

/** Counts one more, or with -1 one fewer. */
function count(summary: Summary, { type, modelType }: Counted, step: 1 | -1): void {
  summary.total_active += step;
  summary[`${type}_downloads`] += step;
  summary[`${modelType}_model_downloads`] += step;
}

/** The seed's summary over unfinished downloads (R66, A7). */
export function summarize(downloads: Iterable<Counted>): Summary {
  const summary = nothing();
  for (const download of downloads) if (!isFinished(download.state)) count(summary, download, 1);
  return summary;
}

/**
 * The same summary for a page of a long list, without reading the whole queue each time: counted once, then kept up
 * by the events.
 */
export class Tally {
  readonly #downloads: Pick<Downloads, "list" | "feed">;
  readonly #unfinished = new Map<string, Counted>();
  #summary = nothing();
  #ready: Promise<void> | undefined;
  #unsubscribe: () => void = () => {};

  constructor(downloads: Pick<Downloads, "list" | "feed">) {
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
    return { ...this.#summary };
  }

  stop(): void {
    this.#unsubscribe();
  }

  async #count(): Promise<void> {
    this.#unfinished.clear();
    this.#summary = nothing();
    const early: FeedEvent[] = [];
    let listen = (event: FeedEvent): void => void early.push(event);
    this.#unsubscribe = this.#downloads.feed.subscribe((event) => listen(event));
    let cursor: string | null | undefined;
    do {
      const page = { limit: PAGE, ...(cursor ? { cursor } : {}) };
      const { items, nextCursor } = await this.#downloads.list({ states: UNFINISHED }, page);
      for (const download of items) this.#see(download.id, download);
      cursor = nextCursor;
    } while (cursor);
    for (const event of early) this.#apply(event);
    listen = (event) => this.#apply(event);
  }

  #apply(event: FeedEvent): void {
    if (event.type === "removed") this.#drop(event.id);
    else this.#see(event.download.id, event.download);
  }

  #see(id: string, { type, modelType, state }: Counted): void {
    this.#drop(id);
    if (isFinished(state)) return;
    const counted = { type, modelType, state };
    this.#unfinished.set(id, counted);
    count(this.#summary, counted, 1);
  }

  #drop(id: string): void {
    const known = this.#unfinished.get(id);
    if (!known) return;
    this.#unfinished.delete(id);
    count(this.#summary, known, -1);
  }
}
