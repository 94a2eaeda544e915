import type { Snapshot } from "../../core/feed.ts";
import type { Reader } from "../broadcast.ts";
import type { Note, Sink } from "../outbox.ts";
import { Outbox } from "../outbox.ts";
import type { Seat } from "../seat.ts";
import type { Narration, Told } from "./narration.ts";

const utf8 = new TextEncoder();
const HEARTBEAT = utf8.encode(":\n\n");
/** Bytes a stream takes before it says it is full. */
const HIGH_WATER = 16 * 1024;
const LAST = "end";

export const STREAM_TYPE = "text/event-stream; charset=utf-8";
const HEADERS = {
  "Content-Type": STREAM_TYPE,
  "Cache-Control": "no-store, no-transform",
  "X-Accel-Buffering": "no",
};

/** One unnamed event: `onmessage` fires for it (R168). JSON has no line ends of its own. */
export const eventText = (payload: object): string => `data: ${JSON.stringify(payload)}\n\n`;

/** What a browser's EventSource says when it comes back by itself. */
export type Resumed = { isOver: true } | { isOver: false; id: string; percent: number | null };

/** Reads `Last-Event-ID`; undefined for a first connection, and for ids that are not ours (F219). */
export function readEventId(text: string | null): Resumed | undefined {
  const [, id = "", rest = ""] = /^([0-9a-f-]{36}|none)\/(end|[\d.]{0,6})$/.exec(text ?? "") ?? [];
  if (rest === LAST) return { isOver: true };
  const percent = rest === "" ? null : Number(rest);
  if (id === "" || id === "none" || Number.isNaN(percent) || Number(percent) > 100) return undefined;
  return { isOver: false, id, percent };
}

/** A stream that stands but says nothing: the answer to HEAD. */
export const headOnly = (): Response => new Response(null, { headers: HEADERS });

/** Tells the browser not to come back (WHATWG HTML, server-sent events, 204): an ended stream starts nothing anew. */
export const noMore = (): Response => new Response(null, { status: 204 });

/** What a stream tells of. `begin` says how to go on: it is called once, and what it started outlives the listener. */
export interface Subject {
  narration: Narration;
  /** Calls `tell` with each state of the download, until the answered function is called. */
  begin(tell: (download: Snapshot) => void, lost: () => void): Promise<() => void>;
  /** Text of what made `begin` fail. */
  explain(error: unknown): string;
}

export function progressStream(subject: Subject, seat: Seat): Response {
  seat.broadcast.checkRoom();
  const listener = new Listener(subject, seat);
  const stream = new ReadableStream<Uint8Array>(
    {
      start: (controller) => listener.open(controller),
      pull: () => listener.drained(),
      cancel: () => listener.close(),
    },
    new ByteLengthQueuingStrategy({ highWaterMark: HIGH_WATER }),
  );
  return new Response(stream, { headers: HEADERS });
}

type Message = Note & { bytes: Uint8Array };

/** One listener. Its going away ends nothing but itself (A25). */
class Listener implements Reader, Sink<Message> {
  readonly owner: string | null;
  readonly #subject: Subject;
  readonly #seat: Seat;
  readonly #outbox: Outbox<Message>;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #leave: (() => void) | undefined;
  #unwatch: (() => void) | undefined;
  #downloadId = "none";
  #isOver = false;

  constructor(subject: Subject, seat: Seat) {
    this.#subject = subject;
    this.#seat = seat;
    this.owner = seat.owner;
    this.#outbox = new Outbox(this, seat.now);
  }

  open(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#controller = controller;
    this.#leave = this.#seat.broadcast.add(this);
    // Spread, so that listeners do not all come back in one instant after a restart (F218).
    controller.enqueue(utf8.encode(`retry: ${1000 + Math.round(Math.random() * 2000)}\n\n`));
    this.#say(this.#subject.narration.begin());
    void this.#follow();
  }

  async #follow(): Promise<void> {
    const { narration } = this.#subject;
    const tell = (download: Snapshot): void => {
      this.#downloadId = download.id;
      this.#say(narration.next(download));
    };
    const lost = (): void => this.#say(narration.fail("The record of this download was removed"));
    try {
      const unwatch = await this.#subject.begin(tell, lost);
      if (this.#controller) this.#unwatch = unwatch;
      else unwatch();
    } catch (error) {
      this.#say(narration.fail(this.#subject.explain(error)));
    }
  }

  #say(all: readonly Told[]): void {
    for (const { payload, isProgress, isLast } of all) {
      const mark = isLast ? LAST : (this.#subject.narration.percent ?? "");
      const text = `id: ${this.#downloadId}/${mark}\n${eventText(payload)}`;
      const id = isProgress ? this.#downloadId : null;
      if (isLast) this.#isOver = true;
      this.#outbox.push({ id, isProgress, size: text.length, bytes: utf8.encode(text) });
    }
    this.#endWhenOver();
  }

  #endWhenOver(): void {
    if (this.#isOver && this.#outbox.isFlowing) this.end();
  }

  /** Sees no frames of others: it listens to its own download. */
  wants(): boolean {
    return false;
  }

  push(): void {}

  send({ bytes }: Message): boolean {
    this.#controller?.enqueue(bytes);
    return (this.#controller?.desiredSize ?? 0) > 0;
  }

  drained(): void {
    this.#outbox.drained();
    this.#endWhenOver();
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
    this.#seat.expire();
    this.#controller?.error(new Error("The listener takes nothing"));
    this.close();
  }

  /** Lets go of everything; called when the client is gone, too. */
  close(): void {
    this.#controller = undefined;
    this.#outbox.close();
    this.#leave?.();
    this.#unwatch?.();
    this.#leave = undefined;
    this.#unwatch = undefined;
  }
}
