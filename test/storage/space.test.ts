import { expect, test } from "bun:test";
import { statfsSync } from "node:fs";
import { targetIn } from "../../src/core/target-path.ts";
import { failure, input, Place, store } from "./support.ts";

test("F78 reservations of all downloads count together, and end", async () => {
  using place = new Place();
  const storage = place.storage();
  const path = targetIn(place.models, "acme/m.gguf");
  const { bavail, bsize } = statfsSync(place.dir);
  const most = bavail * bsize;
  const first = await storage.reserve(path, Math.floor(most * 0.6));
  const error = await failure(storage.reserve(path, Math.floor(most * 0.6)));
  expect(error).toMatchObject({ code: "no_space", verdict: "wait" });
  expect(error.message).toMatch(
    /\d+(\.\d)? \w+B? are needed and \d+(\.\d)? \w+ are free, with .* kept for other downloads/,
  );
  expect((await storage.usage()).reservedBytes).toBe(Math.floor(most * 0.6));
  first.shrink(Math.floor(most * 0.3));
  await (await storage.reserve(path, Math.floor(most * 0.5))).release();
  first.release();
  first.release();
  first.shrink(1_000);
  expect((await storage.usage()).reservedBytes).toBe(0);
});

test("two that ask at the same moment do not both get the last room", async () => {
  using place = new Place();
  const storage = place.storage();
  const { bavail, bsize } = statfsSync(place.dir);
  const big = Math.floor(bavail * bsize * 0.6);
  const asked = await Promise.allSettled(
    [1, 2, 3].map(() => storage.reserve(targetIn(place.models, "m"), big)),
  );
  expect(asked.filter((it) => it.status === "fulfilled")).toHaveLength(1);
});

test("what is always kept free is not given away", async () => {
  using place = new Place();
  const path = targetIn(place.models, "m");
  const free = await place.storage().free(path);
  const kept = place.storage({ minFreeBytes: Number.MAX_SAFE_INTEGER });
  expect(free).toBeGreaterThan(0);
  expect(await kept.free(path)).toBe(0);
  expect((await failure(kept.reserve(path, 1))).code).toBe("no_space");
  await (await kept.reserve(path, 0)).release();
});

test("usage tells what is not finished apart from the models", async () => {
  using place = new Place();
  const storage = place.storage();
  await store(storage, [{ path: "m.gguf", content: "x".repeat(1_000) }]);
  const { targets } = await storage.plan(input([{ path: "half.gguf" }]));
  const part = await storage.open([...targets.values()][0]!);
  await part.write(0, [Buffer.alloc(300)]);
  await part.close();
  expect(await storage.usage()).toMatchObject({ modelsBytes: 1_000, partialBytes: 300 });
});

test("usage counts model files once, however many names they have", async () => {
  using place = new Place();
  const storage = place.storage();
  await store(storage, [{ path: "m.gguf", content: "x".repeat(1_000) }]);
  await store(storage, [{ path: "m.gguf", content: "x".repeat(500) }], { layout: "hf-cache", id: "d2" });
  const tag = 196;
  const { modelsBytes, freeBytes } = await storage.usage();
  expect(modelsBytes).toBeGreaterThanOrEqual(1_500);
  expect(modelsBytes).toBeLessThan(1_500 + 2 * tag);
  expect(freeBytes).toBeGreaterThan(0);
  expect((await failure(storage.plan(input([{ path: ".." }])))).code).toBe("invalid_path");
});
