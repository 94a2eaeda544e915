import { expect, test } from "bun:test";
import { openProduct } from "../support/product.ts";
import { slowOrigin } from "./support.ts";

const URL_A = "http://127.0.0.1:9/a.bin";

test("F152 two clients that change the settings at once lose nothing of each other", async () => {
  await using product = await openProduct();
  const { downloads, dir } = product;
  await Promise.all([
    downloads.changeSettings({ paused: true }),
    downloads.changeSettings({ maxConcurrent: 7 }),
    downloads.changeSettings({ retry: { maxAttempts: 3 } }),
    downloads.changeSettings({ retry: { baseMs: 5 } }),
  ]);
  const wanted = { paused: true, maxConcurrent: 7, retry: { maxAttempts: 3, baseMs: 5 } };
  expect(downloads.settings()).toMatchObject(wanted);
  await product.close();
  await using again = await openProduct({ dir });
  expect(again.downloads.settings()).toMatchObject(wanted);
});

test("F152 two clients that change one download at once lose nothing of each other", async () => {
  await using product = await openProduct({ settings: { paused: true } });
  const { downloads } = product;
  const [{ download }] = await Promise.all([
    downloads.start({ url: URL_A, modelId: "a" }),
    downloads.start({ url: "http://127.0.0.1:9/b.bin", modelId: "b" }),
  ]);
  await Promise.all([
    downloads.change("a", { priority: 5 }),
    downloads.change("a", { rateLimit: 1000 }),
    downloads.change("a", { retry: { maxAttempts: 3 } }),
    downloads.change("a", { retry: { baseMs: 5 } }),
  ]);
  const changed = await downloads.get(download.id);
  expect(changed).toMatchObject({ priority: 5, rateLimit: 1000, retry: { maxAttempts: 3, baseMs: 5 } });
  await Promise.all([
    downloads.change("b", { move: { before: "a" } }),
    downloads.change("b", { rateLimit: 9 }),
  ]);
  expect(await downloads.get("b")).toMatchObject({ priority: 5, rateLimit: 9, place: 1 });
});

test("F226 what was cancelled holds no file name: the next one of that name gets it", async () => {
  await using origin = await slowOrigin();
  await using product = await openProduct();
  const { downloads, models } = product;
  for (const query of ["a", "b", "c"]) {
    const { download } = await downloads.start({ url: `${origin.url("/slow.gguf")}?${query}` });
    await product.has(download.id, 1);
    expect((await downloads.get(download.id)).localPath).toBe(`${models}/slow.gguf`);
    await downloads.cancel(download.id);
  }
});
