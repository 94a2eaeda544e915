import { type EventSourceMessage, EventSourceParserStream } from "eventsource-parser/stream";

/** One event of a stream, its data parsed. */
export interface LiveEvent {
  id: number;
  type: string;
  // biome-ignore lint/suspicious/noExplicitAny: what it holds depends on the type; tests assert it field by field
  data: any;
}

/** Things that come one by one, kept, so that a test can ask for one that has come already. */
abstract class Stream<T> implements Disposable {
  readonly all: T[] = [];
  private readonly watchers = new Set<() => void>();
  private over = false;
  /** Called with each as it comes. */
  onTaken: (item: T) => void = () => {};

  protected take(item: T): void {
    this.all.push(item);
    this.onTaken(item);
    this.look();
  }

  protected end(): void {
    this.over = true;
    this.look();
  }

  private look(): void {
    for (const look of [...this.watchers]) look();
  }

  /** The first that fits, past or to come. Fails when there is none in time. */
  next(fits: (item: T) => boolean, timeoutMs = 30_000): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = (end: () => void): void => {
        clearTimeout(timer);
        this.watchers.delete(look);
        end();
      };
      const fail = (why: string): void =>
        settle(() => reject(new Error(`${why}; last: ${JSON.stringify(this.all.slice(-3))}`)));
      const look = (): void => {
        const found = this.all.find(fits);
        if (found !== undefined) settle(() => resolve(found));
        else if (this.over) fail("the stream ended before it came");
      };
      const timer = setTimeout(() => fail(`waited ${timeoutMs} ms`), timeoutMs);
      this.watchers.add(look);
      look();
    });
  }

  abstract [Symbol.dispose](): void;
}

export class LiveEvents extends Stream<LiveEvent> {
  constructor(
    body: ReadableStream<Uint8Array>,
    private readonly close: () => void,
  ) {
    super();
    void this.read(body);
  }

  private async read(body: ReadableStream<Uint8Array>): Promise<void> {
    try {
      const messages = body
        .pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>)
        .pipeThrough(new EventSourceParserStream());
      for await (const message of messages as unknown as AsyncIterable<EventSourceMessage>)
        this.take({ id: Number(message.id), type: message.event ?? "", data: JSON.parse(message.data) });
    } catch {
      // Closed by us, or with the daemon: what counts is what has come.
    }
    this.end();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

// biome-ignore lint/suspicious/noExplicitAny: frames differ by type; tests assert them field by field
export class LiveSocket extends Stream<any> {
  constructor(private readonly socket: WebSocket) {
    super();
    socket.onmessage = (message) => this.take(JSON.parse(String(message.data)));
    socket.onclose = () => this.end();
    socket.onerror = () => this.end();
  }

  send(frame: object): void {
    this.sendText(JSON.stringify(frame));
  }

  /** A frame that need not be JSON. */
  sendText(text: string): void {
    this.socket.send(text);
  }

  [Symbol.dispose](): void {
    this.socket.close();
  }
}
