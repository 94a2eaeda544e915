/** What comes over one connection, taken apart without a library, so that thousands of readers cost little. */

/** Whole messages of a stream, as slices: JSON text, without frame or event around it. */
export interface Hearer {
  /** The server has taken the connection: the status line's number. */
  answered(status: number): void;
  message(bytes: Buffer, start: number, end: number): void;
  /** A sign of life that says nothing else. */
  heartbeat(): void;
  /** How long to wait before coming back, milliseconds. */
  retry(ms: number): void;
  /** The peer asks for a pong with this payload. */
  ping(payload: Buffer): void;
}

export interface Wire {
  feed(chunk: Buffer): void;
}

const BLANK_LINE = Buffer.from("\r\n\r\n");
const EVENT_END = Buffer.from("\n\n");
const DATA = Buffer.from("\ndata: ");
const COLON = 58;

/** Reads up to the end of the answer's head; the rest is body. */
class Head {
  #bytes: Buffer | undefined = Buffer.alloc(0);

  /** The body's part of the chunk, or undefined while the head is not complete. */
  pass(chunk: Buffer, hearer: Hearer): Buffer | undefined {
    if (this.#bytes === undefined) return chunk;
    const all = Buffer.concat([this.#bytes, chunk]);
    const end = all.indexOf(BLANK_LINE);
    this.#bytes = end < 0 ? all : undefined;
    if (end < 0) return undefined;
    hearer.answered(Number(all.toString("latin1", 9, 12)));
    return all.subarray(end + BLANK_LINE.length);
  }
}

/** Server-sent events in a chunked body. */
export class EventWire implements Wire {
  readonly #hearer: Hearer;
  readonly #head = new Head();
  #line = "";
  /** Bytes that are missing of the chunk being read. */
  #left = 0;
  #rest: Buffer | undefined;

  constructor(hearer: Hearer) {
    this.#hearer = hearer;
  }

  feed(chunk: Buffer): void {
    const body = this.#head.pass(chunk, this.#hearer);
    if (!body) return;
    for (let at = 0; at < body.length; ) {
      if (this.#left === 0) {
        at = this.#readSize(body, at);
        continue;
      }
      const end = Math.min(body.length, at + this.#left);
      this.#left -= end - at;
      this.#events(body.subarray(at, end));
      at = end;
    }
  }

  /** `\r\n` behind the chunk before, then the size of the next one in hexadecimal. */
  #readSize(body: Buffer, from: number): number {
    const end = body.indexOf(10, from);
    this.#line += body.toString("latin1", from, end < 0 ? body.length : end);
    if (end < 0) return body.length;
    const size = this.#line.trim();
    this.#line = "";
    this.#left = size === "" ? 0 : Number.parseInt(size, 16);
    return end + 1;
  }

  #events(bytes: Buffer): void {
    const all = this.#rest ? Buffer.concat([this.#rest, bytes]) : bytes;
    let start = 0;
    for (let end = all.indexOf(EVENT_END); end >= 0; end = all.indexOf(EVENT_END, start)) {
      this.#event(all, start, end);
      start = end + EVENT_END.length;
    }
    this.#rest = start < all.length ? Buffer.from(all.subarray(start)) : undefined;
  }

  #event(bytes: Buffer, start: number, end: number): void {
    const data = bytes.indexOf(DATA, start);
    if (bytes[start] === COLON) this.#hearer.heartbeat();
    else if (data >= 0 && data < end) this.#hearer.message(bytes, data + DATA.length, end);
    else this.#retry(bytes.toString("latin1", start, end));
  }

  #retry(event: string): void {
    const milliseconds = /^retry: (\d+)$/.exec(event)?.[1];
    if (milliseconds !== undefined) this.#hearer.retry(Number(milliseconds));
  }
}

const TEXT = 1;
const PING = 9;

/** Frames of a WebSocket (RFC 6455 §5.2), unmasked as servers send them; ours are never fragmented. */
export class SocketWire implements Wire {
  readonly #hearer: Hearer;
  readonly #head = new Head();
  #rest: Buffer | undefined;

  constructor(hearer: Hearer) {
    this.#hearer = hearer;
  }

  feed(chunk: Buffer): void {
    const body = this.#head.pass(chunk, this.#hearer);
    if (!body) return;
    const all = this.#rest ? Buffer.concat([this.#rest, body]) : body;
    let at = 0;
    for (let next = this.#frame(all, at); next > at; next = this.#frame(all, at)) at = next;
    this.#rest = at < all.length ? Buffer.from(all.subarray(at)) : undefined;
  }

  /** Where the next frame begins; `at` when this one is not complete. */
  #frame(bytes: Buffer, at: number): number {
    if (bytes.length < at + 2) return at;
    const short = bytes[at + 1]! & 127;
    const start = at + 2 + (short === 126 ? 2 : short === 127 ? 8 : 0);
    if (bytes.length < start) return at;
    const size =
      short === 126
        ? bytes.readUInt16BE(at + 2)
        : short === 127
          ? Number(bytes.readBigUInt64BE(at + 2))
          : short;
    const end = start + size;
    if (bytes.length < end) return at;
    const kind = bytes[at]! & 15;
    if (kind === TEXT) this.#hearer.message(bytes, start, end);
    else if (kind === PING) this.#hearer.ping(bytes.subarray(start, end));
    return end;
  }
}

/** A frame as clients send it: masked, with a mask of zeros. */
export function clientFrame(payload: string | Buffer, kind = TEXT): Buffer {
  const body = Buffer.from(payload);
  if (body.length > 125) throw new Error("only short frames are sent here");
  return Buffer.concat([Buffer.from([0x80 | kind, 0x80 | body.length, 0, 0, 0, 0]), body]);
}

export const pongFrame = (payload: Buffer): Buffer => clientFrame(payload, 10);
