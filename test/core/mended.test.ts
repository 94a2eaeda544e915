/** What a second look at the core found: each of these once ended wrong. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync, truncateSync, unlinkSync, utimesSync, writeFileSync } from "node:fs";
import { systemClock } from "../../src/core/clock.ts";
import { Journal } from "../../src/core/journal.ts";
import type { PartFile } from "../../src/core/ports.ts";
import { openDatabase } from "../../src/db/index.ts";
import { draft } from "../db/rows.ts";
import { sha256Of } from "../support/bytes.ts";
import { type Hook, interpose } from "../support/database.ts";
import { ggufRepo, startHub } from "../support/hub.ts";
import { startOrigin } from "../support/origin.ts";
import { openProduct } from "../support/product.ts";
import { tempDir } from "../support/temp.ts";
import { codeOf, digest, MB, slowOrigin } from "./support.ts";

for (const [what, damage, told] of [
  ["deleted", (path: string) => unlinkSync(path), "its partial file was gone"],
  ["cut", (path: string) => truncateSync(path, MB), `its partial file ended after ${MB} bytes`],
] as const)
  test(`F87 F88 a partial file ${what} while paused is told while it is fetched again, and forgotten for good, also when the next run is interrupted`, async () => {
    await using origin = await slowOrigin();
    await using product = await openProduct();
    const { download } = await product.downloads.start({ url: origin.url("/slow.gguf") });
    await product.has(download.id, 4 * MB);
    await product.downloads.pause(download.id);
    const part = readdirSync(product.models).find((name) => name.endsWith(".part")) as string;
    damage(`${product.models}/${part}`);
    await product.downloads.resume(download.id);
    const again = await product.reachesSuch(download.id, ({ warnings }) => `${warnings}`.includes(told));
    expect(again.state).toBe("downloading");
    expect(again.bytes).toBeLessThan(4 * MB);
    const sent = origin.sent("/slow.gguf");
    await origin.waitFor(() => origin.sent("/slow.gguf") > sent + MB / 2, "the next run's bytes");
    await product.downloads.pause(download.id);
    expect((await product.downloads.get(download.id)).bytes).toBeLessThan(4 * MB);
    origin.limits.ratePerConnection = 1000 * MB;
    origin.limits.rateTotal = 1000 * MB;
    await product.downloads.resume(download.id);
    const done = await product.reaches(download.id, "completed", "failed");
    expect(digest(done.localPath as string)).toBe(sha256Of(3, 8 * MB));
  });

test.each([
  ["with a promised digest is verified, and mended from the source", true],
  ["without one is fetched from the beginning, and says so", false],
])("F89 F90 a partial file that somebody wrote to while paused %s", async (_, hasDigest) => {
  await using origin = await slowOrigin();
  await using product = await openProduct();
  const sha256 = sha256Of(3, 8 * MB);
  const { download } = await product.downloads.start({
    url: origin.url("/slow.gguf"),
    ...(hasDigest && { sha256 }),
  });
  await product.has(download.id, 4 * MB);
  await product.downloads.pause(download.id);
  const part = `${product.models}/${readdirSync(product.models).find((name) => name.endsWith(".part"))}`;
  const bytes = readFileSync(part);
  bytes[MB] = (bytes[MB] as number) ^ 1;
  writeFileSync(part, bytes);
  const later = new Date(Date.now() + 60_000);
  utimesSync(part, later, later);
  origin.limits.ratePerConnection = 1000 * MB;
  origin.limits.rateTotal = 1000 * MB;
  await product.downloads.resume(download.id);
  const done = await product.reaches(download.id, "completed", "failed");
  expect([done.state, digest(done.localPath as string)]).toEqual(["completed", sha256]);
  expect(done.warnings.join().includes("was changed by somebody else")).toBe(!hasDigest);
});

test("F89 a partial file that nobody touched goes on where it was, after a restart too", async () => {
  await using origin = await slowOrigin();
  using dir = tempDir("untouched");
  const path = { url: origin.url("/slow.gguf"), modelId: "kept" };
  {
    await using product = await openProduct({ dir: dir.path });
    await product.has((await product.downloads.start(path)).download.id, 3 * MB);
    await product.downloads.pause("kept");
    await product.downloads.resume("kept");
    await product.has("kept", 4 * MB);
  }
  origin.limits.ratePerConnection = 1000 * MB;
  origin.limits.rateTotal = 1000 * MB;
  await using product = await openProduct({ dir: dir.path });
  const done = await product.reaches("kept", "completed", "failed");
  expect(digest(done.localPath as string)).toBe(sha256Of(3, 8 * MB));
  expect(done.warnings.join()).not.toContain("changed");
  expect(origin.sent("/slow.gguf")).toBeLessThan(10 * MB);
});

test("F24 F99 a sync that was under way when the bytes became void does not vouch for them", async () => {
  using dir = tempDir("journal");
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const db = await openDatabase({ dataDir: dir.path, clock: systemClock, log });
  const row = await db.insert(draft());
  if ("conflict" in row) throw new Error("conflict");
  const pending = {
    downloadId: row.id,
    path: "f",
    size: 100,
    digest: null,
    computed: null,
    verified: false,
    checked: null,
  } as const;
  const rest = {
    locator: "",
    state: "pending",
    target: null,
    validator: null,
    partial: null,
    bytes: 0,
    error: null,
    completedAt: null,
  } as const;
  const [file] = await db.putFiles(row.id, [{ ...pending, ...rest }]);
  const id = file?.id as number;
  const disk = Promise.withResolvers<void>();
  const part = { path: "f", initialLength: 0, sync: () => disk.promise } as unknown as PartFile;
  const journal = new Journal(db, systemClock, log);
  const watch = journal.open(id, part, [], 200_000_000);
  watch.written(0, 100);
  const settled = journal.settle(watch);
  await systemClock.sleep(1);
  await journal.reset(watch);
  disk.resolve();
  await settled;
  expect(await db.receipts(id)).toEqual([]);
  await db.close();
});

test("F47 bytes fetched again are not new ones: a stream that always breaks at the same place is given up", async () => {
  await using origin = await startOrigin({
    resources: [{ path: "/m.bin", seed: 1, size: MB, ranges: false }],
  });
  origin.on({ ranged: false }, { kind: "cut", at: MB / 2 });
  origin.on({ ranged: true }, { kind: "cut", at: MB / 2 });
  await using product = await openProduct({ settings: { retry: { baseMs: 1, maxMs: 2, maxAttempts: 2 } } });
  const { download } = await product.downloads.start({ url: origin.url("/m.bin") });
  const failed = await product.reaches(download.id, "failed", "completed");
  expect(failed.state).toBe("failed");
  expect(origin.log.length).toBeLessThan(60);
});

test("F152 the last word counts: resume while a pause is still happening", async () => {
  await using origin = await slowOrigin();
  await using product = await openProduct();
  const { download } = await product.downloads.start({ url: origin.url("/slow.gguf") });
  await product.has(download.id, MB);
  const pausing = product.downloads.pause(download.id).catch((error) => error);
  while ((await product.db.get(download.id))?.intent !== "pause") await Promise.resolve();
  const resumed = await product.downloads.resume(download.id);
  expect(["queued", "downloading"]).toContain(resumed.download.state);
  expect(await pausing).toMatchObject({ code: "invalid_state" });
  origin.limits.ratePerConnection = 1000 * MB;
  origin.limits.rateTotal = 1000 * MB;
  const done = await product.reaches(download.id, "completed", "failed");
  expect(digest(done.localPath as string)).toBe(sha256Of(3, 8 * MB));
});

test("A6 a cancelled download that needed a token can be retried", async () => {
  await using hub = await startHub({
    repos: [{ ...ggufRepo("acme/closed", { quantizations: { Q4_K_M: 2 * MB } }), private: true }],
    cdnLimits: { ratePerConnection: MB, rateTotal: MB },
  });
  const token = hub.addUser("ada", { access: { "acme/closed": "granted" } });
  await using product = await openProduct({ hfEndpoint: hub.endpoint });
  const request = { repoId: "acme/closed", filename: "closed-Q4_K_M.gguf", token };
  const { download } = await product.downloads.start(request);
  await product.has(download.id, 1);
  await product.downloads.cancel(download.id);
  await product.downloads.retry(download.id);
  const done = await product.reaches(download.id, "completed", "failed");
  expect(done.error).toBeNull();
});

test("retry does not wait for the time that a failure had set, and wakes a paused one", async () => {
  await using origin = await startOrigin({ resources: [{ path: "/m.gguf", seed: 1, size: MB }] });
  origin.on({ times: 2 }, { kind: "respond", status: 503, headers: { "Retry-After": "600" } });
  await using product = await openProduct();
  const { download } = await product.downloads.start({ url: origin.url("/m.gguf") });
  const waiting = await product.reaches(download.id, "queued").then(() => product.downloads.get(download.id));
  if (waiting.state === "queued" && waiting.notBefore === null)
    await product.reaches(download.id, "downloading");
  origin.clear();
  await product.downloads.pause(download.id).catch(() => undefined);
  await product.downloads.retry(download.id);
  const done = await product.reaches(download.id, "completed", "failed");
  expect(done.error).toBeNull();
});

test("I7 a request that is refused leaves no token behind", async () => {
  await using origin = await slowOrigin();
  await using product = await openProduct();
  const token = "token-of-a-refused-request";
  await product.downloads.start({ url: origin.url("/slow.gguf"), modelId: "mine" });
  const refused = product.downloads.start({ url: origin.url("/other.gguf"), modelId: "mine", token });
  expect(await codeOf(refused)).toBe("model_id_conflict");
  const left = readdirSync(`${product.dir}/data`).map((name) => readFileSync(`${product.dir}/data/${name}`));
  expect(left.some((bytes) => bytes.includes(token))).toBe(false);
});

test("A6 partial data that is swept just when its download is tried again is not taken from under it", async () => {
  await using origin = await slowOrigin();
  const hooks: { list?: Hook } = {};
  const settings = { retry: { baseMs: 1, maxMs: 2, maxAttempts: 1 } };
  await using product = await openProduct({
    database: (db) => interpose(db, hooks),
    keepPartialsMs: 0,
    settings,
  });
  const { download } = await product.downloads.start({ url: origin.url("/slow.gguf") });
  await product.has(download.id, MB);
  const retried = Promise.withResolvers<void>();
  hooks.list = {
    async after([filter]) {
      const { states } = filter as { states?: string[] };
      if (states?.join() !== "failed") return;
      if ((await product.db.get(download.id))?.state !== "failed") return;
      delete hooks.list;
      origin.up();
      await product.downloads.retry(download.id);
      await product.has(download.id, 3 * MB);
      retried.resolve();
    },
  };
  origin.down();
  await retried.promise;
  origin.limits.ratePerConnection = 1000 * MB;
  origin.limits.rateTotal = 1000 * MB;
  const done = await product.reaches(download.id, "completed", "failed");
  expect([done.state, done.error]).toEqual(["completed", null]);
  expect(digest(done.localPath as string)).toBe(sha256Of(3, 8 * MB));
});
