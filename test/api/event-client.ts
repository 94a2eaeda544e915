import type { Body } from "./support.ts";

export interface Message {
  id: string;
  event: string;
  data: Body;
}

/** A reader of one event stream over plain fetch; shows comments and `retry:` as well. */
export class EventClient {
  readonly messages: Message[] = [];
  comments = 0;
  retry: number | undefined;
  ended = false;
  readonly #abort = new AbortController();
  #wake: () => void = () => {};

  static async open(url: string, headers: Record<string, string> = {}): Promise<EventClient> {
    const client = new EventClient();
    const answer = await fetch(url, { headers, signal: client.#abort.signal });
    if (answer.status !== 200 || !answer.body) throw new Error(`${answer.status} ${await answer.text()}`);
    if (!answer.headers.get("content-type")?.startsWith("text/event-stream"))
      throw new Error("no event stream");
    void client.#read(answer.body);
    return client;
  }

  /** The first message, past or to come, that fits. */
  async waitFor(fits: (message: Message) => boolean, timeoutMs = 10_000): Promise<Message> {
    return this.#when(() => this.messages.find(fits), timeoutMs, "message");
  }

  async whenEnded(timeoutMs = 10_000): Promise<void> {
    await this.#when(() => this.ended || undefined, timeoutMs, "end");
  }

  async whenCommented(timeoutMs = 10_000): Promise<void> {
    await this.#when(() => this.comments > 0 || undefined, timeoutMs, "comment");
  }

  close(): void {
    this.#abort.abort();
  }

  async #when<T>(look: () => T | undefined, timeoutMs: number, what: string): Promise<T> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      const left = deadline - performance.now();
      if (left <= 0) throw new Error(`no such ${what}; seen: ${JSON.stringify(this.messages).slice(-2000)}`);
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const timer = setTimeout(resolve, left);
      await promise;
      clearTimeout(timer);
    }
  }

  async #read(body: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    try {
      for await (const chunk of body) {
        const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n\n");
        rest = parts.pop() ?? "";
        for (const part of parts) this.#take(part);
        this.#wake();
      }
    } catch {
      // The connection was cut, by us or by the server; either way it has ended.
    }
    this.ended = true;
    this.#wake();
  }

  #take(part: string): void {
    const fields: Record<string, string> = {};
    for (const line of part.split("\n")) {
      const [name = "", value = ""] = line.split(/: ?(.*)/s);
      fields[name] = value;
    }
    if ("" in fields) this.comments++;
    if (fields.retry !== undefined) this.retry = Number(fields.retry);
    if (fields.data === undefined) return;
    this.messages.push({ id: fields.id ?? "", event: fields.event ?? "", data: JSON.parse(fields.data) });
  }
}
