import { join } from "node:path";
import { createApi } from "../../src/api/index.ts";
import { fileNameOf } from "../../src/api/wingman/file-name.ts";
import { ProgressFiles } from "../../src/api/wingman/files.ts";
import { systemClock } from "../../src/core/clock.ts";
import type { Log } from "../../src/core/ports.ts";
import { generated } from "../support/bytes.ts";
import type { Hub, RepoSpec } from "../support/hub.ts";
import { openProduct, type Product, type ProductOptions } from "../support/product.ts";
import { type Answer, call } from "./support.ts";

/** A repository of weights: path and size of each. */
export const weights = (id: string, files: Record<string, number>): RepoSpec => ({
  id,
  files: Object.entries(files).map(([path, size], seed) => ({ path, content: generated(seed + 1, size) })),
});

/** The query that names a file. */
export const query = (repo: string, file: string): string =>
  `?ModelRepo=${encodeURIComponent(repo)}&FilePath=${encodeURIComponent(file)}`;

/** Holds the answer of a file's content at so many bytes, until released or removed. */
export const hold = (hub: Hub, repo: string, file: string, at: number) =>
  hub.cdn.on({ path: hub.cdnPath(repo, file) }, { kind: "stall", at });

/** How often a file's content was asked for, and how many bytes of it were sent. */
export const transfers = (hub: Hub, repo: string, file: string) => {
  const path = hub.cdnPath(repo, file);
  return { requests: hub.cdn.requests(path, "GET").length, sent: hub.cdn.sent(path) };
};

export interface Kept extends AsyncDisposable {
  product: Product;
  progress: ProgressFiles;
  /** Folder of the progress files. */
  dir: string;
  base: string;
  logged: string[];
  /** Text of the file of this pair; undefined when there is none. */
  text(repo: string, file: string): Promise<string | undefined>;
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** Ends it as `main` does. */
  close(): Promise<void>;
}

/** The product with its progress files behind the API, put together as `main` does it. */
export async function keep(options: ProductOptions = {}): Promise<Kept> {
  const product = await openProduct(options);
  const dir = `${product.dir}/data/progress`;
  const logged: string[] = [];
  const quiet = () => {};
  const warn = (message: string, fields?: object) => void logged.push(`${message} ${JSON.stringify(fields)}`);
  const log: Log = { debug: quiet, info: quiet, warn, error: warn };
  const progress = new ProgressFiles({ downloads: product.downloads, dir, log });
  const api = createApi({
    downloads: product.downloads,
    apiKey: null,
    noAuth: false,
    corsOrigins: [],
    allowHosts: [],
    version: "0.0.0",
    readme: "# modelhaul",
    clock: systemClock,
    log,
    web: { lookup: () => undefined },
    progress,
  });
  await progress.ready;
  const [bound] = api.start([{ host: "127.0.0.1", port: 0 }]);
  const base = `http://127.0.0.1:${bound?.port}`;
  let closing: Promise<void> | undefined;
  const end = async (): Promise<void> => {
    await api.stop();
    await product.downloads.close();
    await progress.close();
    await product[Symbol.asyncDispose]();
  };
  const close = () => {
    closing ??= end();
    return closing;
  };
  return {
    product,
    progress,
    dir,
    base,
    logged,
    async text(repo, file) {
      const found = Bun.file(join(dir, fileNameOf({ repo, file })));
      return (await found.exists()) ? found.text() : undefined;
    },
    call: (method, path, body, headers) => call(base, method, path, body, headers),
    close,
    [Symbol.asyncDispose]: close,
  };
}
