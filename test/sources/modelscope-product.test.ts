import { afterEach, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { StartRequest } from "../../src/core/ports.ts";
import { generated, readAll } from "../support/bytes.ts";
import { awkwardRepo, ggufRepo, type Hub, type RepoSpec, startHub } from "../support/hub.ts";
import { type ModelScope, type ModelScopeOptions, startModelScope } from "../support/modelscope.ts";
import { openProduct, type Product } from "../support/product.ts";

const MiB = 1 << 20;
const REPO = "acme/tiny-gguf";
const FILE = "tiny-Q4_K_M.gguf";
const tiny = (size = 40_000): RepoSpec => ggufRepo(REPO, { quantizations: { Q4_K_M: size } });
const ask = (more: StartRequest = {}): StartRequest => ({ provider: "modelscope", model: REPO, ...more });

let site: ModelScope;
let hub: Hub | undefined;
afterEach(async () => {
  await site?.stop();
  await hub?.stop();
  hub = undefined;
});

async function withSite(options: ModelScopeOptions): Promise<string> {
  site = await startModelScope(options);
  return site.endpoint;
}

async function end(product: Product, request: StartRequest) {
  const { download } = await product.downloads.start(request);
  return product.reaches(download.id, "completed", "failed");
}

const same = (path: string, repo: string, file: string): boolean =>
  Buffer.compare(readFileSync(path), readAll(site.repo(repo).file(file).content)) === 0;

test("a whole repository, verified file by file, in plain folders whatever layout is usual", async () => {
  const modelscopeEndpoint = await withSite({ repos: [awkwardRepo("acme/Awkward.names")] });
  await using product = await openProduct({ modelscopeEndpoint, layout: "hf-cache" });
  const done = await end(product, ask({ model: "acme/awkward.names" }));
  expect([done.state, done.layout, done.repo]).toEqual(["completed", "flat", "acme/Awkward.names"]);
  expect(done.localPath).toBe(join(product.models, "acme/Awkward.names"));
  const files = await product.downloads.files(done.id);
  expect(files.map(({ verified }) => verified)).toEqual(files.map(() => true));
  for (const { path } of files)
    expect([
      path,
      same(join(product.models, "acme/Awkward.names", path), "acme/Awkward.names", path),
    ]).toEqual([path, true]);
  expect(existsSync(join(product.dir, "hub", "models--acme--Awkward.names"))).toBe(false);
});

test("F40 a link that expires while bytes flow is asked for anew, nothing is fetched twice", async () => {
  const size = 40 * MiB;
  const modelscopeEndpoint = await withSite({ repos: [tiny(size)] });
  site.cdn.limits.rateTotal = 24 * MiB;
  // So that requests are needed after the links have expired, however many connections there are by then.
  site.cdn.on({ nth: { to: 16 } }, { kind: "cut", at: MiB });
  await using product = await openProduct({ modelscopeEndpoint });
  const { download } = await product.downloads.start(ask({ filename: FILE }));
  await product.has(download.id, 2 * MiB);
  site.expireLinks();
  const done = await product.reaches(download.id, "completed", "failed");
  expect([done.state, done.error]).toEqual(["completed", null]);
  expect(same(done.localPath!, REPO, FILE)).toBe(true);
  expect(site.cdn.log.filter(({ status }) => status === 403).length).toBeGreaterThan(0);
  expect(site.cdn.sent()).toBeLessThan(size + 4 * MiB);
});

test("a git file larger than one question comes in parts although they are called 200, and goes on after a pause", async () => {
  const path = "tokenizer.json";
  const size = 6 * MiB;
  const modelscopeEndpoint = await withSite({
    repos: [{ id: REPO, files: [{ path, content: generated(7, size), lfs: false }] }],
  });
  site.origin.limits.rateTotal = 3 * MiB;
  await using product = await openProduct({ modelscopeEndpoint });
  const { download } = await product.downloads.start(ask({ filename: path }));
  await product.has(download.id, MiB);
  await product.downloads.pause(download.id);
  const paused = await product.downloads.get(download.id);
  expect(paused.bytes).toBeGreaterThanOrEqual(MiB);
  site.origin.limits.rateTotal = 100 * MiB;
  await product.downloads.resume(download.id);
  const done = await product.reaches(download.id, "completed", "failed");
  expect(done.state).toBe("completed");
  expect(same(done.localPath!, REPO, path)).toBe(true);
  const ranged = site.origin.requests("*/repo").filter(({ range }) => range !== undefined);
  expect(ranged.length).toBeGreaterThan(1);
  expect(ranged.every(({ status }) => status === 200)).toBe(true);
  expect(site.origin.sent("*/repo")).toBeLessThan(size + 2 * MiB);
});

test("F136 an error page in place of the file is never the file", async () => {
  const modelscopeEndpoint = await withSite({ repos: [tiny()], missingFile: 200 });
  await using product = await openProduct({
    modelscopeEndpoint,
    settings: { retry: { maxAttempts: 2, baseMs: 10, maxMs: 20 } },
  });
  // Listed, but its content is not there: the site then says so with 200 (protocols/others.md §1).
  const body = JSON.stringify({ Code: 10990101007, Data: null, Message: "empty", Success: false });
  site.origin.on(
    { path: "*/repo" },
    { kind: "respond", status: 200, headers: { "Content-Type": "application/json" }, body },
  );
  const failed = await end(product, ask({ filename: "config.json" }));
  expect([failed.state, failed.localPath !== null && existsSync(failed.localPath)]).toEqual([
    "failed",
    false,
  ]);
  expect(failed.error?.code).toBe("unexpected_content");
  expect(failed.error?.message).toContain("config.json");
});

test("F10 content that is not what the list promised fails the checksum and leaves nothing", async () => {
  const modelscopeEndpoint = await withSite({ repos: [tiny()] });
  await using product = await openProduct({ modelscopeEndpoint });
  site.cdn.on({}, { kind: "corrupt", at: 30_000 });
  const failed = await end(product, ask({ filename: FILE }));
  expect([failed.state, failed.error?.code]).toEqual(["failed", "checksum"]);
  const left = existsSync(product.models) ? readdirSync(product.models, { recursive: true }) : [];
  expect(left.filter((name) => String(name).includes("tiny-Q4"))).toEqual([]);
});

test("the same name on both hubs: two models, one place each, and the same bytes only once", async () => {
  const modelscopeEndpoint = await withSite({ repos: [tiny()] });
  const files = [{ path: FILE, content: generated(123, 50_000) }];
  hub = await startHub({ repos: [{ id: REPO, files }] });
  await using product = await openProduct({ modelscopeEndpoint, hfEndpoint: hub.endpoint });
  const theirs = await end(product, { repoId: REPO, filename: FILE });
  const ours = await end(product, ask({ filename: FILE }));
  expect([theirs.state, ours.state]).toEqual(["completed", "completed"]);
  expect(ours.localPath).not.toBe(theirs.localPath);
  expect(same(ours.localPath!, REPO, FILE)).toBe(true);
  const sent = site.cdn.sent();
  expect((await end(product, { url: `${site.endpoint}/models/${REPO}/resolve/master/${FILE}` })).state).toBe(
    "completed",
  );
  expect(site.cdn.sent()).toBe(sent);
});

test("F35 F194 a private model with the operator's token, which reaches neither CDN nor row", async () => {
  const modelscopeEndpoint = await withSite({ repos: [{ ...tiny(), private: true }] });
  const modelscopeToken = site.addUser("ada", { access: { [REPO]: "granted" } });
  await using product = await openProduct({ modelscopeEndpoint, modelscopeToken });
  const done = await end(product, ask());
  expect(done.state).toBe("completed");
  expect(JSON.stringify(site.cdn.log)).not.toContain(modelscopeToken);
  expect(site.cdn.log.length).toBeGreaterThan(0);
  expect(JSON.stringify([done, await product.downloads.files(done.id)])).not.toContain(modelscopeToken);
});
