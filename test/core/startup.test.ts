import { afterAll, describe, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { systemClock } from "../../src/core/clock.ts";
import type { EngineSpec } from "../../src/core/download.ts";
import type { Log, StartRequest } from "../../src/core/ports.ts";
import { judgeStartup } from "../../src/core/startup.ts";
import { createHttp } from "../../src/http/index.ts";
import { createSources } from "../../src/sources/index.ts";
import { sha256Of } from "../support/bytes.ts";
import { ggufRepo, startHub } from "../support/hub.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { openProduct, type Product } from "../support/product.ts";
import { tempDir } from "../support/temp.ts";
import { until } from "../support/until.ts";
import { digest, MB, slowOrigin } from "./support.ts";

const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} };

const engine = (engineId: string): EngineSpec => ({
  engineId,
  modelType: "llm",
  inferenceEngine: "llama-cpu",
  loadImmediately: true,
  mainGpuId: 0,
  parameters: { n_ctx: 4096 },
});

const records = async ({ downloads }: Product) =>
  (await downloads.list({}, { limit: 100 })).items.map(({ id, modelId, state }) => ({ id, modelId, state }));

/** Opens the product, begins what it is to begin, and hands both to `work`. */
async function run<T>(
  options: Parameters<typeof openProduct>[0],
  work: (product: Product, errors: string[]) => Promise<T>,
): Promise<T> {
  await using product = await openProduct(options);
  return await work(product, await product.begin());
}

/** To the end of the only record. */
async function finish(product: Product) {
  const [only, ...more] = await records(product);
  expect(more).toEqual([]);
  return product.reaches(only?.id as string, "completed", "failed");
}

const oneFile = (path = "/m.bin") => startOrigin({ resources: [{ path, seed: 1, size: 2 * MB }] });
/** A look at the server is one byte; the file was asked for no second time. */
const sentOnce = (origin: Origin, path = "/m.bin") => expect(origin.sent(path)).toBeLessThan(2 * MB + 100);

describe("R138a downloads wanted at every start", () => {
  test("started twice more: one record, one transfer, nobody asked", async () => {
    using dir = tempDir("startup");
    await using origin = await oneFile();
    const options = { dir: dir.path, startup: [{ url: origin.url("/m.bin"), modelId: "mine" }] };
    const first = await run(options, finish);
    expect([first.modelId, first.type, first.state]).toEqual(["mine", "regular", "completed"]);
    const asked = origin.requests().length;
    for (let i = 0; i < 2; i++) {
      const known = await run(options, (product) => records(product));
      expect(known).toEqual([{ id: first.id, modelId: "mine", state: "completed" }]);
    }
    expect(origin.requests().length).toBe(asked);
    sentOnce(origin);
  });

  test("stopped in between, it goes on; one that is unfinished gets no twin", async () => {
    using dir = tempDir("startup");
    await using origin = await slowOrigin();
    const options = { dir: dir.path, startup: [{ url: origin.url("/slow.gguf") }] };
    const id = await run(options, async (product) => {
      const [only] = await records(product);
      await product.has(only?.id as string, MB);
      await product.begin();
      return only?.id;
    });
    origin.limits.ratePerConnection = 64 * MB;
    origin.limits.rateTotal = 64 * MB;
    const done = await run(options, finish);
    expect([done.id, done.state]).toEqual([id as string, "completed"]);
    expect(digest(done.localPath as string)).toBe(sha256Of(3, 8 * MB));
  });

  test("one that the user has paused stays paused", async () => {
    using dir = tempDir("startup");
    await using origin = await slowOrigin();
    const options = { dir: dir.path, startup: [{ url: origin.url("/slow.gguf") }] };
    await run(options, async (product) => {
      await product.downloads.pause("slow.gguf");
    });
    const known = await run(options, (product) => records(product));
    expect(known.map(({ state }) => state)).toEqual(["paused"]);
  });

  test("a file that is gone is fetched again under its name, one of another size is left alone and fetched beside it", async () => {
    using dir = tempDir("startup");
    await using hub = await startHub({ repos: [ggufRepo("acme/tiny", { quantizations: { Q8_0: MB } })] });
    const filename = "tiny-Q8_0.gguf";
    const options = {
      dir: dir.path,
      hfEndpoint: hub.endpoint,
      startup: [{ repoId: "acme/tiny", filename }],
    };
    const { localPath: path, id } = await run(options, finish);
    const { sha256 } = hub.repo("acme/tiny").file(filename);
    rmSync(path as string);
    const [old, again] = await run(options, async (product) => {
      const [first, second] = await records(product);
      return [first, await product.reaches(second?.id as string, "completed", "failed")] as const;
    });
    expect([old?.id, again.state, again.localPath]).toEqual([id, "completed", path]);
    expect(digest(path as string)).toBe(sha256);

    writeFileSync(path as string, "cut");
    await run(options, async (product) => {
      const newest = (await records(product)).at(-1);
      const done = await product.reaches(newest?.id as string, "completed", "failed");
      expect(done.localPath).toBe((path as string).replace(".gguf", "-2.gguf"));
      expect(digest(done.localPath as string)).toBe(sha256);
    });
    expect(await run(options, (product) => records(product))).toHaveLength(3);
  });

  test("one that failed is queued again, as the same record, with the link that is good now", async () => {
    using dir = tempDir("startup");
    await using origin = await startOrigin({
      resources: [{ path: "/m.bin", seed: 1, size: 2 * MB, signed: true }],
    });
    const link = () => ({ dir: dir.path, startup: [{ url: origin.sign("/m.bin") }] });
    const old = link();
    origin.expireLinks();
    const failed = await run(old, finish);
    expect(failed.state).toBe("failed");
    const done = await run(link(), finish);
    expect([done.id, done.state]).toEqual([failed.id, "completed"]);
  });

  test("one that was cancelled is wanted again at the next start", async () => {
    using dir = tempDir("startup");
    await using origin = await slowOrigin();
    const options = { dir: dir.path, startup: [{ url: origin.url("/slow.gguf") }] };
    const cancelled = await run(options, (product) => product.downloads.cancel("slow.gguf"));
    origin.limits.ratePerConnection = 64 * MB;
    origin.limits.rateTotal = 64 * MB;
    const done = await run(options, finish);
    expect([done.id, done.state]).toEqual([cancelled.download.id, "completed"]);
  });

  test("R84 with an engine it is a startup download; another engine for the same file transfers nothing", async () => {
    using dir = tempDir("startup");
    await using hub = await startHub({ repos: [ggufRepo("acme/tiny", { quantizations: { Q8_0: MB } })] });
    const options = (engineId: string) => ({
      dir: dir.path,
      hfEndpoint: hub.endpoint,
      startup: [
        { repoId: "acme/tiny", filename: "tiny-Q8_0.gguf", modelId: engineId, engine: engine(engineId) },
      ],
    });
    const first = await run(options("one"), finish);
    expect([first.type, first.state, first.engine?.engineId]).toEqual(["startup", "completed", "one"]);
    expect(await run(options("one"), (product) => records(product))).toHaveLength(1);
    const { bytesSent } = hub.cdn.stats;
    await run(options("two"), async (product) => {
      expect((await product.reaches("two", "completed", "failed")).error).toBeNull();
      expect((await product.downloads.engines.list()).map((one) => one.engineId).sort()).toEqual([
        "one",
        "two",
      ]);
    });
    expect(hub.cdn.stats.bytesSent).toBe(bytesSent);
  });

  test("however short the history is, the record that spares a transfer stays, as long as it is wanted", async () => {
    using dir = tempDir("startup");
    await using origin = await startOrigin({
      resources: [
        { path: "/m.bin", seed: 1, size: 2 * MB, etag: null },
        { path: "/other.bin", seed: 2, size: MB },
      ],
    });
    const base = { dir: dir.path, historyMs: 0 };
    const startup = [{ url: origin.url("/m.bin") }];
    const left = (options: Parameters<typeof openProduct>[0], count: number) =>
      run(options, async (product) => {
        const known = await until(async () => {
          const all = await records(product);
          return all.length === count && { all };
        }, "the sweep of old records");
        return known.all.map(({ modelId }) => modelId);
      });
    await run({ ...base, startup }, async (product) => {
      await product.reaches("m.bin", "completed");
      const { download } = await product.downloads.start({ url: origin.url("/other.bin") });
      await product.reaches(download.id, "completed");
    });
    // A command on the same data folder knows nothing of the configuration of the daemon.
    expect(await left(base, 1)).toEqual(["m.bin"]);
    expect(await left({ ...base, startup }, 1)).toEqual(["m.bin"]);
    sentOnce(origin);
    expect(await left({ ...base, startup: [] }, 0)).toEqual([]);
  });

  test("one that cannot be started is told, and the others start", async () => {
    using dir = tempDir("startup");
    await using origin = await slowOrigin();
    const url = origin.url("/other.gguf");
    await run({ dir: dir.path }, ({ downloads }) =>
      downloads.start({ url: origin.url("/slow.gguf"), modelId: "mine" }),
    );
    const startup = [
      { url, modelId: "mine" },
      { url: `${url}?2`, modelId: "yours" },
    ];
    const errors = await run({ dir: dir.path, startup }, async (product, told) => {
      expect((await records(product)).map(({ modelId }) => modelId)).toEqual(["mine", "yours"]);
      return told;
    });
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatch(/"entry":1,"code":"model_id_conflict"/);
  });
});

describe("F118 a bad entry is refused by number and key, before anything is opened", () => {
  const url = "http://127.0.0.1:1/m.bin";
  const cases: [string, StartRequest[], RegExp][] = [
    ["a URL of another kind", [{ url }, { url: "ftp://h/x" }], /^startup entry 2, url: /],
    ["a repository that is none", [{ repoId: "a b" }], /^startup entry 1, repo_id: /],
    ["a revision with a URL", [{ url, revision: "main" }], /^startup entry 1, revision: /],
    ["an unknown provider", [{ provider: "ftp", model: "m" }], /^startup entry 1, provider: /],
    [
      "a provider without downloads (R183)",
      [{ provider: "lmstudio", model: "m" }],
      /^startup entry 1, provider: .*LM Studio has no download API/,
    ],
    ["a reserved id", [{ url, modelId: "events" }], /^startup entry 1, model_id: .*reserved/],
    [
      "retries without number",
      [{ url, retry: { maxAttempts: 0 } }],
      /^startup entry 1, retry\.max_attempts: /,
    ],
    ["the same twice", [{ url }, { url, modelId: "m" }], /^startup entry 2: the same download as entry 1/],
    [
      "one id for two",
      [
        { url, modelId: "m" },
        { url: `${url}2`, modelId: "m" },
      ],
      /^startup entry 2, model_id: entry 1 has it already/,
    ],
  ];
  const http = createHttp({
    userAgent: "modelhaul/test",
    allowPrivate: true,
    allowAddresses: [],
    clock: systemClock,
    log: quiet,
  });
  const sources = createSources({ http, clock: systemClock, log: quiet });
  afterAll(() => http.close());
  for (const [name, requests, message] of cases)
    test(name, () => {
      expect(() => judgeStartup(sources, { layout: "flat" }, requests)).toThrow(message);
    });

  test("the same file in another layout is another download", () => {
    const requests: StartRequest[] = [{ repoId: "a/b" }, { repoId: "a/b", layout: "hf-cache" }];
    expect(judgeStartup(sources, { layout: "flat" }, requests).map(({ number }) => number)).toEqual([1, 2]);
  });
});
