/** An origin that answers nothing until it is told what. */

type Decision = "serve" | "missing";

const CONTENT = new Uint8Array(1024).fill(7);

export class Gates implements Disposable {
  readonly #decisions = new Map<string, PromiseWithResolvers<Decision>>();
  readonly #server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    fetch: async (request) => {
      const { pathname } = new URL(request.url);
      const decision = await this.#of(pathname.slice(1)).promise;
      if (decision === "missing") return new Response("not here", { status: 404 });
      return new Response(CONTENT, { headers: { ETag: '"seven"' } });
    },
  });

  get base(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  #of(file: string): PromiseWithResolvers<Decision> {
    const known = this.#decisions.get(file);
    if (known) return known;
    const decision = Promise.withResolvers<Decision>();
    this.#decisions.set(file, decision);
    return decision;
  }

  /** Answers those who wait for this file, and those who will. */
  decide(file: string, decision: Decision): void {
    this.#of(file).resolve(decision);
  }

  /** Whoever asks from now on waits again. */
  shut(file: string): void {
    this.#decisions.delete(file);
  }

  /** Forgets everything; who still waits is told that there is nothing. */
  clear(): void {
    for (const decision of this.#decisions.values()) decision.resolve("missing");
    this.#decisions.clear();
  }

  [Symbol.dispose](): void {
    this.clear();
    void this.#server.stop(true);
  }
}
