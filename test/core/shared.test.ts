/** Models of Ollama through the real rooms: files that several downloads share, and one that seals the others. */
import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Snapshot } from "../../src/core/downloads.ts";
import { generated, withHead } from "../support/bytes.ts";
import { ggufHeader } from "../support/hub/gguf.ts";
import {
  type ModelSpec,
  type OllamaRegistry,
  ordinaryModel,
  type RegistryOptions,
  type StoredModel,
  startOllamaRegistry,
} from "../support/ollama-registry.ts";
import { openProduct, type Product } from "../support/product.ts";
import { until } from "../support/until.ts";
import { codeOf, digest, MB } from "./support.ts";

/** Six seconds for the weights, unless a test lets them pass. */
const SLOW = { ratePerConnection: MB / 4, rateTotal: MB };
const SOME = MB / 4;
const SIZE = 6 * MB;
const WEIGHTS = { type: "model", content: generated(11, SIZE) };
/** Two models of the same weights, as `llama3.2` and `llama3.2:3b` are. */
const TWINS: ModelSpec[] = ["a", "b"].map((name) => ({
  name,
  layers: [WEIGHTS, { type: "template", content: `template of ${name}` }],
}));

async function world(options: RegistryOptions) {
  const registry = await startOllamaRegistry(options);
  const product = await openProduct({ ollamaRegistry: registry.endpoint });
  const start = async (model: string) =>
    (await product.downloads.start({ provider: "ollama-registry", model })).download;
  const fast = (): void =>
    void Object.assign(registry.cdn.limits, { ratePerConnection: 1000 * MB, rateTotal: 1000 * MB });
  const pull = async (model: string) => product.reaches((await start(model)).id, "completed", "failed");
  const close = async () => {
    await product.close();
    await registry.stop();
    rmSync(product.dir, { recursive: true, force: true });
  };
  return { registry, product, start, pull, fast, [Symbol.asyncDispose]: close };
}

const blobPath = (product: Product, name: string): string =>
  join(product.ollama, "blobs", name.replace(":", "-"));
const manifestPath = (product: Product, { repo, tag }: StoredModel): string =>
  join(product.ollama, "manifests", "registry.ollama.ai", repo, tag);
const sentFor = (registry: OllamaRegistry, name: string): number => registry.cdn.sent(registry.cdnPath(name));
const weightsOf = (registry: OllamaRegistry, name: string): string => registry.model(name).blobs[0]!.digest;

function expectStored(product: Product, model: StoredModel): void {
  expect(readFileSync(manifestPath(product, model), "utf8")).toBe(model.manifest);
  for (const blob of model.blobs)
    expect(`sha256:${digest(blobPath(product, blob.digest))}`).toBe(blob.digest);
  expect(readdirSync(product.ollama).sort()).toEqual(["blobs", "manifests"]);
}

test("A17 A24 a model is one download of several files, with one percentage, shown by its name", async () => {
  await using it = await world({ models: [ordinaryModel("llama3.2", 1, 3 * MB)] });
  const seen: Snapshot[] = [];
  it.product.downloads.feed.subscribe((event) => {
    if (event.type === "download") seen.push(event.download);
  });
  const done = await it.pull("llama3.2");
  const model = it.registry.model("llama3.2");
  expect([done.state, done.modelId, done.repo, done.layout]).toEqual([
    "completed",
    "llama3.2:latest",
    "llama3.2",
    "ollama",
  ]);
  const total = model.blobs.reduce((sum, it) => sum + it.content.size, model.manifest.length);
  expect([done.total, done.bytes, done.filesDone]).toEqual([total, total, 6]);
  expect(done.localPath).toBe(blobPath(it.product, model.blobs[0]!.digest));
  expect(done.warnings).toEqual([]);
  const bytes = seen.map((one) => one.bytes);
  expect(bytes).toEqual([...bytes].sort((a, b) => a - b));
  const files = await it.product.db.files(done.id);
  expect(files.every((file) => file.verified && file.state === "done")).toBe(true);
  expectStored(it.product, model);
});

test("F91 what is there and right is not fetched again: a second pull, and another model's layers", async () => {
  await using it = await world({ models: TWINS });
  await it.pull("a");
  const sent = it.registry.cdn.stats.bytesSent;
  await it.pull("a");
  expect(it.registry.cdn.stats.bytesSent).toBe(sent);
  await it.pull("b");
  expect(sentFor(it.registry, weightsOf(it.registry, "b"))).toBe(SIZE);
  for (const name of ["a", "b"]) expectStored(it.product, it.registry.model(name));
});

test("two models with the same weights, pulled at the same time, fetch them once", async () => {
  await using it = await world({ models: TWINS, cdnLimits: { rateTotal: 8 * MB } });
  const both = await Promise.all(["a", "b"].map((name) => it.pull(name)));
  expect(both.map((one) => [one.state, one.bytes === one.total])).toEqual([
    ["completed", true],
    ["completed", true],
  ]);
  // On a busy machine a connection that seems to hang is replaced: a little may be sent twice.
  expect(sentFor(it.registry, weightsOf(it.registry, "a"))).toBeLessThan(1.6 * SIZE);
  for (const name of ["a", "b"]) expectStored(it.product, it.registry.model(name));
});

test("who waits for a blob of another download goes on when that is paused, and can be cancelled itself", async () => {
  await using it = await world({ models: [...TWINS, { ...TWINS[0]!, name: "c" }], cdnLimits: { ...SLOW } });
  const a = await it.start("a");
  // From here on it is this one that fetches, and the others wait.
  await it.product.has(a.id, SOME);
  const [b, c] = [await it.start("b"), await it.start("c")];
  await it.product.reaches(b.id, "downloading");
  await it.product.reaches(c.id, "downloading");
  expect((await it.product.downloads.cancel(c.id)).download.state).toBe("cancelled");
  await it.product.downloads.pause(a.id);
  await it.product.has(b.id, SOME);
  it.fast();
  await it.product.reaches(b.id, "completed");
  await it.product.downloads.resume(a.id);
  expect((await it.product.reaches(a.id, "completed", "failed")).state).toBe("completed");
  for (const name of ["a", "b"]) expectStored(it.product, it.registry.model(name));
});

test("F76 paused while the tag moves: what was begun is finished as it was; pulled again it is the new one", async () => {
  await using it = await world({ models: [ordinaryModel("m", 1, SIZE)], cdnLimits: { ...SLOW } });
  const old = it.registry.model("m");
  const { id } = await it.start("m");
  await it.product.has(id, SOME);
  await it.product.downloads.pause(id);
  expect(existsSync(manifestPath(it.product, old))).toBe(false);
  const next = it.registry.add(ordinaryModel("m", 2, MB));
  // The registry still has the layers of the tag that moved, as the real one does.
  it.registry.add({ ...ordinaryModel("m:old", 1, SIZE) });
  it.fast();
  await it.product.downloads.resume(id);
  const done = await it.product.reaches(id, "completed", "failed");
  expect([done.state, done.commit]).toEqual(["completed", old.hex]);
  expectStored(it.product, old);
  const again = await it.pull("m");
  expect([again.state, again.commit, again.warnings]).toEqual(["completed", next.hex, []]);
  expectStored(it.product, next);
});

test("F93 a damaged blob is found out by its hash and fetched anew, with a word about it", async () => {
  await using it = await world({ models: [ordinaryModel("m", 1, MB)] });
  await it.pull("m");
  const model = it.registry.model("m");
  const path = blobPath(it.product, model.blobs[0]!.digest);
  const bytes = readFileSync(path);
  bytes[1000]! ^= 1;
  writeFileSync(path, bytes);
  writeFileSync(blobPath(it.product, model.blobs[1]!.digest), "cut");
  const done = await it.pull("m");
  expect([done.state, done.warnings.length]).toEqual(["completed", 2]);
  expect(done.warnings[0]).toContain("fetched anew");
  expectStored(it.product, model);
});

test("a blob that does not have its digest never gets its name, and there is no model", async () => {
  await using it = await world({ models: [ordinaryModel("m", 1, MB)] });
  const weights = weightsOf(it.registry, "m");
  it.registry.cdn.on({ path: it.registry.cdnPath(weights) }, { kind: "corrupt", at: 5000 });
  const failed = await it.pull("m");
  expect([failed.state, failed.error?.code]).toEqual(["failed", "checksum"]);
  expect(existsSync(blobPath(it.product, weights))).toBe(false);
  expect(existsSync(join(it.product.ollama, "manifests"))).toBe(false);
  expect(readdirSync(it.product.ollama)).toEqual(["blobs"]);
  it.registry.cdn.clear();
  await it.product.downloads.retry(failed.id);
  expect((await it.product.reaches(failed.id, "completed")).error).toBeNull();
  expectStored(it.product, it.registry.model("m"));
});

test("a blob that a daemon sweeps away meanwhile is fetched again before the model is there", async () => {
  await using it = await world({ models: [ordinaryModel("m", 1, SIZE)], cdnLimits: { ...SLOW } });
  const template = blobPath(it.product, it.registry.model("m").blobs[1]!.digest);
  const { id } = await it.start("m");
  await it.product.has(id, SOME);
  await until(async () => existsSync(template), "the template");
  rmSync(template);
  it.fast();
  const done = await it.product.reaches(id, "completed", "failed");
  expect(done.state).toBe("completed");
  expectStored(it.product, it.registry.model("m"));
});

test("F40 the link of a blob that expires is replaced by a new one", async () => {
  await using it = await world({
    models: [ordinaryModel("m", 1, SIZE)],
    cdnLimits: { ...SLOW },
    auth: "token",
  });
  const { id } = await it.start("m");
  await it.product.has(id, SOME);
  it.registry.cdn.expireLinks();
  it.fast();
  expect((await it.product.reaches(id, "completed", "failed")).state).toBe("completed");
  expectStored(it.product, it.registry.model("m"));
});

test("A16 an engine is made of the weights, whatever their file is called", async () => {
  const gguf = { name: "tiny", quantization: "Q4_K_M", size: 100_000 };
  const content = withHead(ggufHeader(gguf), 7, gguf.size);
  await using it = await world({ models: [{ name: "tiny", layers: [{ type: "model", content }] }] });
  const engine = {
    engineId: "tiny-engine",
    modelType: "llm",
    inferenceEngine: "llama-cpu",
    loadImmediately: false,
    mainGpuId: 0,
    parameters: {},
  } as const;
  const request = { provider: "ollama-registry", model: "tiny", engine };
  const { download } = await it.product.downloads.start(request);
  const done = await it.product.reaches(download.id, "completed", "failed");
  expect([done.state, done.error]).toEqual(["completed", null]);
  const known = await it.product.db.engine("tiny-engine");
  expect([known?.path, known?.details?.format]).toEqual([
    blobPath(it.product, weightsOf(it.registry, "tiny")),
    "gguf",
  ]);
});

test("removing a model with its files leaves what another model needs", async () => {
  await using it = await world({ models: TWINS });
  const [a, b] = [await it.pull("a"), await it.pull("b")];
  await it.product.downloads.forget(a.id, { files: true });
  const [one, two] = [it.registry.model("a"), it.registry.model("b")];
  expect(existsSync(manifestPath(it.product, one))).toBe(false);
  expect(existsSync(blobPath(it.product, one.blobs[1]!.digest))).toBe(false);
  expectStored(it.product, two);
  await it.product.downloads.forget(b.id, { files: true });
  expect(readdirSync(it.product.ollama, { recursive: true })).toEqual([]);
});

test("a file of a model is verified by the digest in its name, and goes with its manifest", async () => {
  await using it = await world({ models: [ordinaryModel("m", 1, MB)] });
  const done = await it.pull("m");
  const files = await it.product.db.files(done.id);
  const { disk } = it.product.downloads;
  for (const file of files) expect((await disk.verify(file.id)).matches).toBe(true);
  writeFileSync(files[0]!.target!, "something else");
  expect((await disk.verify(files[0]!.id)).matches).toBe(false);
  // Any one blob stays as long as the model is there.
  await disk.remove(files[1]!.id);
  expect(existsSync(files[1]!.target!)).toBe(true);
  await disk.remove(files.at(-1)!.id);
  expect(readdirSync(it.product.ollama, { recursive: true })).toEqual([]);
  expect(await codeOf(disk.verify(files[2]!.id))).toBe("file_not_found");
});
