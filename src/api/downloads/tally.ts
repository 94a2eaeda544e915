import { type Download, isFinished } from "../../core/download.ts";
import type { Downloads } from "../../core/downloads.ts";

type Counted = Pick<Download, "type" | "modelType" | "state">;

const nothing = () => ({
  total_active: 0,
  startup_downloads: 0,
  regular_downloads: 0,
  embedding_model_downloads: 0,
  llm_model_downloads: 0,
});

type Summary = ReturnType<typeof nothing>;

function add(summary: Summary, { type, modelType }: Omit<Counted, "state">, count: number): void {
  summary.total_active += count;
  summary[`${type}_downloads`] += count;
  summary[`${modelType}_model_downloads`] += count;
}

/** The seed's summary over unfinished downloads (R66, A7). */
export function summarize(downloads: Iterable<Counted>): Summary {
  const summary = nothing();
  for (const download of downloads) if (!isFinished(download.state)) add(summary, download, 1);
  return summary;
}

/** The same summary for a page of a long list: counted again only when a download has come, gone or changed its state. */
export class Tally {
  readonly #downloads: Pick<Downloads, "unfinished" | "feed">;
  #unsubscribe: (() => void) | undefined;
  #summary: Promise<Summary> | undefined;

  constructor(downloads: Pick<Downloads, "unfinished" | "feed">) {
    this.#downloads = downloads;
  }

  async summary(): Promise<Summary> {
    this.#unsubscribe ??= this.#downloads.feed.subscribe((event) => {
      if (event.type === "removed" || event.stateChanged) this.#summary = undefined;
    });
    this.#summary ??= this.#count();
    const summary = this.#summary;
    try {
      return { ...(await summary) };
    } catch (error) {
      // The next who asks has it counted again.
      if (this.#summary === summary) this.#summary = undefined;
      throw error;
    }
  }

  stop(): void {
    this.#unsubscribe?.();
  }

  async #count(): Promise<Summary> {
    const summary = nothing();
    for (const { count, ...kind } of await this.#downloads.unfinished()) add(summary, kind, count);
    return summary;
  }
}
