import type { WaitReason } from "../../core/download.ts";
import type { Snapshot } from "../../core/feed.ts";
import { bare, type ProgressEvent, present, STATUS, starting } from "./present.ts";
import { type Asked, isDaemon } from "./providers.ts";

/** What keeps a download whose turn has not come. */
const IN_LINE: ReadonlySet<WaitReason> = new Set(["queue", "all_paused"]);

/** What goes out as the data of one event. */
export type Payload = ProgressEvent | { done: true } | { error: string };

/** One event to be sent. */
export interface Told {
  payload: Payload;
  /** Only newer numbers for a status told already. */
  isProgress: boolean;
  /** Nothing comes after it. */
  isLast: boolean;
}

/** Turns the states one download goes through into the seed's sequence of events, for one listener (A25). */
export class Narration {
  readonly #asked: Asked;
  #last: ProgressEvent | undefined;
  #highest: number | null;
  /** Nothing is told between start and end as long as nothing turns out to be missing. */
  #isQuiet = false;
  #hasEnded = false;

  /** `highest` is the percentage this listener has seen before its connection broke, if any. */
  constructor(asked: Asked, highest: number | null = null) {
    this.#asked = asked;
    this.#highest = highest;
  }

  /** The highest percentage told. */
  get percent(): number | null {
    return this.#highest;
  }

  begin(): Told[] {
    return this.#tell({ ...starting(this.#asked), percent: this.#highest });
  }

  /** It has been complete before: most likely nothing will be fetched. */
  expectNothingNew(): void {
    this.#isQuiet = true;
  }

  next(download: Snapshot): Told[] {
    if (this.#hasEnded) return [];
    const event = present(this.#asked, download, this.#highest);
    switch (event.status) {
      case "complete":
        return this.#complete(download, event);
      case "error":
        return this.#end(event, { error: event.message });
      default:
        return this.#isSilent(download) ? [] : this.#tell(event);
    }
  }

  /** It ended without a download, or without its record. */
  fail(message: string): Told[] {
    if (this.#hasEnded) return [];
    return this.#end({ ...bare("error", message), percent: this.#highest }, { error: message });
  }

  /** `verifying` is seen however short it was, or when it fell between two looks (A25). */
  #complete(download: Snapshot, event: ProgressEvent): Told[] {
    const before: Told[] = [];
    if (!this.#isQuiet && this.#last?.status !== "verifying")
      before.push(...this.#tell(present(this.#asked, { ...download, state: "verifying" }, this.#highest)));
    return [...before, ...this.#end(event, { done: true })];
  }

  #end(event: ProgressEvent, last: Payload): Told[] {
    const told = this.#tell(event);
    this.#hasEnded = true;
    return [...told, { payload: last, isProgress: false, isLast: true }];
  }

  #isSilent(download: Snapshot): boolean {
    const { state, waiting } = download;
    // The beginning has been told; that it takes its place in the queue, whether that moves or not, is no news.
    const isInLine = state === "queued" && IN_LINE.has(waiting?.reason ?? "queue");
    if (isInLine && this.#last?.status === "starting") return true;
    // The end is told when it is ours, too: the daemon's own word for it is not.
    if (download.statusLine === "success" && this.#last?.status === STATUS[state]) return true;
    if (state === "paused" || (state === "queued" && waiting?.reason !== "queue")) return false;
    if (this.#isQuiet && this.#isMissing(download)) this.#isQuiet = false;
    return this.#isQuiet;
  }

  /** Whether something has to be fetched. A daemon lists what it has as it lists what it fetches: then bytes tell. */
  #isMissing({ bytes, total, averageBps }: Snapshot): boolean {
    return isDaemon(this.#asked.provider) ? averageBps > 0 : total !== null && bytes < total;
  }

  #tell(event: ProgressEvent): Told[] {
    const last = this.#last;
    if (last && JSON.stringify(last) === JSON.stringify(event)) return [];
    this.#last = event;
    this.#highest = event.percent;
    return [{ payload: event, isProgress: last?.status === event.status, isLast: false }];
  }
}
