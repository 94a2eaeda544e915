import README from "../../README.md" with { type: "text" };
import { type Api, type ApiOptions, createApi, type WebAssets } from "../../src/api/index.ts";
import { systemClock } from "../../src/core/clock.ts";
import type { Log } from "../../src/core/ports.ts";
import { openProduct, type Product, type ProductOptions } from "../support/product.ts";
import { Contract } from "./contract.ts";

export const MB = 1 << 20;
export const KEY = "correct horse battery staple";

/** JSON of an answer, read at any depth without ceremony. */
// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of many shapes; a wrong shape fails the expectation
export type Body = any;

export interface Answer {
  status: number;
  headers: Headers;
  body: Body;
}

export interface Served extends AsyncDisposable {
  product: Product;
  api: Api;
  port: number;
  base: string;
  logged: string[];
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
}

export interface ServeOptions extends Partial<ApiOptions> {
  product?: ProductOptions;
}

const PAGE: WebAssets = {
  lookup: (path) => {
    if (path === "/")
      return new Response("<title>page</title>", { headers: { "Content-Type": "text/html" } });
    return path === "/app.js" ? new Response("1") : undefined;
  },
};

/** The real product behind the real API on a loopback port. */
export async function serve(options: ServeOptions = {}): Promise<Served> {
  const { product: productOptions, ...rest } = options;
  const product = await openProduct(productOptions);
  const logged: string[] = [];
  const note = (message: string, fields?: object) => void logged.push(`${message} ${JSON.stringify(fields)}`);
  const log: Log = { debug: note, info: note, warn: note, error: note };
  const api = createApi({
    downloads: product.downloads,
    apiKey: null,
    noAuth: false,
    corsOrigins: [],
    allowHosts: [],
    version: "0.0.0",
    readme: README,
    clock: systemClock,
    log,
    web: PAGE,
    ...rest,
  });
  const [bound] = api.start([{ host: "127.0.0.1", port: 0 }]);
  const port = bound?.port ?? 0;
  const base = `http://127.0.0.1:${port}`;
  return {
    product,
    api,
    port,
    base,
    logged,
    call: async (method, path, body, headers) => {
      const answer = await call(base, method, path, body, headers);
      contract ??= Contract.of({ api });
      checkDocumented(await contract, method, path, answer);
      return answer;
    },
    async [Symbol.asyncDispose]() {
      await api.stop();
      await product.close();
    },
  };
}

/** The same for every server of a run. */
let contract: Promise<Contract> | undefined;

/** Whatever any test of the API hears is what the OpenAPI document says, its status included. */
function checkDocumented(contract: Contract, method: string, path: string, answer: Answer): void {
  const found = contract.find(method, path);
  const problems = found ? contract.problems(method, found.path, answer) : [];
  if (problems.length > 0) throw new Error(`Not as documented: ${problems.join("; ")}`);
}

/** One request; an object as body is sent as JSON, text as it is. */
export async function call(
  base: string,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const isText = typeof body === "string";
  const answer = await fetch(base + path, {
    method,
    headers: { ...(body === undefined || isText ? {} : { "Content-Type": "application/json" }), ...headers },
    ...(body === undefined ? {} : { body: isText ? body : JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, body: parse(text) };
}

function parse(text: string): Body {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
