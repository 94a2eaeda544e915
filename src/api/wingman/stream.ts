import type { Downloads, Snapshot } from "../../core/downloads.ts";
import type { Reader } from "../broadcast.ts";
import type { Seat } from "../seat.ts";
import { presentView } from "./present.ts";

const utf8 = new TextEncoder();
const HEARTBEAT = utf8.encode(":\n\n");
/** Bytes a stream takes before it says it is full. */
const HIGH_WATER = 16 * 1024;
/** A reader that takes nothing for so long is cut; a reconnect tells it all there is (F214). */
const STUCK_MS = 20_000;
export const HEADERS = {
  "Content-Type": "text/event-stream; charset=utf-8",
  "Cache-Control": "no-store, no-transform",
  "X-Accel-Buffering": "no",
};

/** An unnamed event, as EventSource's `onmessage` takes it. `id` comes back as Last-Event-ID after a cut. */
export const eventText = (id: number, body: unknown): string =>
  `id: ${id}\ndata: ${JSON.stringify(body)}\n\n`;

const encoded = new WeakMap<Snapshot, Uint8Array>();
/** Each state of a download is said once, whatever the number of readers. */
function eventOf(download: Snapshot): Uint8Array {
  const known = encoded.get(download);
  if (known) return known;
  const event = utf8.encode(eventText(download.seq, presentView(download)));
  encoded.set(download, event);
  return event;
}

export interface ProgressWatch extends Seat {
  feed: Downloads["feed"];
  /** What there is, page by page. */
  present: () => AsyncIterable<readonly Snapshot[]>;
  wants: (download: Snapshot) => boolean;
}

/** Progress of all that is wanted: first as it is, then each change, closing when all of it has ended (A13). */
export function progressStream(watch: ProgressWatch): Response {
  watch.broadcast.checkRoom();
  const reader = new ProgressReader(watch);
  const stream = new ReadableStream<Uint8Array>(
    {
      start: (controller) => reader.open(controller),
      pull: () => reader.flush(),
      cancel: () => reader.close(),
    },
    new ByteLengthQueuingStrategy({ highWaterMark: HIGH_WATER }),
  );
  return new Response(stream, { headers: HEADERS });
}

/** One connection. A reader that keeps up gets every change, a slow one the newest state of each download. */
class ProgressReader implements Reader {
  readonly owner: string | null;
  readonly #watch: ProgressWatch;
  readonly #waiting = new Map<string, Snapshot>();
  /** Unfinished ones among the wanted. */
  readonly #open = new Set<string>();
  /** Told by events while what there is was still being read: an older state must not follow. */
  #early: Set<string> | undefined = new Set();
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #leave: () => void = () => {};
  /** Monotonic time since which the reader takes nothing. */
  #blockedSince: number | undefined;
  #taken = Promise.withResolvers<void>();

  constructor(watch: ProgressWatch) {
    this.#watch = watch;
    this.owner = watch.owner;
  }

  open(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#controller = controller;
    const { broadcast, feed } = this.#watch;
    const leave = broadcast.add(this);
    const unsubscribe = feed.subscribe((event) => {
      if (event.type === "removed") return this.#removed(event.id);
      if (!this.#watch.wants(event.download)) return;
      this.#early?.add(event.download.id);
      this.#tell(event.download);
    });
    this.#leave = () => {
      leave();
      unsubscribe();
    };
    this.#begin().catch((error) => {
      this.#controller?.error(error);
      this.close();
    });
  }

  async #begin(): Promise<void> {
    for await (const page of this.#watch.present()) {
      for (const download of page) if (!this.#early?.has(download.id)) this.#tell(download);
      while (this.#controller && this.#waiting.size > 0) await this.#taken.promise;
      if (!this.#controller) return;
    }
    this.#early = undefined;
    this.flush();
  }

  #tell(download: Snapshot): void {
    const { id, endedAt } = download;
    if (endedAt === null) this.#open.add(id);
    else this.#open.delete(id);
    this.#waiting.delete(id);
    this.#waiting.set(id, download);
    this.flush();
  }

  #removed(id: string): void {
    this.#early?.add(id);
    this.#waiting.delete(id);
    this.#open.delete(id);
    this.flush();
  }

  /** Sends what waits until the reader is full; closes behind the last. */
  flush(): void {
    const controller = this.#controller;
    if (!controller) return;
    for (const [id, download] of this.#waiting) {
      if ((controller.desiredSize ?? 0) <= 0) break;
      this.#waiting.delete(id);
      controller.enqueue(eventOf(download));
    }
    if (this.#waiting.size > 0) {
      this.#blockedSince ??= this.#watch.now();
      return;
    }
    this.#blockedSince = undefined;
    this.#taken.resolve();
    this.#taken = Promise.withResolvers();
    if (this.#early === undefined && this.#open.size === 0) this.end();
  }

  /** Events come from the feed itself: only it has the records as they are. */
  wants(): boolean {
    return false;
  }

  push(): void {}

  heartbeat(): void {
    if (this.#blockedSince === undefined) this.#controller?.enqueue(HEARTBEAT);
    else if (this.#watch.now() - this.#blockedSince > STUCK_MS) {
      this.#watch.expire();
      this.#controller?.error(new Error("The reader takes nothing"));
      this.close();
    }
  }

  end(): void {
    this.#controller?.close();
    this.close();
  }

  /** Lets go of everything; called when the client is gone, too. */
  close(): void {
    this.#controller = undefined;
    this.#leave();
    this.#leave = () => {};
    this.#waiting.clear();
    this.#taken.resolve();
  }
}
