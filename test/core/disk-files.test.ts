import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { startOrigin } from "../support/origin.ts";
import { openProduct, type Product } from "../support/product.ts";
import { MB } from "./support.ts";

const idOf = async ({ downloads }: Product, id: string) => (await downloads.files(id))[0]?.id as number;

/** Two finished records of one file on disk: the second was adopted, not fetched. */
async function twice(product: Product, url: string) {
  const start = async () => {
    const { download } = await product.downloads.start({ url });
    return product.reaches(download.id, "completed", "failed");
  };
  const [first, second] = [await start(), await start()];
  expect(second.localPath).toBe(first.localPath);
  return { first, second, path: first.localPath as string };
}

describe("a file that two downloads share", () => {
  test("F91 removing it for one takes only that record; for the last one it goes from disk", async () => {
    await using origin = await startOrigin({ resources: [{ path: "/m.gguf", seed: 5, size: MB }] });
    await using product = await openProduct();
    const { first, second, path } = await twice(product, origin.url("/m.gguf"));
    const [a, b] = [await idOf(product, first.id), await idOf(product, second.id)];
    await product.downloads.disk.remove(a);
    expect(existsSync(path)).toBe(true);
    expect((await product.downloads.disk.list({ limit: 9 })).items).toMatchObject([
      { file: { id: b }, exists: true },
    ]);
    await product.downloads.disk.remove(b);
    expect(existsSync(path)).toBe(false);
  });

  test("F91 a forgotten record takes its file along only when no other has it", async () => {
    await using origin = await startOrigin({ resources: [{ path: "/m.gguf", seed: 5, size: MB }] });
    await using product = await openProduct();
    const { first, second, path } = await twice(product, origin.url("/m.gguf"));
    await product.downloads.forget(first.id, { files: true });
    expect(existsSync(path)).toBe(true);
    await product.downloads.forget(second.id, { files: true });
    expect(existsSync(path)).toBe(false);
  });
});
