import { expect, test } from "bun:test";
import { interpose } from "../support/database.ts";
import { ggufRepo, startHub } from "../support/hub.ts";
import { startOrigin } from "../support/origin.ts";
import { openProduct } from "../support/product.ts";
import { codeOf, MB } from "./support.ts";

test("a request's own retry values stand upon the settings in force", async () => {
  await using origin = await startOrigin({ resources: [{ path: "/m.bin", seed: 1, size: 1000 }] });
  await using product = await openProduct({ settings: { retry: { maxAttempts: 3, baseMs: 50 } } });
  const { downloads } = product;
  const first = await downloads.start({ url: origin.url("/m.bin"), retry: { baseMs: 70 } });
  expect(first.download.retry).toMatchObject({ maxAttempts: 3, baseMs: 70 });
  await downloads.changeSettings({ retry: { maxAttempts: 5 } });
  const second = await downloads.start({ url: origin.url("/m.bin?2"), retry: { jitter: 0 } });
  expect(second.download.retry).toMatchObject({ maxAttempts: 5, baseMs: 50, jitter: 0 });
});

test("A22 an engine id belongs to one model; asking for that very model again stays allowed", async () => {
  const quantizations = { Q4_K_M: MB, Q8_0: MB };
  await using hub = await startHub({ repos: [ggufRepo("acme/tiny-gguf", { quantizations })] });
  await using product = await openProduct({ hfEndpoint: hub.endpoint });
  const { downloads, db } = product;
  const request = (file: string) => ({
    repoId: "acme/tiny-gguf",
    filename: `tiny-${file}.gguf`,
    engine: {
      engineId: "chat",
      modelType: "llm" as const,
      inferenceEngine: "llama-cpu",
      loadImmediately: true,
      mainGpuId: 0,
      parameters: {},
    },
  });
  const bring = async () => {
    const { download } = await downloads.start(request("Q4_K_M"));
    return product.reaches(download.id, "completed", "failed");
  };
  const first = await bring();
  const refused = await downloads.start(request("Q8_0")).catch((error) => error);
  expect(refused).toMatchObject({ code: "model_id_conflict", param: "engine.engine_id" });
  expect((await db.engine("chat"))?.path).toBe(first.localPath as string);
  expect((await bring()).error).toBeNull();
  expect(await codeOf(downloads.start({ ...request("Q8_0"), modelId: "mine" }))).toBe("model_id_conflict");
  await downloads.forgetAll({ files: false });
  expect(await codeOf(downloads.start(request("Q8_0")))).toBe("model_id_conflict");
  const again = await bring();
  expect([again.state, again.localPath]).toEqual(["completed", first.localPath]);
  await downloads.forgetAll({ files: true });
  expect(await codeOf(downloads.start(request("Q8_0")))).toBe("fulfilled");
});

test("F153 F194 two files behind one address are two downloads, although their ids are too long to be shown", async () => {
  const content = (target: string) => `${"x".repeat(2000)} ${target}`;
  await using origin = await startOrigin({
    handler: ({ target }) => ({ status: 200, body: content(target) }),
  });
  await using product = await openProduct({ settings: { paused: true } });
  const { downloads } = product;
  const targets = ["x", "y"].map((last) => `/uc?export=download&id=1A2b3C4d5E6f7G8h9I0jKlMnOpQrStUv${last}`);
  const urls = targets.map((target) => new URL(target, origin.url("/")).href);
  const started = [];
  for (const url of urls) started.push(await downloads.start({ url }));
  expect(started.map(({ created }) => created)).toEqual([true, true]);
  // The very same one is still one.
  expect((await downloads.start({ url: urls[0] as string })).created).toBe(false);
  await downloads.changeSettings({ paused: false });
  for (const [i, { download }] of started.entries()) {
    const done = await product.reaches(download.id, "completed", "failed");
    expect(await Bun.file(done.localPath as string).text()).toBe(content(targets[i] as string));
  }
});

test("F224 A3 the hundredth file of one name gets its number as soon as the twentieth, and a free one is found among them", async () => {
  const inserts: number[] = [];
  let tries = 0;
  const hooks = { insert: { before: () => void tries++ } };
  await using product = await openProduct({
    settings: { paused: true },
    database: (db) => interpose(db, hooks),
  });
  const { downloads } = product;
  const add = async (index: number): Promise<string> => {
    tries = 0;
    const { download } = await downloads.start({ url: `http://127.0.0.1:9/model.gguf?${index}` });
    inserts.push(tries);
    return download.modelId;
  };
  for (let i = 1; i <= 100; i++) expect(await add(i)).toBe(i === 1 ? "model.gguf" : `model.gguf-${i}`);
  expect(Math.max(...inserts)).toBeLessThanOrEqual(18);
  // What only looks alike does not count, and a gap is no trouble.
  await downloads.start({ url: "http://127.0.0.1:9/other.gguf", modelId: "model.gguf.old" });
  for (const gone of ["model.gguf-7", "model.gguf-40", "model.gguf-50"]) await downloads.cancel(gone);
  expect([await add(201), await add(202), await add(203)]).toEqual([
    "model.gguf-7",
    "model.gguf-101",
    "model.gguf-102",
  ]);
});
