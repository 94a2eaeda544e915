import { expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { EngineSpec } from "../../src/core/download.ts";
import { KeyedLock } from "../../src/core/keyed-lock.ts";
import { knownTarget, type TargetPath } from "../../src/core/target-path.ts";
import { ggufHeader } from "../support/hub/gguf.ts";
import { ggufFile, ggufRepo, startHub } from "../support/hub.ts";
import { openProduct } from "../support/product.ts";
import { codeOf, MB } from "./support.ts";

const spec = (engineId: string): EngineSpec => ({
  engineId,
  modelType: "llm",
  inferenceEngine: "llama-cpu",
  loadImmediately: true,
  mainGpuId: 0,
  parameters: {},
});

function put(dir: string, name: string): TargetPath {
  mkdirSync(dir, { recursive: true });
  const head = Buffer.from(ggufHeader({ name: "x", quantization: "F16", size: 4096 }));
  writeFileSync(join(dir, name), Buffer.concat([head, Buffer.alloc(4096 - head.length)]));
  return knownTarget(join(dir, name));
}

/** A hub of one file in two revisions whose downloads take a few seconds. */
async function slowHub() {
  const id = "acme/slow-gguf";
  const hub = await startHub({
    repos: [ggufRepo(id, { quantizations: { Q8_0: 24 * MB } })],
    cdnLimits: { ratePerConnection: MB, rateTotal: 4 * MB },
  });
  hub.repo(id).commit([ggufFile(id, "slow-Q4_0.gguf", MB, "Q4_0")]);
  return hub;
}
const SLOW = { repoId: "acme/slow-gguf", filename: "slow-Q8_0.gguf" };

test("work under one key is done in its order, whatever fails; other keys do not wait", async () => {
  const lock = new KeyedLock();
  const seen: string[] = [];
  const gate = Promise.withResolvers<void>();
  const first = lock.run("a", async () => {
    await gate.promise;
    seen.push("first");
    throw new Error("fails");
  });
  const second = lock.run("a", async () => void seen.push("second"));
  await lock.run("b", async () => void seen.push("other"));
  gate.resolve();
  expect(await codeOf(first)).toContain("fails");
  await second;
  expect(seen).toEqual(["other", "first", "second"]);
});

for (const end of ["cancel", "pause"] as const)
  test(`R42 an engine that waits for a download does not wait for ever: ${end}`, async () => {
    await using hub = await slowHub();
    await using product = await openProduct({ hfEndpoint: hub.endpoint });
    const { downloads } = product;
    const { download: first } = await downloads.start(SLOW);
    await product.has(first.id, MB);
    const answer = await downloads.engineRequests.add(spec("waits"), { request: SLOW });
    expect(answer.outcome).toBe("started");
    expect((await downloads.get("waits")).state).toBe("queued");
    await downloads[end](first.id);
    await product.reaches("waits", "downloading");
    Object.assign(hub.cdn.limits, { ratePerConnection: 64 * MB, rateTotal: 256 * MB });
    expect((await product.reaches("waits", "completed", "failed")).state).toBe("completed");
    expect((await downloads.engines.get("waits"))?.state).toBe("loaded");
  });

test("A3 its download is called like the engine, unless the download that it waits for is", async () => {
  await using hub = await slowHub();
  await using product = await openProduct({ hfEndpoint: hub.endpoint });
  const { downloads } = product;
  await downloads.start({ ...SLOW, modelId: "chat" });
  const answer = await downloads.engineRequests.add(spec("chat"), { request: SLOW });
  expect("download" in answer && answer.download.modelId).toBe("chat-2");
  const again = await downloads.engineRequests.add(spec("chat"), { request: SLOW });
  expect(again.outcome).toBe("in_progress");
  const other = { request: { repoId: "acme/slow-gguf", filename: "slow-Q4_0.gguf" } };
  expect(await codeOf(downloads.engineRequests.add(spec("chat"), other))).toBe("model_id_conflict");
});

test("R41 A18 another revision is another file; a whole repository is there when all of it is", async () => {
  await using hub = await slowHub();
  await using product = await openProduct({ hfEndpoint: hub.endpoint });
  Object.assign(hub.cdn.limits, { ratePerConnection: 64 * MB, rateTotal: 256 * MB });
  const { downloads } = product;
  const whole = { repoId: "acme/slow-gguf" };
  const { download } = await downloads.start(whole);
  const { localPath } = await product.reaches(download.id, "completed");
  const made = await downloads.engineRequests.add(spec("whole"), { request: whole });
  expect(made.outcome).toBe("created");
  expect((await downloads.engines.get("whole"))?.path).toBe(localPath as string);
  const one = await downloads.engineRequests.add(spec("one"), { request: SLOW });
  expect(one.outcome).toBe("created");
  const ask = async (id: string, revision: string) =>
    (await downloads.engineRequests.add(spec(id), { request: { ...SLOW, revision } })).outcome;
  const repo = hub.repo("acme/slow-gguf");
  repo.branches.set("v2", repo.branches.get("main") as string);
  expect(await ask("pinned", repo.resolve("main")?.id as string)).toBe("created");
  expect(await ask("branch", "v2")).toBe("started");
  const wrong = { ...SLOW, sha256: "0".repeat(64) };
  expect((await downloads.engineRequests.add(spec("promised"), { request: wrong })).outcome).toBe("started");
});

test("A22 an engine of a folder keeps its id while the folder is there", async () => {
  await using product = await openProduct();
  const { downloads, models } = product;
  const folder = knownTarget(join(models, "folder"));
  put(folder, "m.gguf");
  const other = put(models, "other.gguf");
  await downloads.engineRequests.add(spec("e"), { path: folder });
  expect(await codeOf(downloads.engineRequests.add(spec("e"), { path: other }))).toBe("model_id_conflict");
  rmSync(folder, { recursive: true });
  expect((await downloads.engineRequests.add(spec("e"), { path: other })).outcome).toBe("created");
});

test("A22 a failed download is not tried again once its engine id belongs to another model", async () => {
  await using hub = await startHub({ repos: [ggufRepo("acme/tiny-gguf")] });
  await using product = await openProduct({ hfEndpoint: hub.endpoint });
  const { downloads, models } = product;
  const missing = { repoId: "acme/tiny-gguf", filename: "missing.gguf" };
  await downloads.engineRequests.add(spec("e"), { request: missing });
  await product.reaches("e", "failed");
  await downloads.engineRequests.add(spec("e"), { path: put(models, "mine.gguf") });
  expect(await codeOf(downloads.retry("e"))).toBe("model_id_conflict");
  expect((await downloads.engines.get("e"))?.path).toBe(join(models, "mine.gguf"));
});
