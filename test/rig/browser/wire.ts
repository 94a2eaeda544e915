import { type RawAnswer, RawClient, rawAnswer } from "../../support/raw.ts";

/** One keep-alive connection; requests one after the other, a new connection where the server has closed it. */
export class Wire {
  #client: RawClient | undefined;
  readonly #port: number;

  constructor(port: number) {
    this.#port = port;
  }

  /** Sends a request and reads its answer to the end. */
  async ask(request: string): Promise<RawAnswer> {
    const kept = this.#client;
    const first = await this.#once(kept ?? (await RawClient.connect(this.#port)), request);
    if (first.status !== 0 || !kept) return first;
    // The server had closed the kept connection: nothing was heard.
    return this.#once(await RawClient.connect(this.#port), request);
  }

  /** The head of a stream and what comes with it, on a connection of its own. */
  async peek(request: string): Promise<RawAnswer> {
    const client = await RawClient.connect(this.#port);
    try {
      client.send(request);
      const received = await client.read({ until: hasBegun });
      return rawAnswer(received, client.ending);
    } finally {
      client.close();
    }
  }

  async #once(client: RawClient, request: string): Promise<RawAnswer> {
    this.#client = client;
    client.send(request);
    const isHead = request.startsWith("HEAD ");
    const received = await client.read({
      until: (it) => (isHead ? headOf(it) !== undefined : isComplete(it)),
    });
    if (client.ending !== "open") {
      client.close();
      this.#client = undefined;
    }
    return rawAnswer(received, client.ending);
  }

  close(): void {
    this.#client?.close();
  }
}

function headOf(received: Buffer): { head: string; bodyAt: number } | undefined {
  const end = received.indexOf("\r\n\r\n");
  return end < 0 ? undefined : { head: received.toString("latin1", 0, end), bodyAt: end + 4 };
}

function isComplete(received: Buffer): boolean {
  const found = headOf(received);
  if (!found) return false;
  const { head, bodyAt } = found;
  if (/^HTTP\/1\.1 (?:1\d\d|204|304)/.test(head)) return true;
  const length = /^content-length: *(\d+)/im.exec(head)?.[1];
  if (length !== undefined) return received.length >= bodyAt + Number(length);
  if (/^transfer-encoding: *chunked/im.test(head))
    return received.subarray(-5).equals(Buffer.from("0\r\n\r\n"));
  return false;
}

/** An event, a frame or the whole of a refusal. */
function hasBegun(received: Buffer): boolean {
  const found = headOf(received);
  if (!found) return false;
  if (/^HTTP\/1\.1 (?:101|200)/.test(found.head) && !/^content-length/im.test(found.head))
    return received.length > found.bodyAt + 16;
  return isComplete(received);
}
