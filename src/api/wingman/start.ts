import { isFinished } from "../../core/download.ts";
import type { Downloads, Snapshot } from "../../core/downloads.ts";
import { DownloadError } from "../../core/errors.ts";
import { isOwn, keyOf, type Pair } from "./pair.ts";
import type { Pairs } from "./pairs.ts";
import { FILE_STATUS, presentAnswer } from "./present.ts";

export interface Answer {
  /** 202 when it was queued by this request, 200 when it is only reported. */
  status: 200 | 202;
  body: ReturnType<typeof presentAnswer>;
}

/** R147: asking for a pair, as often as one likes, is one transfer. */
export class Starter {
  readonly #downloads: Downloads;
  readonly #pairs: Pairs;
  /** The last request under way for each pair: equal ones are judged one after the other. */
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(downloads: Downloads, pairs: Pairs) {
    this.#downloads = downloads;
    this.#pairs = pairs;
  }

  /** R152-R156, A12, A22. `retry` queues a failed or cancelled one again. Throws what `Downloads.start` throws. */
  async ask(pair: Pair, retry: boolean): Promise<Answer> {
    await this.#pairs.ready();
    const key = keyOf(pair);
    const before = this.#turns.get(key) ?? Promise.resolve();
    const turn = before.then(() => this.#answer(pair, retry));
    const done = turn.catch(() => undefined);
    this.#turns.set(key, done);
    try {
      return await turn;
    } finally {
      if (this.#turns.get(key) === done) this.#turns.delete(key);
    }
  }

  /** What is known of the pair; nothing is started. */
  async look(pair: Pair): Promise<Snapshot | undefined> {
    await this.#pairs.ready();
    const id = this.#pairs.find(pair);
    const known = id === undefined ? undefined : await this.#downloads.find(id);
    return known && isOwn(known) ? known : undefined;
  }

  async #answer(pair: Pair, retry: boolean): Promise<Answer> {
    const known = await this.look(pair);
    if (!known) return this.#start(pair);
    if (known.state === "completed" && !(await this.#downloads.disk.holds(known))) return this.#start(pair);
    const isRetry = retry && isFinished(known.state) && known.state !== "completed";
    if (!isRetry) return report(known);
    try {
      const { download } = await this.#downloads.retry(known.id);
      // By now it may have been claimed; what this request did is to queue it.
      const queued: Snapshot = { ...download, state: "queued", error: null };
      return { status: 202, body: presentAnswer(queued, "Download queued again") };
    } catch (error) {
      if (!isLost(error)) throw error;
      return this.#start(pair);
    }
  }

  async #start({ repo, file }: Pair): Promise<Answer> {
    const { download, created } = await this.#downloads.start({
      provider: "huggingface",
      repoId: repo,
      filename: file,
    });
    return created ? { status: 202, body: presentAnswer(download, "Download queued") } : report(download);
  }
}

/** Its name belongs to another download by now, or its record has just gone: then it starts anew. */
const isLost = (error: unknown): boolean =>
  error instanceof DownloadError &&
  (error.code === "model_id_conflict" || error.code === "download_not_found");

/** The 200 that says how a download stands. */
export const report = (download: Snapshot): Answer => ({
  status: 200,
  body: presentAnswer(download, messageOf(download)),
});

function messageOf({ id, state }: Snapshot): string {
  if (state === "paused") return `Download is paused; POST /v1/downloads/${id}/resume goes on with it`;
  switch (FILE_STATUS[state]) {
    case "queued":
      return "Download is already queued";
    case "in-progress":
      return "Download is already in progress";
    case "done":
      return "Download is already completed";
    case "failed":
      return "Download failed; ask again with retry=true to queue it again";
  }
}
