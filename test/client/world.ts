import { Modelhaul, type ModelhaulOptions } from "../../src/client/index.ts";
import type { Served } from "../api/support.ts";

/** A client of a server of ours that notes what it asks for. */
export function clientOf(served: Pick<Served, "base">, options: ModelhaulOptions = {}) {
  const asked: { method: string; path: string }[] = [];
  const client = new Modelhaul({
    baseUrl: served.base,
    fetch: (url, init) => {
      const { pathname } = new URL(url);
      asked.push({ method: init.method ?? "GET", path: pathname });
      return fetch(url, init);
    },
    ...options,
  });
  return { client, asked };
}

/** Everything an iteration gives, until it ends or `enough` of it has come. */
export async function collect<T>(
  source: AsyncIterable<T>,
  enough: (all: readonly T[]) => boolean = () => false,
): Promise<T[]> {
  const all: T[] = [];
  for await (const item of source) {
    all.push(item);
    if (enough(all)) break;
  }
  return all;
}

/** The error a promise is rejected with. */
export async function rejection<E = Error>(promise: Promise<unknown>): Promise<E> {
  try {
    await promise;
  } catch (error) {
    return error as E;
  }
  throw new Error("it was not rejected");
}

/** A door before a server of ours, which lets through what it is told to, and can be shut. */
export class Door implements Disposable {
  /** Answers instead of the server, or undefined to let the request through. */
  guard: (request: Request) => Response | undefined = () => undefined;
  readonly asked: string[] = [];
  readonly #streams = new Set<AbortController>();
  readonly #server: ReturnType<typeof Bun.serve>;

  constructor(target: string) {
    this.#server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      idleTimeout: 0,
      fetch: async (request) => {
        const { pathname, search } = new URL(request.url);
        this.asked.push(pathname);
        const refused = this.guard(request);
        if (refused) return refused;
        const abort = new AbortController();
        request.signal.addEventListener("abort", () => abort.abort());
        this.#streams.add(abort);
        const headers = new Headers(request.headers);
        headers.delete("host");
        const body = request.method === "GET" ? null : await request.text();
        const { signal } = abort;
        const init = { method: request.method, headers, body, signal, decompress: false };
        const answer = await fetch(target + pathname + search, init as RequestInit);
        return new Response(answer.body && endingWith(signal, answer.body), answer);
      },
    });
  }

  get base(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  /** Cuts everything that is under way. */
  cut(): void {
    for (const abort of this.#streams) abort.abort();
    this.#streams.clear();
  }

  [Symbol.dispose](): void {
    this.cut();
    this.#server.stop(true);
  }
}

/** The same bytes; it ends when the signal comes. */
function endingWith(signal: AbortSignal, body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await reader.read().catch(() => ({ done: true, value: undefined }));
      if (done || signal.aborted) controller.close();
      else controller.enqueue(value!);
    },
    cancel: (reason) => reader.cancel(reason),
  });
}
