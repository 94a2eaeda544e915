import { afterEach, expect, test } from "bun:test";
import { codeOf } from "../core/support.ts";
import { startOllamaDaemon } from "../support/ollama-daemon.ts";
import { openProduct } from "../support/product.ts";
import { tempDir } from "../support/temp.ts";
import { until } from "../support/until.ts";
import { becomes, endAll, open, served } from "./llama-world.ts";
import { engineSpec, writeModel } from "./support.ts";

afterEach(endAll);

test("A16 what was being loaded when we exit is loaded by the next process, and its kind is known then", async () => {
  await using world = await open();
  world.program.order({ neverReady: true });
  const path = writeModel(world.dir.at("bert.gguf"), { pairs: { "general.architecture": "bert" } });
  const adding = codeOf(world.product.downloads.engines.add(engineSpec("e"), path, null));
  await until(() => world.program.alive().length === 1, "the process to run");
  await world.product.close();
  expect([await adding, world.program.alive()]).toEqual(["engine_failed", []]);
  world.program.order({});
  const product = await world.reopen();
  await product.begin();
  const { modelType, details } = await becomes(product, "e", "loaded");
  expect([modelType, details?.architecture]).toEqual(["embedding", "bert"]);
});

test("A16 so is what was being imported into Ollama", async () => {
  using dir = tempDir("loading");
  await using ollama = await startOllamaDaemon({ stepMs: 1000 });
  const openIt = () =>
    openProduct({
      dir: dir.path,
      ollamaUrl: ollama.url,
      engines: { standard: "ollama", ollamaUrl: ollama.url },
    });
  const product = await openIt();
  const model = writeModel(dir.at("m.gguf"));
  const adding = codeOf(product.downloads.engines.add(engineSpec("e"), model, null));
  await until(() => ollama.uploads.size > 0, "the upload");
  expect((await product.downloads.engines.get("e"))?.state).toBe("loading");
  await product.close();
  expect(await adding).toBe("engine_failed");
  await using next = await openIt();
  await next.begin();
  await becomes(next, "e", "loaded");
});

test("R87 an engine that its download is creating is not ended by stop or remove: they find none", async () => {
  await using world = await open();
  await using origin = await served();
  world.program.order({ neverReady: true });
  const { downloads } = world.product;
  const { download } = await downloads.start({ url: origin.url("/tiny.gguf"), engine: engineSpec("tiny") });
  await until(() => world.program.alive().length === 1, "the process to run");
  expect(await downloads.engines.remove("tiny")).toBe(false);
  expect(await codeOf(downloads.engines.stop("tiny"))).toBe("download_not_found");
  expect([world.program.alive().length, (await downloads.get(download.id)).state]).toEqual([
    1,
    "creating_engine",
  ]);
  await downloads.cancel(download.id);
  expect(world.program.alive()).toEqual([]);
});
