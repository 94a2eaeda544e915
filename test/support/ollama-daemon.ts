import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type OllamaFault, type OllamaMatch, type OllamaRule, OllamaRules } from "./ollama/faults.ts";
import { blobs, create, type ImportWorld, refuse, reply } from "./ollama/imports.ts";
import { fullName, type InstalledModel, layersOf, type OllamaModelSpec, tagOf } from "./ollama/models.ts";
import { type OllamaLayer, Pull, type PullRecord } from "./ollama/pull.ts";

export type { At, OllamaFault, OllamaMatch, OllamaRule } from "./ollama/faults.ts";
export type { InstalledModel, OllamaModelSpec } from "./ollama/models.ts";
export type { OllamaLayer, PullRecord } from "./ollama/pull.ts";

export interface OllamaDaemonOptions {
  /** What the registry behind it has. */
  models?: readonly OllamaModelSpec[];
  /** Bytes per second of a pull; default as good as none to wait for. May be changed while it runs. */
  rate?: number;
  /** Milliseconds between two lines of a layer; the real one's 60 is slow for tests, so 10. */
  tickMs?: number;
  /** Layers smaller than this finish without a line of their own; default 0. */
  silentBelow?: number;
  /** Milliseconds of each step of `/api/create`; default 0. */
  stepMs?: number;
  host?: string;
}

/** An Ollama server for tests, after protocols/ollama.md §1-§4 and §7. `await using` stops it. */
export class OllamaDaemon implements AsyncDisposable {
  rate: number;
  /** All pulls so far; entries go on changing while they run. */
  readonly pulls: PullRecord[] = [];
  /** Method and path of every request. */
  readonly requests: string[] = [];
  /** Bytes on its disk by digest, unfinished blobs included. `clear()` is a daemon that has pruned them. */
  readonly blobs = new Map<string, number>();
  /** What was uploaded to `/api/blobs`. */
  readonly uploads = new Map<string, Uint8Array>();
  /** Models it would list, by full name. */
  readonly installed = new Map<string, InstalledModel>();
  /** Texts that the next `/api/create` fail with, one each. */
  readonly createErrors: string[] = [];
  readonly #options: OllamaDaemonOptions;
  readonly #rules = new OllamaRules();
  readonly #watchers = new Set<() => void>();
  #server: Server | undefined;
  #port = 0;

  constructor(options: OllamaDaemonOptions) {
    this.#options = options;
    this.rate = options.rate ?? 1 << 30;
  }

  get #host(): string {
    return this.#options.host ?? "127.0.0.1";
  }

  /** `http://127.0.0.1:40123` */
  get url(): string {
    return `http://${this.#host}:${this.#port}`;
  }

  /** The layers of a model of its registry. */
  layers(model: string): OllamaLayer[] {
    const spec = this.#options.models?.find(({ name }) => fullName(name) === fullName(model));
    if (!spec) throw new Error(`no model ${model}`);
    return layersOf(spec);
  }

  /** Orders faults for pulls that match. All rules that match act. */
  on(match: OllamaMatch, ...faults: OllamaFault[]): OllamaRule {
    return this.#rules.add(match, faults);
  }

  /** Pulls it is working on. */
  get active(): PullRecord[] {
    return this.pulls.filter(({ outcome }) => outcome === "running");
  }

  /** Resolves once `holds` does; asked whenever a pull, a line or an upload comes or goes. */
  waitFor(holds: (daemon: OllamaDaemon) => boolean, what: string, timeoutMs = 10_000): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (!holds(this)) return;
        clearTimeout(timer);
        this.#watchers.delete(look);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#watchers.delete(look);
        const seen = this.pulls.map(({ model, outcome, lines }) => ({ model, outcome, last: lines.at(-1) }));
        reject(new Error(`waited ${timeoutMs} ms for ${what}; pulls: ${JSON.stringify(seen.slice(-5))}`));
      }, timeoutMs);
      this.#watchers.add(look);
      look();
    });
  }

  /** Listens, on its old port when it had one. */
  async up(): Promise<void> {
    const server = createServer((request, answer) => {
      this.#serve(request, answer).catch((error) => {
        if (!answer.headersSent) refuse(answer, 500, String(error));
        else answer.destroy();
      });
    });
    await new Promise<void>((resolve) => server.listen(this.#port, this.#host, resolve));
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
  }

  /** Stops listening and cuts what is open, as a daemon that is ended does. Blobs stay. */
  async down(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#rules.clear();
    await this.down();
  }

  #changed(): void {
    for (const look of [...this.#watchers]) look();
  }

  async #serve(request: IncomingMessage, answer: ServerResponse): Promise<void> {
    const path = (request.url ?? "/").split("?")[0] ?? "/";
    this.requests.push(`${request.method} ${path}`);
    const blob = /^\/api\/blobs\/(.+)$/.exec(path)?.[1];
    if (blob !== undefined) return blobs(this.#imports(), request, answer, decodeURIComponent(blob));
    const isRead = request.method === "GET" || request.method === "HEAD";
    if (path === "/" && isRead)
      return void answer.writeHead(200, { "content-type": "text/plain" }).end("Ollama is running");
    if (path === "/api/version" && isRead) return reply(answer, 200, { version: "0.34.3" });
    if (path === "/api/tags" && isRead)
      return reply(answer, 200, { models: [...this.installed].map(([name, model]) => tagOf(name, model)) });
    if (path === "/api/ps" && isRead) return reply(answer, 200, { models: [] });
    if (!ROUTES.has(`${request.method} ${path}`)) return void answer.writeHead(404).end("404 page not found");
    const body = await readBody(request, answer);
    if (body === undefined) return;
    if (path === "/api/pull") return this.#pull(request, answer, body);
    if (path === "/api/create") return create(this.#imports(), body, answer);
    return this.#known(path, answer, body);
  }

  #imports(): ImportWorld {
    const { uploads, installed, createErrors } = this;
    const changed = () => this.#changed();
    return { uploads, installed, createErrors, stepMs: this.#options.stepMs ?? 0, changed };
  }

  /** `/api/show` and `/api/delete`. */
  async #known(path: string, answer: ServerResponse, body: Record<string, unknown>): Promise<void> {
    const asked = String(body.model ?? body.name ?? "");
    const name = fullName(asked);
    const model = this.installed.get(name);
    if (!model) return refuse(answer, 404, `model '${asked}' not found`);
    if (path === "/api/show") {
      const { details, capabilities, modified_at } = tagOf(name, model);
      const { license = "" } = model.created ?? {};
      return reply(answer, 200, {
        modelfile: "",
        license,
        details,
        model_info: {},
        capabilities,
        modified_at,
      });
    }
    this.installed.delete(name);
    this.#changed();
    answer.writeHead(200).end();
  }

  async #pull(
    request: IncomingMessage,
    answer: ServerResponse,
    body: Record<string, unknown>,
  ): Promise<void> {
    const model = String(body.model ?? body.name ?? "");
    if (!/^[\w][\w.:/-]*$/.test(model)) return refuse(answer, 400, "invalid model name");
    const record: PullRecord = { model, body, headers: request.headers, lines: [], outcome: "running" };
    this.pulls.push(record);
    this.#changed();
    const { tickMs = 10, silentBelow = 0, models = [] } = this.#options;
    const spec = models.find(({ name }) => fullName(name) === fullName(model));
    const world = {
      blobs: this.blobs,
      rate: () => this.rate,
      tickMs,
      silentBelow,
      changed: () => this.#changed(),
      install: (layers: OllamaLayer[]) =>
        void this.installed.set(fullName(model), { layers, modifiedAt: new Date().toISOString() }),
    };
    await new Pull(world, record, answer, this.#rules.of(model)).run(spec && layersOf(spec));
  }
}

const ROUTES = new Set(["POST /api/pull", "POST /api/create", "POST /api/show", "DELETE /api/delete"]);

/** The JSON of a request; answers the daemon's own 400 when there is none (protocols/ollama.md §2). */
async function readBody(
  request: IncomingMessage,
  answer: ServerResponse,
): Promise<Record<string, unknown> | undefined> {
  let text = "";
  for await (const part of request) text += part;
  if (text === "") return void refuse(answer, 400, "missing request body");
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return void refuse(answer, 400, "invalid character in request body");
  }
}

/** Starts a daemon. Resolves when it listens. */
export async function startOllamaDaemon(options: OllamaDaemonOptions = {}): Promise<OllamaDaemon> {
  const daemon = new OllamaDaemon(options);
  await daemon.up();
  return daemon;
}
