import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { modelName } from "../../src/engines/ollama/name.ts";
import { codeOf } from "../core/support.ts";
import { literal } from "../support/bytes.ts";
import { fullName } from "../support/ollama/models.ts";
import { startOllamaDaemon } from "../support/ollama-daemon.ts";
import { startOrigin } from "../support/origin.ts";
import { openProduct } from "../support/product.ts";
import { until } from "../support/until.ts";
import { engineSpec, gguf, LLAMA, writeModel } from "./support.ts";

const never = new AbortController().signal;
const imported = (id: string, more = {}) => engineSpec(id, { inferenceEngine: "ollama", ...more });

async function world() {
  const daemon = await startOllamaDaemon({});
  const product = await openProduct({ engines: { ollamaUrl: daemon.url } });
  const model = writeModel(`${product.dir}/m.gguf`);
  const { engines } = product.downloads;
  return {
    daemon,
    product,
    model,
    engines,
    create: (id: string, more = {}) => engines.create(imported(id, more), model, null, never),
    count: (request: RegExp) => daemon.requests.filter((one) => request.test(one)).length,
    async [Symbol.asyncDispose]() {
      await product.close();
      await daemon[Symbol.asyncDispose]();
    },
  };
}

describe("A16 ollama: the file is imported into a running daemon", () => {
  test("R84 a startup download ends with the model in the daemon, under the engine's id", async () => {
    await using it = await world();
    const content = literal(gguf({ pairs: LLAMA }));
    await using origin = await startOrigin({ resources: [{ path: "/tiny.gguf", content }] });
    const request = { url: origin.url("/tiny.gguf"), engine: imported("tiny") };
    const { download } = await it.product.downloads.start(request);
    await it.product.reaches(download.id, "completed");
    const engine = await it.engines.get("tiny");
    expect(engine).toMatchObject({ runtime: "ollama", state: "loaded", endpoint: it.daemon.url });
    const created = it.daemon.installed.get(fullName("tiny"))?.created;
    expect(created).toMatchObject({ model: "tiny", parameters: { num_ctx: 4096 } });
    const [digest] = Object.values((created as { files: Record<string, string> }).files);
    expect(digest).toBe(`sha256:${origin.sha256("/tiny.gguf")}`);
    const uploaded = it.daemon.uploads.get(digest as string) ?? new Uint8Array();
    expect(gguf({ pairs: LLAMA }).equals(uploaded)).toBe(true);
  });

  test("what the daemon has is not sent again; with other parameters it is created anew", async () => {
    await using it = await world();
    await it.create("one");
    await it.create("two");
    expect([it.count(/POST .*blobs/), it.count(/create/)]).toEqual([1, 2]);
    await it.create("two");
    await it.engines.stop("two");
    expect((await it.engines.start("two")).state).toBe("loaded");
    expect([it.count(/POST .*blobs/), it.count(/create/)]).toEqual([1, 2]);
    await it.create("two", { parameters: { n_ctx: 99 } });
    expect([it.count(/POST .*blobs/), it.count(/create/)]).toEqual([1, 3]);
  });

  test("shards go as the set they are", async () => {
    await using it = await world();
    const shards = [1, 2].map((n) =>
      writeModel(`${it.product.dir}/s-0000${n}-of-00002.gguf`, { pairs: LLAMA, tensors: [{ shape: [n] }] }),
    );
    await it.engines.create(imported("set"), shards[0] as string, null, never);
    const { files = {} } = it.daemon.installed.get(fullName("set"))?.created ?? {};
    expect(Object.keys(files as object)).toEqual(["s-00001-of-00002.gguf", "s-00002-of-00002.gguf"]);
  });

  test("remove takes it out of the daemon; the file stays", async () => {
    await using it = await world();
    await it.create("one");
    expect(await it.engines.remove("one")).toBe(true);
    expect([
      it.daemon.installed.has(fullName("one")),
      existsSync(it.model),
      await it.engines.get("one"),
    ]).toEqual([false, true, undefined]);
  });

  test("a server that is gone keeps a loaded engine in the list, not a stopped one", async () => {
    await using it = await world();
    await it.create("one");
    await it.daemon.down();
    expect(await codeOf(it.engines.remove("one"))).toBe("engine_failed");
    expect((await it.engines.stop("one")).state).toBe("stopped");
    expect(await it.engines.remove("one")).toBe(true);
  });

  test("a model of the user's own under that name is neither replaced nor removed", async () => {
    await using it = await world();
    const own = { layers: [], created: { model: "mine" }, modifiedAt: new Date().toISOString() };
    it.daemon.installed.set(fullName("mine"), own);
    expect(it.create("mine")).rejects.toThrow(
      "has a model 'mine' that was not imported from here. Choose another engine_id",
    );
    await it.create("mine", { loadImmediately: false });
    expect(await it.engines.remove("mine")).toBe(true);
    expect(it.daemon.installed.get(fullName("mine"))).toBe(own);
    expect(it.count(/create|delete/)).toBe(0);
  });

  test("any engine id becomes a name that Ollama takes, and no two the same", () => {
    expect(modelName("tiny")).toBe("tiny");
    expect(modelName("me/tiny:q4")).toBe("me/tiny:q4");
    const odd = ["a b", "a-b/c/d", "ä", "..", "a:b:c", "x".repeat(500), "-x", "a/../b"];
    const names = odd.map(modelName);
    for (const name of names) expect(name).toMatch(/^[a-zA-Z0-9_][\w.-]{0,79}$/);
    expect(new Set(names).size).toBe(odd.length);
  });
});

describe("A16 ollama: failing", () => {
  test("a daemon that is not there fails the download with its address and what to do; the file stays", async () => {
    await using it = await world();
    await using origin = await startOrigin({
      resources: [{ path: "/tiny.gguf", content: literal(gguf({ pairs: LLAMA })) }],
    });
    await it.daemon.down();
    const { download } = await it.product.downloads.start({
      url: origin.url("/tiny.gguf"),
      engine: imported("tiny"),
    });
    const failed = await it.product.reaches(download.id, "failed");
    expect(failed.error?.code).toBe("engine_failed");
    expect(failed.error?.message).toStartWith(`Cannot connect to Ollama server at ${it.daemon.url}:`);
    expect(existsSync(failed.localPath as string)).toBe(true);
    await it.daemon.up();
    await it.product.downloads.retry(download.id);
    await it.product.reaches(download.id, "completed");
  });

  test("what the daemon says is told", async () => {
    await using it = await world();
    it.daemon.createErrors.push('unsupported architecture "mamba9"');
    expect(it.create("one")).rejects.toThrow(
      'could not import the model: unsupported architecture "mamba9". The file stays.',
    );
    expect(await codeOf(it.create("one"))).toBe("fulfilled");
  });

  test("an address that is no Ollama is told", async () => {
    await using origin = await startOrigin({ resources: [] });
    await using product = await openProduct({ engines: { ollamaUrl: origin.url("") } });
    const model = writeModel(`${product.dir}/m.gguf`);
    const work = product.downloads.engines.create(imported("one"), model, null, never);
    expect(work).rejects.toThrow("could not look for the model: HTTP 404");
    expect(await codeOf(work)).toBe("engine_failed");
  });

  test("a model that a daemon brings itself needs no engine: refused before anything is asked", async () => {
    await using it = await world();
    const request = { provider: "ollama", model: "tiny", baseUrl: it.daemon.url, engine: imported("tiny") };
    expect(await codeOf(it.product.downloads.start(request))).toBe("invalid_request");
    expect(it.daemon.requests).toEqual([]);
  });

  test("no GGUF is refused before the daemon is asked", async () => {
    await using it = await world();
    await Bun.write(`${it.product.dir}/m.bin`, "weights");
    const work = it.engines.create(imported("one"), `${it.product.dir}/m.bin`, null, never);
    expect(work).rejects.toThrow("Ollama imports GGUF files");
    await work.catch(() => {});
    expect(it.daemon.requests).toEqual([]);
  });

  test("R87 cancelling ends the import", async () => {
    await using daemon = await startOllamaDaemon({ stepMs: 60_000 });
    await using product = await openProduct({ engines: { ollamaUrl: daemon.url } });
    await using origin = await startOrigin({
      resources: [{ path: "/tiny.gguf", content: literal(gguf({ pairs: LLAMA })) }],
    });
    const { download } = await product.downloads.start({
      url: origin.url("/tiny.gguf"),
      engine: imported("tiny"),
    });
    await until(() => daemon.requests.some((one) => one.includes("create")), "the import to begin");
    expect((await product.downloads.cancel(download.id)).previous).toBe("creating_engine");
    expect((await product.reaches(download.id, "cancelled")).error).toBeNull();
    expect(await product.downloads.engines.list()).toEqual([]);
  });
});
