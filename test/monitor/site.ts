/** A page of somebody else's with download buttons on it, of another origin and under a strict policy. */
import { afterAll, beforeAll } from "bun:test";
import type { View, World } from "./browser.ts";

/** A site of pages that hold what they are given, with nothing allowed but the service. */
export class Site {
  readonly #server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => {
      if (new URL(request.url).pathname !== "/") return new Response(null, { status: 404 });
      const html = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Somebody's page</title>
        <script async src="${this.#service()}/embed.js"></script><main>${this.body}</main>`;
      const policy = [
        "default-src 'none'",
        "style-src 'none'",
        `script-src ${this.#service()}`,
        `connect-src ${this.#service()}`,
      ];
      const headers = {
        "Content-Type": "text/html",
        "Content-Security-Policy": policy.join("; "),
        "Cross-Origin-Embedder-Policy": "require-corp",
      };
      return new Response(html, { headers });
    },
  });
  readonly #service: () => string;
  body: string;

  constructor(service: () => string, body: string) {
    this.#service = service;
    this.body = body;
  }

  url(host = "127.0.0.1"): string {
    return `http://${host}:${this.#server.port}/`;
  }

  stop(): Promise<void> {
    return this.#server.stop(true);
  }
}

export function siteOf(world: World, body: string): { site: Site } {
  const held = {} as { site: Site };
  beforeAll(() => {
    held.site = new Site(() => world.daemon.base, body);
  });
  afterAll(() => held.site?.stop());
  return held;
}

/** Notes the element's events before its script runs. */
export const noting = async (view: View) => {
  await view.page.evaluate(() => {
    const seen: string[] = [];
    for (const type of ["progress", "done", "error"])
      document.querySelector("model-download")?.addEventListener(type, (event) => {
        const { state, code } = (event as CustomEvent).detail;
        seen.push(`${type} ${state ?? code}`);
      });
    Object.assign(window, { seen });
  });
};
export const events = (view: View): Promise<string[]> => view.page.evaluate("[...new Set(seen)]");
export const status = (view: View, text: string | RegExp) => view.page.getByRole("status").getByText(text);

export function buttonOf(attributes: Record<string, string>): string {
  const given = Object.entries(attributes).map(([name, value]) => ` ${name}="${Bun.escapeHTML(value)}"`);
  return `<model-download${given.join("")}></model-download>`;
}
