import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, rmSync, watch, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileNameOf, pairOfFileName } from "../../src/api/wingman/file-name.ts";
import type { Snapshot } from "../../src/core/feed.ts";
import { filesBelow } from "../e2e/support.ts";
import { ggufRepo, startHub } from "../support/hub.ts";
import { startModelScope } from "../support/modelscope.ts";
import { startOrigin } from "../support/origin.ts";
import { tempDir } from "../support/temp.ts";
import { until } from "../support/until.ts";
import { blocks, seed } from "./seeds.ts";
import { type Body, MB } from "./support.ts";
import { hold, type Kept, keep, query, weights } from "./wingman-world.ts";

/** The machine may be busy. */
setDefaultTimeout(30_000);

const REPO = "acme/Weights";
const paused = { settings: { paused: true } };
const INITIAL = { status: "queued", progress: 0, error: null };

const ask = async (kept: Kept, repo: string, file: string): Promise<Body> =>
  (await kept.call("GET", `/api/download${query(repo, file)}`)).body;
const parsed = async (kept: Kept, repo: string, file: string): Promise<Body> => {
  const text = await kept.text(repo, file);
  return text === undefined ? undefined : JSON.parse(text);
};
/** Resolves when the file of this pair says so. */
const says = (kept: Kept, repo: string, file: string, content: object) =>
  until(
    async () => Bun.deepEquals(await parsed(kept, repo, file), content),
    `${file} to say ${JSON.stringify(content)}`,
  );

describe("R148 one file per download", () => {
  test("R149 R151 R154 it is there when the answer is, with the seed's own content and nothing else", async () => {
    await using kept = await keep(paused);
    const answer = await kept.call("POST", "/api/download", { modelRepo: REPO, filePath: "sub/A.bin" });
    expect(answer.status).toBe(202);
    const text = await kept.text(REPO, "sub/A.bin");
    expect(text).toBe('{"status":"queued","progress":0,"error":null}');
    const example = blocks(seed("003") ?? "", "json")[0];
    expect(JSON.parse(text as string)).toEqual(example === undefined ? INITIAL : JSON.parse(example));
    expect(readdirSync(kept.dir)).toEqual(["acme%2f%57eights=sub%2f%41.bin.json"]);
  });

  test("repository and path are told apart, capitals too", async () => {
    await using kept = await keep(paused);
    const pairs = [
      ["a/b", "c.bin"],
      ["a", "b/c.bin"],
      ["a/B", "c.bin"],
      ["a/b", "C.bin"],
    ] as const;
    for (const [repo, file] of pairs) await ask(kept, repo, file);
    const found = readdirSync(kept.dir).map(pairOfFileName);
    expect(found).toEqual(expect.arrayContaining(pairs.map(([repo, file]) => ({ repo, file }))));
    expect(found.length).toBe(4);
  });

  test("A24 for one file of a hub, whoever started it; for a URL or many files there is none", async () => {
    await using kept = await keep(paused);
    const begin = (body: object) => kept.call("POST", "/v1/downloads", body);
    await begin({ url: "http://127.0.0.1:9/x.bin", model_id: "acme/weights" });
    await begin({ repo_id: "acme/whole" });
    await begin({ repo_id: "acme/some", include: ["*.bin"] });
    await begin({ repo_id: REPO, filename: "x.bin", model_id: "mine" });
    await says(kept, REPO, "x.bin", INITIAL);
    expect(readdirSync(kept.dir).length).toBe(1);
  });

  test("a name longer than a file system takes goes on in folders, and leaves none behind", async () => {
    await using kept = await keep(paused);
    const file = `${"Very-Long-Folder-Name/".repeat(8)}model.bin`;
    const { id } = await ask(kept, REPO, file);
    expect(await parsed(kept, REPO, file)).toEqual(INITIAL);
    expect(filesBelow(kept.dir).map(pairOfFileName)).toEqual([{ repo: REPO, file }]);
    await kept.call("POST", `/v1/downloads/${id}/cancel`);
    await kept.call("DELETE", `/v1/history/${id}`);
    await until(() => readdirSync(kept.dir).length === 0, "the folders to go");
  });
});

describe("R151 it follows the download", () => {
  test("R150 queued, in-progress, done: whole at every moment, only the seed's words, never falling", async () => {
    await using hub = await startHub({
      repos: [weights(REPO, { "a.bin": 8 * MB })],
      cdnLimits: { rateTotal: 8 * MB },
    });
    await using kept = await keep({ hfEndpoint: hub.endpoint });
    const { id } = await ask(kept, REPO, "a.bin");
    const path = join(kept.dir, fileNameOf({ repo: REPO, file: "a.bin" }));
    const seen: Body[] = [];
    let isOver = false;
    const reading = (async () => {
      while (!isOver) {
        seen.push(JSON.parse(readFileSync(path, "utf8")));
        await Bun.sleep(1);
      }
    })();
    await kept.product.reaches(id, "completed");
    await says(kept, REPO, "a.bin", { status: "done", progress: 100, error: null });
    isOver = true;
    await reading;
    for (const one of seen) {
      expect(Object.keys(one)).toEqual(["status", "progress", "error"]);
      expect(["queued", "in-progress", "done"]).toContain(one.status);
    }
    const progress = seen.map((one) => one.progress);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
    expect(new Set(progress).size).toBeGreaterThan(2);
    expect(filesBelow(kept.dir).length).toBe(1);
  });

  test("R156 A4 failed with its error, cancelled with 'Download cancelled', queued again by retry", async () => {
    await using hub = await startHub({ repos: [weights(REPO, { "a.bin": MB })] });
    await using kept = await keep({ hfEndpoint: hub.endpoint });
    const held = hold(hub, REPO, "a.bin", MB / 2);
    const { id } = await ask(kept, REPO, "a.bin");
    await kept.product.has(id, MB / 4);
    await until(async () => (await parsed(kept, REPO, "a.bin")).status === "in-progress", "in-progress");
    await kept.call("POST", `/v1/downloads/${id}/pause`);
    await until(async () => (await parsed(kept, REPO, "a.bin")).status === "queued", "paused as queued");
    expect((await parsed(kept, REPO, "a.bin")).progress).toBeGreaterThanOrEqual(25);
    await kept.call("POST", `/v1/downloads/${id}/cancel`);
    await until(async () => (await parsed(kept, REPO, "a.bin")).error === "Download cancelled", "cancelled");
    expect((await parsed(kept, REPO, "a.bin")).status).toBe("failed");
    held.remove();
    held.release();
    await kept.call("POST", `/api/download${query(REPO, "a.bin")}&retry=true`);
    await says(kept, REPO, "a.bin", { status: "done", progress: 100, error: null });
    await ask(kept, REPO, "none.bin");
    await until(async () => (await parsed(kept, REPO, "none.bin")).status === "failed", "the failure");
    expect((await parsed(kept, REPO, "none.bin")).error).toContain('has no file "none.bin"');
  });

  test("a thousand changes are a few writes, and the last is what stays", async () => {
    await using kept = await keep(paused);
    const { id } = await ask(kept, REPO, "a.bin");
    const download = await kept.product.downloads.get(id);
    const name = fileNameOf({ repo: REPO, file: "a.bin" });
    let writes = 0;
    const watcher = watch(kept.dir, (_, changed) => void (changed === name && writes++));
    const begun = performance.now();
    const told = (bytes: number): Snapshot => ({ ...download, state: "downloading", bytes, total: 1000 });
    for (let bytes = 1; bytes <= 1000; bytes++) {
      kept.product.downloads.feed.progressed(told(bytes));
      if (bytes % 100 === 0) await Bun.sleep(20);
    }
    await says(kept, REPO, "a.bin", { status: "in-progress", progress: 100, error: null });
    watcher.close();
    expect(writes).toBeLessThanOrEqual((performance.now() - begun) / 300 + 2);
  });

  test("a record that is removed takes its file along; an older one of the same file speaks then", async () => {
    await using hub = await startHub({ repos: [weights(REPO, { "a.bin": 5000 })] });
    await using kept = await keep({ hfEndpoint: hub.endpoint });
    const first = await ask(kept, REPO, "a.bin");
    await kept.product.reaches(first.id, "completed");
    const file = join(kept.product.models, REPO, "a.bin");
    const content = readFileSync(file);
    rmSync(file);
    await kept.product.downloads.changeSettings({ paused: true });
    const second = await ask(kept, REPO, "a.bin");
    expect(await parsed(kept, REPO, "a.bin")).toEqual(INITIAL);
    await kept.call("POST", `/v1/downloads/${second.id}/cancel`);
    await says(kept, REPO, "a.bin", { status: "failed", progress: 0, error: "Download cancelled" });
    writeFileSync(file, content);
    await kept.call("DELETE", `/v1/history/${second.id}`);
    await says(kept, REPO, "a.bin", { status: "done", progress: 100, error: null });
    await kept.call("DELETE", `/v1/history/${first.id}`);
    await until(() => readdirSync(kept.dir).length === 0, "the file to go");
  });

  test("what another version of the file does is not told in its name", async () => {
    await using origin = await startOrigin({ resources: [] });
    await using kept = await keep({ ...paused, hfEndpoint: origin.base });
    const begin = (body: object) => kept.call("POST", "/v1/downloads", { filename: "a.bin", ...body });
    const { body: other } = await begin({ repo_id: REPO, revision: "v2", model_id: "v2" });
    await says(kept, REPO, "a.bin", INITIAL);
    await kept.call("POST", `/v1/downloads/${other.id}/cancel`);
    await says(kept, REPO, "a.bin", { status: "failed", progress: 0, error: "Download cancelled" });
    await ask(kept, REPO, "a.bin");
    expect(await parsed(kept, REPO, "a.bin")).toEqual(INITIAL);
    await kept.call("POST", `/v1/downloads/${other.id}/retry`);
    await kept.call("POST", `/v1/downloads/${other.id}/cancel`);
    await kept.progress.settled({ repo: REPO, file: "a.bin" });
    expect(await parsed(kept, REPO, "a.bin")).toEqual(INITIAL);
  });

  test("a disk that does not take it costs one warning and no download; it is written when the disk does", async () => {
    await using kept = await keep(paused);
    const inTheWay = join(kept.dir, fileNameOf({ repo: REPO, file: "a.bin" }), "x");
    mkdirSync(inTheWay, { recursive: true });
    expect((await kept.call("GET", `/api/download${query(REPO, "a.bin")}`)).status).toBe(202);
    expect(kept.logged.length).toBe(1);
    expect(kept.logged[0]).toContain(kept.dir);
    rmSync(dirname(inTheWay), { recursive: true });
    await says(kept, REPO, "a.bin", INITIAL);
    expect(filesBelow(kept.dir).length).toBe(1);
  });
});

describe("the start tells the truth whatever an earlier process left", () => {
  test("R148 R150 lies, leftovers and files of records that are gone; a stranger's file stays", async () => {
    using dir = tempDir("progress");
    await using hub = await startHub({ repos: [weights(REPO, { "done.bin": 5000, "half.bin": MB })] });
    const options = { dir: dir.path, hfEndpoint: hub.endpoint };
    const held = hold(hub, REPO, "half.bin", MB / 2);
    const before = await keep(options);
    const done = await ask(before, REPO, "done.bin");
    const lost = await ask(before, REPO, "lost.bin");
    const half = await ask(before, REPO, "half.bin");
    await before.product.reaches(done.id, "completed");
    await before.product.reaches(lost.id, "failed");
    await before.product.has(half.id, MB / 4);
    await before.close();
    // Given back with what it has, and said so by the last word of the process that ends.
    const last = await parsed(before, REPO, "half.bin");
    expect(last.status).toBe("queued");
    expect(last.progress).toBeGreaterThanOrEqual(25);

    const write = (name: string, text: string) => {
      mkdirSync(dirname(join(before.dir, name)), { recursive: true });
      writeFileSync(join(before.dir, name), text);
    };
    const lie = '{"status":"in-progress","progress":50,"error":null}';
    for (const file of ["done.bin", "lost.bin", "half.bin"]) write(fileNameOf({ repo: REPO, file }), lie);
    write(fileNameOf({ repo: "acme/gone", file: "x.bin" }), lie);
    write(fileNameOf({ repo: "acme/gone", file: "x".repeat(230) }), lie);
    write(".new-0-1", lie.slice(0, 20));
    write("notes.txt", "mine");
    write("Notes=A.json", "mine too");
    rmSync(join(before.dir, fileNameOf({ repo: REPO, file: "done.bin" })));

    await using after = await keep({ ...options, ...paused });
    expect(await parsed(after, REPO, "done.bin")).toEqual({ status: "done", progress: 100, error: null });
    expect((await parsed(after, REPO, "lost.bin")).status).toBe("failed");
    expect(await parsed(after, REPO, "half.bin")).toEqual(last);
    expect(filesBelow(after.dir)).toEqual(
      [
        "Notes=A.json",
        "notes.txt",
        ...["done.bin", "half.bin", "lost.bin"].map((file) => fileNameOf({ repo: REPO, file })),
      ].sort(),
    );
    expect(readdirSync(after.dir).length).toBe(5);
    held.remove();
    held.release();
  });

  test("A24 a URL that goes by the same names speaks for no file", async () => {
    using dir = tempDir("progress");
    const stale = join(dir.path, "data/progress", fileNameOf({ repo: REPO, file: "a.bin" }));
    mkdirSync(dirname(stale), { recursive: true });
    writeFileSync(stale, '{"status":"done","progress":100,"error":null}');
    const before = await keep({ dir: dir.path, ...paused });
    await before.call("POST", "/v1/downloads", { url: "http://127.0.0.1:9/a.bin", model_id: REPO });
    expect((await before.call("GET", "/api/progress")).body[0]).toMatchObject({
      ModelRepo: REPO,
      FilePath: "a.bin",
    });
    await before.close();
    writeFileSync(stale, '{"status":"done","progress":100,"error":null}');
    await using after = await keep({ dir: dir.path, ...paused });
    expect(readdirSync(after.dir)).toEqual([]);
    expect(await ask(after, REPO, "a.bin")).toMatchObject({ status: "queued", ModelRepo: REPO });
    expect(await parsed(after, REPO, "a.bin")).toEqual(INITIAL);
  });

  test("two thousand records are told right before it listens", async () => {
    using dir = tempDir("progress");
    const before = await keep({ dir: dir.path, ...paused });
    const { downloads } = before.product;
    const files = Array.from({ length: 2000 }, (_, i) => `${i}.bin`);
    for (const filename of files) await downloads.start({ repoId: REPO, filename });
    await before.close();
    expect(readdirSync(before.dir).length).toBe(2000);
    for (const file of files.slice(0, 1000)) rmSync(join(before.dir, fileNameOf({ repo: REPO, file })));
    await using after = await keep({ dir: dir.path, ...paused });
    expect(readdirSync(after.dir).length).toBe(2000);
    for (const file of ["0.bin", "999.bin", "1999.bin"])
      expect(await parsed(after, REPO, file)).toEqual(INITIAL);
    expect((await after.call("GET", "/api/progress")).body.length).toBe(2000);
  });
});

describe("a file that is gone is no longer done", () => {
  const FILE = "a.bin";
  const fetched = async (kept: Kept): Promise<Body> => {
    const { body } = await kept.call("POST", "/v1/downloads", { repo_id: REPO, filename: FILE });
    const done = await kept.product.reaches(body.id, "completed");
    await says(kept, REPO, FILE, { status: "done", progress: 100, error: null });
    return done;
  };
  const listed = async (kept: Kept): Promise<string[]> =>
    (await kept.call("GET", "/api/progress")).body.map((it: Body) => it.FilePath);
  const single = (kept: Kept) =>
    kept.call("GET", `/api/progress${query(REPO, FILE)}`, undefined, { Accept: "application/json" });

  test("R153 A22 deleted through another family: file, view and list say so at once; asked for again it comes", async () => {
    await using hub = await startHub({ repos: [weights(REPO, { [FILE]: MB })] });
    await using kept = await keep({ hfEndpoint: hub.endpoint });
    await fetched(kept);
    const { body } = await kept.call("GET", "/v1/files");
    expect((await kept.call("DELETE", `/v1/files/${body.files[0].id}`)).status).toBeLessThan(300);
    await until(async () => (await kept.text(REPO, FILE)) === undefined, "no progress file");
    expect([(await single(kept)).status, await listed(kept)]).toEqual([404, []]);
    expect((await ask(kept, REPO, FILE)).status).toBe("queued");
    await says(kept, REPO, FILE, { status: "done", progress: 100, error: null });
    expect([(await single(kept)).status, await listed(kept)]).toEqual([200, [FILE]]);
  });

  test("R151 A22 removed by hand while we were away: no progress file is there after the start", async () => {
    await using hub = await startHub({ repos: [weights(REPO, { [FILE]: MB })] });
    using dir = tempDir("gone");
    {
      await using kept = await keep({ hfEndpoint: hub.endpoint, dir: dir.path });
      const { localPath } = await fetched(kept);
      rmSync(localPath);
    }
    await using kept = await keep({ hfEndpoint: hub.endpoint, dir: dir.path });
    expect(await kept.text(REPO, FILE)).toBeUndefined();
    expect([(await single(kept)).status, await listed(kept)]).toEqual([404, []]);
  });
});

test("A24 one file of ModelScope has a progress file too", async () => {
  await using site = await startModelScope({ repos: [ggufRepo("acme/tiny-gguf")] });
  await using kept = await keep({ modelscopeEndpoint: site.endpoint });
  const file = "tiny-Q4_K_M.gguf";
  const request = { provider: "modelscope", model: "acme/tiny-gguf", filename: file };
  const { body } = await kept.call("POST", "/v1/downloads", request);
  await kept.product.reaches(body.id, "completed");
  await says(kept, "acme/tiny-gguf", file, { status: "done", progress: 100, error: null });
});
