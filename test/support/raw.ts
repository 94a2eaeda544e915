import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

/** How the peer ended a connection: in order, by a reset, or not yet. */
export type Ending = "fin" | "reset" | "open";

/** What came over the wire for one request. */
export interface RawAnswer {
  /** Everything, byte by byte as latin1. */
  text: string;
  /** Up to the blank line, without it; after interim answers if there are any. */
  head: string;
  status: number;
  body: Uint8Array;
  ending: Ending;
  /** The header's values, in order. */
  header(name: string): string[];
}

export interface RawOptions {
  host?: string;
  /** Stop reading as soon as this many bytes are there. Default: until the peer ends the connection. */
  until?: number | ((received: Buffer) => boolean);
  /** PEM of the authority; speaks TLS. */
  ca?: string;
  timeoutMs?: number;
}

/** A TCP client that shows what is on the wire, for assertions that an HTTP library would smooth over. */
export class RawClient {
  private chunks: Buffer[] = [];
  private wake: () => void = () => {};
  ending: Ending = "open";

  private constructor(private readonly socket: Socket) {
    socket.on("data", (chunk: Buffer) => this.note(() => this.chunks.push(chunk)));
    socket.on("error", () => this.note(() => (this.ending = "reset")));
    socket.on("end", () => this.note(() => (this.ending = "fin")));
  }

  private note(change: () => void): void {
    change();
    this.wake();
  }

  /** `place`: a port, or the path of a Unix socket. */
  static async connect(
    place: number | string,
    { host = "127.0.0.1", ca }: RawOptions = {},
  ): Promise<RawClient> {
    const target = typeof place === "string" ? { path: place } : { port: place, host };
    const socket = ca ? connectTls({ ...target, ca }) : connect(target);
    const client = new RawClient(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once(ca ? "secureConnect" : "connect", () => resolve());
      socket.once("error", reject);
    });
    return client;
  }

  send(bytes: string | Uint8Array): void {
    this.socket.write(bytes);
  }

  /** All bytes since the last call, once `until` is satisfied or the connection has ended. */
  async read({ until = Number.POSITIVE_INFINITY, timeoutMs = 10_000 }: RawOptions = {}): Promise<Buffer> {
    const enough = typeof until === "number" ? (all: Buffer) => all.length >= until : until;
    const deadline = performance.now() + timeoutMs;
    while (this.ending === "open" && !enough(Buffer.concat(this.chunks))) {
      const left = deadline - performance.now();
      if (left <= 0) throw new Error(`nothing more after ${Buffer.concat(this.chunks).length} bytes`);
      await this.change(left);
    }
    const received = Buffer.concat(this.chunks);
    this.chunks = [];
    return received;
  }

  private change(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  close(): void {
    this.socket.destroy();
  }
}

/** Sends one request on a connection of its own and returns what came, and how it ended. */
export async function rawRequest(
  port: number,
  request: string,
  options: RawOptions = {},
): Promise<RawAnswer> {
  const client = await RawClient.connect(port, options);
  try {
    client.send(request);
    return rawAnswer(await client.read(options), client.ending);
  } finally {
    client.close();
  }
}

/** `GET path` with `Connection: close` and the given header lines. */
export function getText(path: string, headers: Record<string, string> = {}): string {
  const lines = Object.entries({ Host: "test", Connection: "close", ...headers });
  return `GET ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
}

export function rawAnswer(received: Buffer, ending: Ending): RawAnswer {
  const text = received.toString("latin1");
  let start = 0;
  while (/^HTTP\/1\.1 1\d\d /.test(text.slice(start, start + 13)))
    start = text.indexOf("\r\n\r\n", start) + 4;
  const end = text.indexOf("\r\n\r\n", start);
  const head = end < 0 ? text.slice(start) : text.slice(start, end);
  const lines = head.split("\r\n").slice(1);
  return {
    text,
    head,
    status: Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0),
    body: end < 0 ? new Uint8Array() : new Uint8Array(received.subarray(end + 4)),
    ending,
    header: (name) =>
      lines
        .filter((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`))
        .map((line) => line.slice(name.length + 1).trim()),
  };
}
