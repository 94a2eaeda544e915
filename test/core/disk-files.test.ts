import { describe, expect, test } from "bun:test";
import { appendFileSync, existsSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { type Origin, startOrigin } from "../support/origin.ts";
import { openProduct, type Product } from "../support/product.ts";
import { digest, MB } from "./support.ts";

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

/** One file on disk whose digest was promised. */
async function promised(product: Product, origin: Origin) {
  const url = origin.url("/m.gguf");
  const { download } = await product.downloads.start({ url, sha256: origin.sha256("/m.gguf") });
  const { localPath } = await product.reaches(download.id, "completed", "failed");
  return { id: await idOf(product, download.id), path: localPath as string };
}

const model = () => startOrigin({ resources: [{ path: "/m.gguf", seed: 5, size: MB }] });
const only = async ({ downloads }: Product) => (await downloads.disk.list({ limit: 9 })).items[0];
const spoil = (path: string): void => writeFileSync(path, Buffer.alloc(MB, 1));
/** As if it had been written to an hour later. */
const touch = (path: string): void => {
  const later = new Date(statSync(path).mtimeMs + 3_600_000);
  utimesSync(path, later, later);
};

describe("F93 what a verification has found is kept", () => {
  test("F93 a damaged file is told as damaged, with the time, also after a restart", async () => {
    await using origin = await model();
    await using product = await openProduct();
    const { id, path } = await promised(product, origin);
    expect(await only(product)).toMatchObject({ trust: "verified", downloadState: "completed" });
    spoil(path);
    const before = Date.now();
    expect((await product.downloads.disk.verify(id)).matches).toBe(false);
    expect(await only(product)).toMatchObject({ trust: "damaged", exists: true });
    await product.close();
    await using again = await openProduct({ dir: product.dir });
    const found = await only(again);
    expect(found).toMatchObject({
      trust: "damaged",
      file: { id, verified: false, checked: { matches: false } },
    });
    expect(found?.file.checked?.at).toBeWithin(before, Date.now() + 1);
  });

  test("F93 written to since, nobody knows; read again and right, it is verified", async () => {
    await using origin = await model();
    await using product = await openProduct();
    const { id, path } = await promised(product, origin);
    spoil(path);
    await product.downloads.disk.verify(id);
    const good = new Uint8Array(await (await fetch(origin.url("/m.gguf"))).arrayBuffer());
    writeFileSync(path, good);
    touch(path);
    expect(await only(product)).toMatchObject({ trust: "changed" });
    expect((await product.downloads.disk.verify(id)).matches).toBe(true);
    expect(await only(product)).toMatchObject({ trust: "verified", file: { checked: { matches: true } } });
  });

  test("F93 a verified file that was written to later, or grew, or is gone, is no longer told as verified", async () => {
    await using origin = await model();
    await using product = await openProduct();
    const { path, id } = await promised(product, origin);
    touch(path);
    expect(await only(product)).toMatchObject({ trust: "changed", exists: true });
    await product.downloads.disk.verify(id);
    expect(await only(product)).toMatchObject({ trust: "verified" });
    appendFileSync(path, "more");
    expect(await only(product)).toMatchObject({ trust: "changed", exists: false });
    await product.downloads.disk.verify(id);
    expect(await only(product)).toMatchObject({ trust: "damaged", exists: false });
    rmSync(path);
    expect(await only(product)).toMatchObject({ trust: "missing", exists: false });
  });

  test("F93 F91 every record of a file that two downloads share tells what reading it for one has found", async () => {
    await using origin = await model();
    await using product = await openProduct();
    const { id, path } = await promised(product, origin);
    await promised(product, origin);
    const trusts = async () => (await product.downloads.disk.list({ limit: 9 })).items.map((it) => it.trust);
    expect(await trusts()).toEqual(["verified", "verified"]);
    spoil(path);
    await product.downloads.disk.verify(id);
    expect(await trusts()).toEqual(["damaged", "damaged"]);
  });

  test("F93 deleted and downloaded again it is verified", async () => {
    await using origin = await model();
    await using product = await openProduct();
    const { id, path } = await promised(product, origin);
    spoil(path);
    await product.downloads.disk.verify(id);
    await product.downloads.disk.remove(id);
    expect((await promised(product, origin)).path).toBe(path);
    expect((await product.downloads.disk.list({ limit: 9 })).items).toMatchObject([{ trust: "verified" }]);
  });

  test("F93 a download that is tried again does not go on with a damaged file", async () => {
    await using origin = await model();
    await using product = await openProduct();
    const engine = {
      engineId: "e",
      modelType: "llm",
      inferenceEngine: "register",
      loadImmediately: true,
      mainGpuId: 0,
      parameters: {},
    } as const;
    const request = { url: origin.url("/m.gguf"), sha256: origin.sha256("/m.gguf"), engine };
    const { download } = await product.downloads.start(request);
    // Its bytes are no model, so there is no engine of it; the file stays.
    await product.reaches(download.id, "failed");
    const [file] = await product.downloads.files(download.id);
    spoil(file?.target as string);
    await product.downloads.disk.verify(file?.id as number);
    await product.downloads.retry(download.id);
    await product.reaches(download.id, "failed");
    const [after] = await product.downloads.files(download.id);
    expect(after).toMatchObject({ state: "done", verified: true, checked: null });
    expect(digest(after?.target as string)).toBe(origin.sha256("/m.gguf"));
  });

  test("F93 a damaged file without a promised digest is not taken for the same by a new download", async () => {
    await using origin = await model();
    await using product = await openProduct();
    const start = async () => {
      const { download } = await product.downloads.start({ url: origin.url("/m.gguf") });
      return product.reaches(download.id, "completed", "failed");
    };
    const first = await start();
    const id = await idOf(product, first.id);
    await product.downloads.disk.verify(id);
    spoil(first.localPath as string);
    await product.downloads.disk.verify(id);
    const second = await start();
    const { items } = await product.downloads.disk.list({ limit: 9 });
    expect(items).toMatchObject([{ trust: "damaged" }, { trust: "unverified" }]);
    expect(digest(second.localPath as string)).toBe(origin.sha256("/m.gguf"));
  });
});
