import { othersTurn } from "../core/batches.ts";
import type { Reader } from "./broadcast.ts";
import type { Frame, Tongue } from "./frames.ts";
import { Outbox, type Sink } from "./outbox.ts";
import { rawQuery } from "./path.ts";
import type { Seat } from "./seat.ts";

const utf8 = new TextEncoder();
const HEARTBEAT = utf8.encode(":\n\n");
/** Bytes a stream takes before it says it is full. */
const HIGH_WATER = 16 * 1024;
const HEADERS = {
  "Content-Type": "text/event-stream; charset=utf-8",
  "Cache-Control": "no-store, no-transform",
  "X-Accel-Buffering": "no",
};

export interface Watch extends Seat {
  /** UUIDs to watch; null for all. With ids the stream ends when the last of them is removed. */
  ids: ReadonlySet<string> | null;
  /** Whose words it speaks; the native ones when not given. Such events have no numbers: each connection begins anew. */
  tongue?: Tongue;
  /** How long ago what is told on connecting may have ended, milliseconds; as in the list of active ones when not given. */
  lingerMs?: number;
}

/** A live stream as server-sent events: a raw byte stream that shares its chunks with all others (DESIGN §6). */
export function eventStream(request: Request, watch: Watch): Response {
  if (request.method === "HEAD") return new Response(null, { headers: HEADERS });
  watch.broadcast.checkRoom();
  const reader = new EventReader(watch);
  const stream = new ReadableStream<Uint8Array>(
    {
      start: (controller) => reader.open(controller, lastEventId(request)),
      pull: () => reader.pulled(),
      cancel: () => reader.close(),
    },
    new ByteLengthQueuingStrategy({ highWaterMark: HIGH_WATER }),
  );
  return new Response(stream, { headers: HEADERS });
}

/** Number to continue after; undefined for a fresh snapshot, also when it is garbage (F219). */
export function lastEventId(request: Request): number | undefined {
  const query = new URLSearchParams(rawQuery(request.url));
  return eventNumber(request.headers.get("last-event-id") ?? query.get("since"));
}

const eventNumber = (text: string | null): number | undefined =>
  text !== null && /^\d{1,15}$/.test(text) ? Number(text) : undefined;

class EventReader implements Reader, Sink {
  readonly owner: string | null;
  readonly #watch: Watch;
  readonly #outbox: Outbox;
  readonly #left: Set<string> | null;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #leave: (() => void) | undefined;

  constructor(watch: Watch) {
    this.#watch = watch;
    this.owner = watch.owner;
    this.#left = watch.ids && new Set(watch.ids);
    this.#outbox = new Outbox(this, watch.now);
  }

  open(controller: ReadableStreamDefaultController<Uint8Array>, since: number | undefined): void {
    this.#controller = controller;
    // Spread, so that readers do not all come back in one instant after a restart (F218).
    const retry = 1000 + Math.round(Math.random() * 2000);
    controller.enqueue(utf8.encode(`retry: ${retry}\n\n`));
    const { broadcast, ids, tongue, lingerMs } = this.#watch;
    const begin = (frames: Frame[]): void => {
      if (!this.#controller) return;
      this.#leave = broadcast.add(this);
      for (const frame of frames) this.push(frame);
    };
    const joined = broadcast.catchUp(ids, tongue ? undefined : since, begin, lingerMs);
    joined.catch((error) => {
      this.#controller?.error(error);
      this.close();
    });
  }

  wants(id: string): boolean {
    return this.#left === null || this.#left.has(id);
  }

  push(frame: Frame): void {
    const { tongue } = this.#watch;
    this.#outbox.push(tongue ? frame.in(tongue) : frame);
    if (frame.type !== "removed" || this.#left === null || frame.id === null) return;
    this.#left.delete(frame.id);
    if (this.#left.size === 0 && this.#outbox.isFlowing) this.end();
  }

  send(frame: Frame): boolean {
    if (frame.event.length > 0) this.#controller?.enqueue(frame.event);
    return (this.#controller?.desiredSize ?? 0) > 0;
  }

  /** Others get their turn between two chunks, for a reader that is fast may take a long snapshot at one go (F211). */
  pulled(): void | Promise<void> {
    if (this.#outbox.isFlowing) return this.drained();
    return othersTurn().then(() => this.drained());
  }

  drained(): void {
    this.#outbox.drained();
    if (this.#left?.size === 0 && this.#outbox.isFlowing) this.end();
  }

  heartbeat(): void {
    if (this.#outbox.isFlowing) this.#controller?.enqueue(HEARTBEAT);
    else this.#outbox.checkStuck();
  }

  end(): void {
    this.#controller?.close();
    this.close();
  }

  cut(): void {
    this.#watch.expire();
    this.#controller?.error(new Error("The reader takes nothing"));
    this.close();
  }

  /** Lets go of everything; called when the client is gone, too. */
  close(): void {
    this.#controller = undefined;
    this.#outbox.close();
    this.#leave?.();
    this.#leave = undefined;
  }
}
