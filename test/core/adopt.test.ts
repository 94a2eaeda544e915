import { describe, expect, test } from "bun:test";
import { copyFileSync, readFileSync, realpathSync, unlinkSync, writeFileSync } from "node:fs";
import { generated, sha256Of } from "../support/bytes.ts";
import { ggufRepo, startHub } from "../support/hub.ts";
import { startOrigin } from "../support/origin.ts";
import { openProduct } from "../support/product.ts";
import { digest, MB } from "./support.ts";

const hub = () => startHub({ repos: [ggufRepo("acme/tiny-gguf", { quantizations: { Q4_K_M: MB } })] });
const REQUEST = { repoId: "acme/tiny-gguf", filename: "tiny-Q4_K_M.gguf" };

function damage(path: string): void {
  const bytes = readFileSync(path);
  bytes[1000] = (bytes[1000] as number) ^ 1;
  writeFileSync(path, bytes);
}

describe("what another tool left in the hub's cache", () => {
  test("F93 a blob of the right name and size is hashed before it counts as verified; a sound one is kept", async () => {
    await using origin = await hub();
    await using product = await openProduct({ hfEndpoint: origin.endpoint, layout: "hf-cache" });
    const bring = async () => {
      const { download } = await product.downloads.start(REQUEST);
      const done = await product.reaches(download.id, "completed", "failed");
      expect(done.error).toBeNull();
      const [file] = await product.downloads.files(done.id);
      expect(file).toMatchObject({ verified: true, computed: file?.digest as object });
      return done.localPath as string;
    };
    const path = await bring();
    const [sound, sent] = [digest(path), origin.cdn.stats.bytesSent];
    expect(await bring()).toBe(path);
    expect(origin.cdn.stats.bytesSent).toBe(sent);
    const blob = realpathSync(path);
    damage(blob);
    expect(await bring()).toBe(path);
    expect(origin.cdn.stats.bytesSent).toBeGreaterThan(sent);
    expect([realpathSync(path), digest(path)]).toEqual([blob, sound]);
    // A blob that has no name in the snapshot yet is looked at as well.
    damage(blob);
    unlinkSync(path);
    expect(await bring()).toBe(path);
    expect([realpathSync(path), digest(path)]).toEqual([blob, sound]);
  });

  test("F91 F93 a damaged file that is no link is neither trusted nor overwritten", async () => {
    await using origin = await hub();
    await using product = await openProduct({ hfEndpoint: origin.endpoint, layout: "hf-cache" });
    const first = await product.downloads.start(REQUEST);
    const path = (await product.reaches(first.download.id, "completed")).localPath as string;
    const aside = `${product.dir}/aside`;
    copyFileSync(path, aside);
    damage(aside);
    unlinkSync(path);
    copyFileSync(aside, path);
    const { download } = await product.downloads.start(REQUEST);
    const failed = await product.reaches(download.id, "completed", "failed");
    expect(failed.error?.code).toBe("name_collision");
    expect(readFileSync(path)).toEqual(readFileSync(aside));
  });
});

test("F91 what the last of many downloads of one address brought is found, not only what the first ones did", async () => {
  const resource = { path: "/m.bin", seed: 1, size: 50_000 };
  await using origin = await startOrigin({ resources: [resource] });
  await using product = await openProduct();
  const bring = async () => {
    const { download } = await product.downloads.start({ url: origin.url("/m.bin") });
    const done = await product.reaches(download.id, "completed", "failed");
    expect(done.error).toBeNull();
    return done.localPath as string;
  };
  for (let i = 0; i < 21; i++) await bring();
  origin.put({ ...resource, seed: 2 });
  const path = await bring();
  expect(digest(path)).toBe(sha256Of(2, resource.size));
  const sent = origin.sent("/m.bin");
  expect(await bring()).toBe(path);
  // The look at what the server has may take a byte.
  expect(origin.sent("/m.bin") - sent).toBeLessThanOrEqual(1);
});

test("I1 F91 what a download has found in the hub's cache is not taken away from under it with the version before", async () => {
  await using origin = await startHub({
    repos: [
      {
        id: "acme/model",
        files: [
          { path: "big.safetensors", content: generated(1, MB) },
          { path: "small.safetensors", content: generated(2, MB) },
        ],
      },
    ],
  });
  await using product = await openProduct({ hfEndpoint: origin.endpoint, layout: "hf-cache" });
  const { downloads } = product;
  const first = await downloads.start({ repoId: "acme/model" });
  await product.reaches(first.download.id, "completed");
  origin.repo("acme/model").commit([{ path: "small.safetensors", content: generated(3, MB) }]);
  const held = origin.cdn.on({}, { kind: "stall", at: 100_000 });
  const second = await downloads.start({ repoId: "acme/model" });
  await product.reachesSuch(
    second.download.id,
    ({ filesDone, connections }) => filesDone === 1 && connections > 0,
  );
  await downloads.forget(first.download.id, { files: true });
  held.release();
  const done = await product.reaches(second.download.id, "completed", "failed");
  expect([done.error, done.state]).toEqual([null, "completed"]);
  expect(await downloads.disk.holds(done)).toBe(true);
  expect(digest(`${done.localPath}/big.safetensors`)).toBe(sha256Of(1, MB));
});

test("I1 a file that somebody takes away while the others are fetched is fetched again before anything is complete", async () => {
  await using origin = await startHub({
    repos: [
      {
        id: "acme/model",
        files: [
          { path: "one.safetensors", content: generated(1, MB) },
          { path: "two.safetensors", content: generated(2, MB) },
        ],
      },
    ],
  });
  const settings = { retry: { baseMs: 1, maxMs: 2 } };
  await using product = await openProduct({ hfEndpoint: origin.endpoint, settings });
  const held = origin.cdn.on(
    { path: origin.cdnPath("acme/model", "two.safetensors") },
    { kind: "stall", at: 100_000 },
  );
  const { download } = await product.downloads.start({ repoId: "acme/model" });
  const { localPath } = await product.reachesSuch(download.id, ({ filesDone }) => filesDone === 1);
  unlinkSync(`${localPath}/one.safetensors`);
  held.release();
  held.remove();
  const done = await product.reaches(download.id, "completed", "failed");
  expect([done.error, done.state, done.filesDone]).toEqual([null, "completed", 2]);
  expect(await product.downloads.disk.holds(done)).toBe(true);
  expect(digest(`${localPath}/one.safetensors`)).toBe(sha256Of(1, MB));
});
