/** Names on disk: whatever lets go of a file lets go of its name. */
import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { StartRequest } from "../../src/core/ports.ts";
import { safetensorsRepo, startHub } from "../support/hub.ts";
import { openProduct, type Product } from "../support/product.ts";
import { digest, MB, slowOrigin } from "./support.ts";

/** Where the download will be, once bytes of it arrive. */
async function placed(product: Product, request: StartRequest) {
  const { download } = await product.downloads.start(request);
  return product.has(download.id, 1);
}

async function pull(product: Product, request: StartRequest) {
  const { download } = await product.downloads.start(request);
  const done = await product.reaches(download.id, "completed", "failed");
  expect([done.state, done.error]).toEqual(["completed", null]);
  return done;
}

describe("A18 a name is free again at once", () => {
  test("A6 A18 when its download is cancelled, paused before or not", async () => {
    await using origin = await slowOrigin();
    await using product = await openProduct();
    for (const pauses of [false, true, false]) {
      const { id, localPath } = await placed(product, { url: origin.url("/slow.gguf") });
      expect(localPath).toBe(join(product.models, "slow.gguf"));
      if (pauses) await product.downloads.pause(id);
      await product.downloads.cancel(id);
    }
    expect(readdirSync(product.models)).toEqual([]);
  });

  test("A18 another source's file of that name may have it then; a retry of the first takes the next", async () => {
    await using origin = await slowOrigin();
    origin.put({ path: "/else/slow.gguf", seed: 5, size: 8 * MB });
    await using product = await openProduct();
    const first = await placed(product, { url: origin.url("/slow.gguf") });
    await product.downloads.cancel(first.id);
    const other = await placed(product, { url: origin.url("/else/slow.gguf"), modelId: "other" });
    expect(other.localPath).toBe(join(product.models, "slow.gguf"));
    // While the other one does not run the name is its own all the same.
    await product.downloads.pause(other.id);
    await product.downloads.changeSettings({ maxConcurrent: 1, rateLimit: 0 });
    await product.downloads.retry(first.id);
    await product.downloads.resume(other.id);
    origin.limits.ratePerConnection = 1000 * MB;
    origin.limits.rateTotal = 1000 * MB;
    const paths = await Promise.all(
      [first.id, other.id].map(async (id) => (await product.reaches(id, "completed", "failed")).localPath),
    );
    expect(paths).toEqual([join(product.models, "slow-2.gguf"), join(product.models, "slow.gguf")]);
    expect(paths.map((path) => digest(path as string))).toEqual([
      origin.sha256("/slow.gguf"),
      origin.sha256("/else/slow.gguf"),
    ]);
  });

  test("A6 A18 what failed keeps its bytes, not its name: a retry gives way, and leaves nothing behind", async () => {
    await using origin = await slowOrigin();
    origin.put({ path: "/else/slow.gguf", seed: 5, size: 8 * MB });
    const settings = { retry: { baseMs: 1, maxMs: 2, maxAttempts: 1 } };
    await using product = await openProduct({ settings });
    const first = await placed(product, { url: origin.url("/slow.gguf") });
    await product.has(first.id, MB);
    origin.down();
    await product.reaches(first.id, "failed");
    origin.up();
    const other = await placed(product, { url: origin.url("/else/slow.gguf"), modelId: "other" });
    expect(other.localPath).toBe(join(product.models, "slow.gguf"));
    await product.downloads.pause(other.id);
    await product.downloads.changeSettings({ maxConcurrent: 1 });
    await product.downloads.resume(other.id);
    await product.downloads.retry(first.id);
    origin.limits.ratePerConnection = 1000 * MB;
    origin.limits.rateTotal = 1000 * MB;
    await product.reaches(other.id, "completed");
    await product.reaches(first.id, "completed");
    expect(readdirSync(product.models).sort()).toEqual(["slow-2.gguf", "slow.gguf"]);
  });

  test("A6 A18 when it fails for good, and when its record is removed", async () => {
    await using origin = await slowOrigin();
    await using product = await openProduct();
    for (const forgets of [false, true, false]) {
      const { download } = await product.downloads.start({
        url: origin.url("/slow.gguf"),
        sha256: "0".repeat(64),
      });
      origin.limits.ratePerConnection = 1000 * MB;
      origin.limits.rateTotal = 1000 * MB;
      const failed = await product.reaches(download.id, "failed", "completed");
      expect([failed.error?.code, failed.localPath]).toEqual(["checksum", join(product.models, "slow.gguf")]);
      if (forgets) await product.downloads.forget(failed.id, { files: true });
    }
    expect((await pull(product, { url: origin.url("/slow.gguf") })).localPath).toBe(
      join(product.models, "slow.gguf"),
    );
  });

  test("A6 A18 removing an old record does not touch the name of the download that has it now", async () => {
    await using origin = await slowOrigin();
    await using product = await openProduct();
    const first = await placed(product, { url: origin.url("/slow.gguf") });
    await product.downloads.cancel(first.id);
    const second = await placed(product, { url: origin.url("/slow.gguf"), modelId: "second" });
    await product.downloads.forget(first.id, { files: true });
    await product.downloads.pause(second.id);
    origin.put({ path: "/else/slow.gguf", seed: 5, size: 8 * MB });
    const third = await placed(product, { url: origin.url("/else/slow.gguf"), modelId: "third" });
    expect([second.localPath, third.localPath].map((path) => path?.slice(product.models.length + 1))).toEqual(
      ["slow.gguf", "slow-2.gguf"],
    );
  });

  test("A17 A18 of a whole repository, whose finished files are found again", async () => {
    await using hub = await startHub({
      repos: [safetensorsRepo("acme/shards", { shards: 4, sizeOfEach: 2 * MB })],
      cdnLimits: { ratePerConnection: MB, rateTotal: 3 * MB },
    });
    await using product = await openProduct({ hfEndpoint: hub.endpoint });
    for (let i = 0; i < 2; i++) {
      const { id, localPath } = await placed(product, { repoId: "acme/shards" });
      expect(localPath).toBe(join(product.models, "acme/shards"));
      await product.reachesSuch(id, ({ filesDone }) => filesDone > 0);
      await product.downloads.cancel(id);
    }
    hub.cdn.limits.ratePerConnection = 1000 * MB;
    hub.cdn.limits.rateTotal = 1000 * MB;
    expect((await pull(product, { repoId: "acme/shards" })).localPath).toBe(
      join(product.models, "acme/shards"),
    );
  });
});
