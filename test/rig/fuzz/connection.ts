import type { Socket } from "bun";

/** One answer as it came over the wire. */
export interface Reply {
  status: number;
  /** Names in lower case; of several of one name the last. */
  headers: ReadonlyMap<string, string>;
  /** Chunks put together; empty for a stream, which is not read. */
  body: Buffer;
}

/** What a request led to: an answer, an end without one, or nothing in time. */
export type Outcome = Reply | "closed" | "silent";

const HEAD_END = Buffer.from("\r\n\r\n");
const NONE = Buffer.alloc(0);

/** A client of one TCP connection that sends bytes as they are, and reads as many answers as come. */
export class Connection {
  readonly #port: number;
  #socket: Socket | undefined;
  /** Number of the connection in use. */
  #turn = 0;
  #isOpen = false;
  #isDeaf = false;
  #isHead = false;
  #received: Buffer = NONE;
  #unsent: Uint8Array = NONE;
  readonly #replies: Reply[] = [];
  #look: () => void = () => {};

  constructor(port: number) {
    this.#port = port;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  async open(): Promise<void> {
    this.close();
    this.#received = NONE;
    this.#unsent = NONE;
    this.#replies.length = 0;
    this.#isDeaf = false;
    this.#isOpen = true;
    const turn = ++this.#turn;
    // What comes of a connection that has been given up is nobody's.
    const ours = (act: () => void): void => {
      if (turn === this.#turn) act();
    };
    this.#socket = await Bun.connect({
      hostname: "127.0.0.1",
      port: this.#port,
      socket: {
        data: (_, data) => ours(() => this.#take(data)),
        drain: () => ours(() => this.#flush()),
        close: () => ours(() => this.#ended()),
        error: () => ours(() => this.#ended()),
      },
    });
  }

  /** Sends the bytes; `isHead` says that the answer has no body whatever its length says. */
  send(bytes: Uint8Array, isHead = false): void {
    this.#isHead = isHead;
    this.#unsent = bytes;
    this.#flush();
  }

  /** The next answer. */
  async next(withinMs: number): Promise<Outcome> {
    const first = this.#replies.shift();
    if (first) return first;
    if (!this.#isOpen) return "closed";
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#look = resolve;
    const timer = setTimeout(resolve, withinMs);
    await promise;
    clearTimeout(timer);
    return this.#replies.shift() ?? (this.#isOpen ? "silent" : "closed");
  }

  close(): void {
    const socket = this.#socket;
    this.#turn += 1;
    this.#socket = undefined;
    this.#isOpen = false;
    socket?.terminate();
  }

  #flush(): void {
    if (this.#unsent.length === 0 || !this.#socket) return;
    const sent = this.#socket.write(this.#unsent);
    if (sent > 0) this.#unsent = this.#unsent.subarray(sent);
  }

  #ended(): void {
    // What has no length ends with the connection.
    const reply = this.#isDeaf ? undefined : readReply(this.#received, this.#isHead, true);
    if (reply) this.#replies.push(reply);
    this.#received = NONE;
    this.#isOpen = false;
    this.#look();
  }

  #take(data: Buffer): void {
    if (this.#isDeaf) return;
    this.#received = this.#received.length === 0 ? Buffer.from(data) : Buffer.concat([this.#received, data]);
    for (;;) {
      const reply = readReply(this.#received, this.#isHead, false);
      if (!reply) return;
      this.#received = this.#received.subarray(reply.length);
      this.#replies.push(reply);
      if (isEndless(reply)) this.#isDeaf = true;
      this.#look();
      if (this.#isDeaf || this.#received.length === 0) return;
    }
  }
}

/** A stream of events, or another protocol: nothing else can be asked on that connection. */
export const isEndless = ({ status, headers }: Reply): boolean =>
  status === 101 || (status === 200 && headers.get("content-type")?.startsWith("text/event-stream") === true);

/** Whether the server keeps the connection for another request. */
export const isKept = (reply: Reply): boolean =>
  !isEndless(reply) && reply.headers.get("connection")?.toLowerCase() !== "close";

/** The first whole answer of what has come, interim ones left out, and the bytes that it takes. */
function readReply(
  received: Buffer,
  isHead: boolean,
  isOver: boolean,
): (Reply & { length: number }) | undefined {
  let start = 0;
  for (;;) {
    const end = received.indexOf(HEAD_END, start);
    if (end < 0) return undefined;
    const head = received.toString("latin1", start, end);
    const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1] ?? 0);
    start = end + HEAD_END.length;
    if (status >= 100 && status < 200 && status !== 101) continue;
    const headers = headersOf(head);
    const reply = { status, headers, body: NONE, length: start };
    if (isHead || status === 204 || status === 304 || isEndless(reply)) return reply;
    const body = bodyOf(received, start, headers, isOver);
    return body && { status, headers, body: body.bytes, length: body.end };
  }
}

function headersOf(head: string): Map<string, string> {
  const headers = new Map<string, string>();
  for (const line of head.split("\r\n").slice(1)) {
    const colon = line.indexOf(":");
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return headers;
}

function bodyOf(
  received: Buffer,
  start: number,
  headers: ReadonlyMap<string, string>,
  isOver: boolean,
): { bytes: Buffer; end: number } | undefined {
  const length = headers.get("content-length");
  if (length !== undefined) {
    const end = start + Number(length);
    return received.length < end && !isOver ? undefined : { bytes: received.subarray(start, end), end };
  }
  if (headers.get("transfer-encoding")?.toLowerCase() === "chunked") return chunksOf(received, start);
  return isOver ? { bytes: received.subarray(start), end: received.length } : undefined;
}

function chunksOf(received: Buffer, start: number): { bytes: Buffer; end: number } | undefined {
  const chunks: Buffer[] = [];
  for (let at = start; ; ) {
    const lineEnd = received.indexOf("\r\n", at);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(received.toString("latin1", at, lineEnd), 16);
    const end = lineEnd + 2 + size;
    if (received.length < end + 2) return undefined;
    if (size === 0) return { bytes: Buffer.concat(chunks), end: end + 2 };
    chunks.push(received.subarray(lineEnd + 2, end));
    at = end + 2;
  }
}
