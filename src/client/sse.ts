import { ConnectionError } from "./errors.ts";

/** One server-sent event. */
export interface SseMessage {
  /** `message` where the server gave none. */
  event: string;
  data: string;
  id: string | undefined;
}

/** After this silence a connection is taken for dead, where nothing else is said. */
const SILENCE_MS = 20_000;

/** Pieces of text to events, as WHATWG HTML §9.2.6 has it; an event that has not ended is kept for the next piece. */
export class SseParser {
  #rest = "";
  #data: string[] = [];
  #event = "";
  #id: string | undefined;

  feed(text: string): SseMessage[] {
    const found: SseMessage[] = [];
    // A line may end with CR LF, and the two may come apart.
    const all = this.#rest + text;
    const isOpen = all.endsWith("\r");
    const lines = (isOpen ? all.slice(0, -1) : all).split(/\r\n|\n|\r/);
    this.#rest = (lines.pop() ?? "") + (isOpen ? "\r" : "");
    for (const line of lines) {
      if (line !== "") this.#field(line);
      else if (this.#data.length > 0 || this.#event !== "") this.#end(found);
    }
    return found;
  }

  #field(line: string): void {
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#event = value;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
  }

  #end(found: SseMessage[]): void {
    if (this.#data.length > 0)
      found.push({ event: this.#event || "message", data: this.#data.join("\n"), id: this.#id });
    this.#data = [];
    this.#event = "";
  }
}

/**
 * The events of an answer until it ends. Throws `ConnectionError` when it breaks or falls silent; `release` ends the
 * request when the reader goes away, `onSign` is called for whatever comes, comments too.
 */
export async function* messages(
  answer: Response,
  release: () => void,
  onSign: () => void = () => {},
  silenceMs = SILENCE_MS,
): AsyncGenerator<SseMessage> {
  const reader = answer.body?.getReader();
  if (!reader) return;
  const parser = new SseParser();
  const decoder = new TextDecoder();
  try {
    for (;;) {
      const chunk = await withinSilence(reader.read(), silenceMs);
      if (chunk.done) return;
      onSign();
      yield* parser.feed(decoder.decode(chunk.value, { stream: true }));
    }
  } catch (cause) {
    throw cause instanceof ConnectionError ? cause : new ConnectionError("The event stream broke", { cause });
  } finally {
    release();
    reader.cancel().catch(() => {});
  }
}

async function withinSilence<T>(next: Promise<T>, silenceMs: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_, reject) => {
    const fail = () => reject(new ConnectionError("The event stream fell silent", { timedOut: true }));
    timer = setTimeout(fail, silenceMs);
  });
  try {
    return await Promise.race([next, silence]);
  } finally {
    clearTimeout(timer);
  }
}
