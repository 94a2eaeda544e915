/** What is on disk already is found again, beside the plain place too. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { StartRequest } from "../../src/core/ports.ts";
import { ggufRepo, safetensorsRepo, startHub } from "../support/hub.ts";
import { startModelScope } from "../support/modelscope.ts";
import { startOrigin } from "../support/origin.ts";
import { openProduct, type Product } from "../support/product.ts";
import { MB } from "./support.ts";

async function pull(product: Product, request: StartRequest) {
  const { download } = await product.downloads.start(request);
  const done = await product.reaches(download.id, "completed", "failed");
  expect([done.state, done.error]).toEqual(["completed", null]);
  return done;
}

describe("A18 a whole repository that is there beside the plain folder", () => {
  const rest = { shards: 2, sizeOfEach: MB };
  const world = async () => {
    const hub = await startHub({ repos: [safetensorsRepo("acme/shards", rest), ggufRepo("acme/tiny-gguf")] });
    const product = await openProduct({ hfEndpoint: hub.endpoint });
    const close = async () => {
      await product[Symbol.asyncDispose]();
      await hub.stop();
    };
    return { hub, product, sent: () => hub.cdn.stats.bytesSent, [Symbol.asyncDispose]: close };
  };

  test("A18 a new commit goes to a folder of its own, once", async () => {
    await using it = await world();
    const at = (name: string) => join(it.product.models, "acme", name);
    const request = { repoId: "acme/shards" };
    expect((await pull(it.product, request)).localPath).toBe(at("shards"));
    it.hub.repo("acme/shards").commit([{ path: "config.json", content: '{"new": true}' }]);
    expect((await pull(it.product, request)).localPath).toBe(at("shards-2"));
    const sent = it.sent();
    for (let i = 0; i < 2; i++) expect((await pull(it.product, request)).localPath).toBe(at("shards-2"));
    expect(it.sent()).toBe(sent);
    // Without any record the copy itself tells.
    await it.product.downloads.forgetAll({ files: false });
    expect((await pull(it.product, request)).localPath).toBe(at("shards-2"));
    expect(it.sent()).toBe(sent);
    it.hub.repo("acme/shards").commit([{ path: "config.json", content: '{"newer": true}' }]);
    expect((await pull(it.product, request)).localPath).toBe(at("shards-3"));
    expect(readdirSync(at("")).sort()).toEqual(["shards", "shards-2", "shards-3"]);
  });

  test("A18 F91 a file of somebody else in the plain folder is kept, and there is one copy beside it", async () => {
    await using it = await world();
    const at = (name: string) => join(it.product.models, "acme", name);
    mkdirSync(at("shards"), { recursive: true });
    writeFileSync(join(at("shards"), "README.md"), "mine");
    const first = await pull(it.product, { repoId: "acme/shards" });
    expect(first.localPath).toBe(at("shards-2"));
    const sent = it.sent();
    expect((await pull(it.product, { repoId: "acme/shards" })).localPath).toBe(at("shards-2"));
    expect(it.sent()).toBe(sent);
    // What is missing of it is brought there.
    unlinkSync(join(at("shards-2"), "model-00001-of-00002.safetensors"));
    expect((await pull(it.product, { repoId: "acme/shards" })).localPath).toBe(at("shards-2"));
    expect(it.sent() - sent).toBeLessThan(1.5 * MB);
    expect(readdirSync(at("")).sort()).toEqual(["shards", "shards-2"]);
  });

  test("A18 F91 one file of the same size and another content moves the whole set, not that file alone", async () => {
    await using it = await world();
    const at = (name: string) => join(it.product.models, "acme", name);
    const request = { repoId: "acme/shards" };
    await pull(it.product, request);
    const names = readdirSync(at("shards")).sort();
    const { size } = it.hub.repo("acme/shards").file("config.json");
    it.hub.repo("acme/shards").commit([{ path: "config.json", content: "x".repeat(size) }]);
    for (let i = 0; i < 2; i++) expect((await pull(it.product, request)).localPath).toBe(at("shards-2"));
    expect(readdirSync(at("")).sort()).toEqual(["shards", "shards-2"]);
    for (const folder of ["shards", "shards-2"]) expect(readdirSync(at(folder)).sort()).toEqual(names);
  });

  test("A18 a cancelled one beside the plain folder goes on where it was", async () => {
    await using it = await world();
    const at = (name: string) => join(it.product.models, "acme", name);
    mkdirSync(at("shards"), { recursive: true });
    writeFileSync(join(at("shards"), "README.md"), "mine");
    Object.assign(it.hub.cdn.limits, { ratePerConnection: MB / 4, rateTotal: MB / 2 });
    const { id } = (await it.product.downloads.start({ repoId: "acme/shards" })).download;
    await it.product.reachesSuch(id, ({ filesDone }) => filesDone > 0);
    await it.product.downloads.cancel(id);
    Object.assign(it.hub.cdn.limits, { ratePerConnection: 1000 * MB, rateTotal: 1000 * MB });
    expect((await pull(it.product, { repoId: "acme/shards" })).localPath).toBe(at("shards-2"));
  });

  test("A18 another repository's folder of that name is not shared, however much is alike", async () => {
    await using it = await world();
    const at = (name: string) => join(it.product.models, "acme", name);
    mkdirSync(join(at("shards-2")), { recursive: true });
    mkdirSync(at("shards"), { recursive: true });
    writeFileSync(join(at("shards"), "README.md"), "mine");
    const { content } = it.hub.repo("acme/shards").file("config.json");
    writeFileSync(join(at("shards-2"), "config.json"), content.read(0, content.size));
    expect((await pull(it.product, { repoId: "acme/shards" })).localPath).toBe(at("shards-3"));
    expect(readdirSync(at("shards-2"))).toEqual(["config.json"]);
  });

  test("A18 another provider's model of that name is kept apart from it, once", async () => {
    await using it = await world();
    await using site = await startModelScope({ repos: [ggufRepo("acme/tiny-gguf")] });
    await using product = await openProduct({
      hfEndpoint: it.hub.endpoint,
      modelscopeEndpoint: site.endpoint,
    });
    await pull(product, { repoId: "acme/tiny-gguf" });
    const request = { provider: "modelscope", model: "acme/tiny-gguf" };
    const first = await pull(product, request);
    const sent = site.cdn.stats.bytesSent;
    expect((await pull(product, request)).localPath).toBe(first.localPath);
    expect((await pull(product, request)).localPath).toBe(first.localPath);
    expect(site.cdn.stats.bytesSent).toBe(sent);
    expect(readdirSync(join(product.models, "acme")).length).toBeLessThanOrEqual(2);
  });
});

test("A18 a plain URL is one download, in whatever layout it is asked for", async () => {
  await using origin = await startOrigin({ resources: [{ path: "/m.gguf", seed: 1, size: MB }] });
  await using product = await openProduct();
  const url = origin.url("/m.gguf");
  const first = await pull(product, { url, layout: "hf-cache" });
  expect([first.layout, first.localPath]).toEqual(["flat", join(product.models, "m.gguf")]);
  expect((await pull(product, { url })).localPath).toBe(first.localPath);
  expect(readdirSync(product.models)).toEqual(["m.gguf"]);
  expect(origin.sent("/m.gguf")).toBeLessThan(1.1 * MB);
});
