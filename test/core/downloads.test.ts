import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { sha256Of } from "../support/bytes.ts";
import { ggufRepo, smallFilesRepo, startHub } from "../support/hub.ts";
import { startOrigin } from "../support/origin.ts";
import { openProduct } from "../support/product.ts";
import { until } from "../support/until.ts";
import { codeOf, digest, MB, slowOrigin } from "./support.ts";

describe("a download", () => {
  test("R139 one hub file is pinned, fetched, verified and named as the hub names it", async () => {
    await using hub = await startHub({
      repos: [ggufRepo("acme/tiny-gguf", { quantizations: { Q4_K_M: 3 * MB } })],
    });
    await using product = await openProduct({ hfEndpoint: hub.endpoint });
    const { download, created } = await product.downloads.start({
      repoId: "acme/tiny-gguf",
      filename: "tiny-Q4_K_M.gguf",
    });
    expect(created).toBe(true);
    const done = await product.reaches(download.id, "completed", "failed");
    expect(done.error).toBeNull();
    expect(done.state).toBe("completed");
    expect(done.localPath).toBe(`${product.models}/acme/tiny-gguf/tiny-Q4_K_M.gguf`);
    const file = hub.repo("acme/tiny-gguf").file("tiny-Q4_K_M.gguf");
    expect(digest(done.localPath as string)).toBe(file.sha256);
    expect(done.bytes).toBe(file.size);
    expect((await product.downloads.files(download.id))[0]?.verified).toBe(true);
  });

  test("R29 R38 local_path is there in the first answer, and the plan corrects it", async () => {
    await using hub = await startHub({
      repos: [ggufRepo("acme/tiny-gguf", { quantizations: { Q4_K_M: MB, Q8_0: MB } })],
    });
    await using origin = await startOrigin({
      resources: [
        { path: "/a/m.gguf", seed: 1, size: 1000 },
        { path: "/b/m.gguf", seed: 2, size: 1000 },
      ],
    });
    await using product = await openProduct({ hfEndpoint: hub.endpoint });
    const begin = async (request: Parameters<typeof product.downloads.start>[0]) => {
      const { download } = await product.downloads.start(request);
      const done = await product.reaches(download.id, "completed", "failed");
      return [download.localPath, done.localPath];
    };
    const hubFile = `${product.models}/acme/tiny-gguf/tiny-Q4_K_M.gguf`;
    expect(await begin({ repoId: "acme/tiny-gguf", filename: "tiny-Q4_K_M.gguf" })).toEqual([
      hubFile,
      hubFile,
    ]);
    const folder = `${product.models}/acme/tiny-gguf`;
    expect(await begin({ repoId: "acme/tiny-gguf" })).toEqual([folder, folder]);
    const [first, second] = [`${product.models}/m.gguf`, `${product.models}/m-2.gguf`];
    expect(await begin({ url: origin.url("/a/m.gguf") })).toEqual([first, first]);
    expect(await begin({ url: origin.url("/b/m.gguf") })).toEqual([first, second]);
    const [unknown, snapshot] = await begin({ repoId: "acme/tiny-gguf", layout: "hf-cache" });
    expect(unknown).toBeNull();
    expect(snapshot).toContain("/models--acme--tiny-gguf/snapshots/");
  });

  test("A17 a repository is one download whose percentage never falls", async () => {
    await using hub = await startHub({ repos: [smallFilesRepo("acme/many", 120)] });
    await using product = await openProduct({ hfEndpoint: hub.endpoint });
    const { download } = await product.downloads.start({ repoId: "acme/many" });
    let last = -1;
    product.downloads.feed.subscribe((event) => {
      if (event.type !== "download" || event.download.id !== download.id) return;
      expect(event.download.bytes).toBeGreaterThanOrEqual(last);
      last = event.download.bytes;
    });
    const done = await product.reaches(download.id, "completed", "failed");
    expect(done.error).toBeNull();
    const files = await product.downloads.files(download.id);
    expect(files.every((f) => f.state === "done" && f.verified)).toBe(true);
    expect(files.length).toBe(done.filesTotal);
    expect(done.total).toBe(files.reduce((sum, f) => sum + (f.size ?? 0), 0));
  });

  test("A17 a file tells what has arrived of it while it is fetched, not only afterwards", async () => {
    await using origin = await startOrigin({ resources: [{ path: "/m.gguf", seed: 1, size: 2 * MB }] });
    const stalled = origin.on({}, { kind: "stall", at: MB, ofConnection: true });
    await using product = await openProduct();
    const { download } = await product.downloads.start({ url: origin.url("/m.gguf") });
    const file = async () => (await product.downloads.files(download.id))[0];
    const moving = await until(async () => {
      const now = await file();
      return now && now.bytes > 0 ? now : undefined;
    }, "bytes of the file");
    expect([moving.state, moving.size]).toEqual(["pending", 2 * MB]);
    stalled.release();
    await product.reaches(download.id, "completed", "failed");
    expect(await file()).toMatchObject({ state: "done", bytes: 2 * MB });
  });

  test("F153 a hundred equal requests are one transfer", async () => {
    await using origin = await startOrigin({ resources: [{ path: "/m.gguf", seed: 1, size: 2 * MB }] });
    await using product = await openProduct();
    const url = origin.url("/m.gguf");
    const answers = await Promise.all(Array.from({ length: 100 }, () => product.downloads.start({ url })));
    const ids = new Set(answers.map((a) => a.download.id));
    expect(ids.size).toBe(1);
    expect(answers.filter((a) => a.created).length).toBe(1);
    const [id] = ids;
    await product.reaches(id as string, "completed");
    expect(origin.sent("/m.gguf")).toBeLessThan(2.1 * MB);
  });

  test("A3 a model id in use for another target is a conflict; one not given gets a number", async () => {
    await using origin = await slowOrigin();
    await using product = await openProduct();
    await product.downloads.start({ url: origin.url("/slow.gguf"), modelId: "mine" });
    expect(await codeOf(product.downloads.start({ url: origin.url("/other.gguf"), modelId: "mine" }))).toBe(
      "model_id_conflict",
    );
    const a = await product.downloads.start({ url: origin.url("/other.gguf") });
    const b = await product.downloads.start({ url: `${origin.url("/other.gguf")}?v=2` });
    expect([a.download.modelId, b.download.modelId]).toEqual(["other.gguf", "other.gguf-2"]);
    expect(await codeOf(product.downloads.start({ url: origin.url("/slow.gguf"), modelId: "events" }))).toBe(
      "invalid_request",
    );
  });

  test("A18 another source's file is never overwritten", async () => {
    await using origin = await startOrigin({
      resources: [
        { path: "/a/m.gguf", seed: 1, size: 1000 },
        { path: "/b/m.gguf", seed: 2, size: 1000 },
      ],
    });
    await using product = await openProduct();
    const first = await product.downloads.start({ url: origin.url("/a/m.gguf") });
    const a = await product.reaches(first.download.id, "completed");
    const second = await product.downloads.start({ url: origin.url("/b/m.gguf") });
    const b = await product.reaches(second.download.id, "completed");
    expect([a.localPath, b.localPath]).toEqual([`${product.models}/m.gguf`, `${product.models}/m-2.gguf`]);
    expect(digest(a.localPath as string)).toBe(origin.sha256("/a/m.gguf"));
    expect(digest(b.localPath as string)).toBe(origin.sha256("/b/m.gguf"));
  });

  test("F91 a file that is already there is done without a download, whoever put it there", async () => {
    await using hub = await startHub({
      repos: [ggufRepo("acme/tiny-gguf", { quantizations: { Q4_K_M: 3 * MB } })],
    });
    await using product = await openProduct({ hfEndpoint: hub.endpoint });
    const request = { repoId: "acme/tiny-gguf", filename: "tiny-Q4_K_M.gguf" };
    const first = await product.downloads.start(request);
    const done = await product.reaches(first.download.id, "completed");
    await product.downloads.forget(first.download.id, { files: false });
    const sent = hub.cdn.stats.bytesSent;
    const again = await product.downloads.start(request);
    const adopted = await product.reaches(again.download.id, "completed");
    expect(adopted.localPath).toBe(done.localPath);
    expect(hub.cdn.stats.bytesSent).toBe(sent);
  });

  test("F91 asked again for a finished file, the answer is the same file under the same name", async () => {
    await using hub = await startHub({
      repos: [ggufRepo("acme/tiny-gguf", { quantizations: { Q4_K_M: 2 * MB, Q8_0: MB } })],
    });
    await using origin = await startOrigin({ resources: [{ path: "/m.bin", seed: 1, size: MB }] });
    await using product = await openProduct({ hfEndpoint: hub.endpoint });
    const finish = async (request: Parameters<typeof product.downloads.start>[0]) =>
      product.reaches((await product.downloads.start(request)).download.id, "completed", "failed");
    for (const request of [
      { repoId: "acme/tiny-gguf", filename: "tiny-Q4_K_M.gguf" },
      { url: origin.url("/m.bin") },
    ]) {
      const first = await finish(request);
      const [fromHub, fromOrigin] = [hub.cdn.stats.bytesSent, origin.sent("/m.bin")];
      const second = await finish(request);
      expect([second.state, second.localPath]).toEqual(["completed", first.localPath]);
      expect(hub.cdn.stats.bytesSent).toBe(fromHub);
      expect(origin.sent("/m.bin") - fromOrigin).toBeLessThanOrEqual(1);
    }
    const whole = await finish({ repoId: "acme/tiny-gguf" });
    expect(whole.localPath).toBe(`${product.models}/acme/tiny-gguf`);
    origin.put({ path: "/m.bin", seed: 2, size: MB, etag: '"new"' });
    const changed = await finish({ url: origin.url("/m.bin") });
    expect(changed.localPath).toBe(`${product.models}/m-2.bin`);
  });

  test("F91 F29 without an ETag the date of the file tells that it is still the same", async () => {
    const lastModified = "Mon, 02 Jun 2025 10:00:00 GMT";
    const resource = { path: "/m.bin", seed: 1, size: MB, etag: null, lastModified };
    await using origin = await startOrigin({ resources: [resource] });
    await using product = await openProduct();
    const finish = async () => {
      const { download } = await product.downloads.start({ url: origin.url("/m.bin") });
      return product.reaches(download.id, "completed", "failed");
    };
    const first = await finish();
    const sent = origin.sent("/m.bin");
    expect((await finish()).localPath).toBe(first.localPath as string);
    expect(origin.sent("/m.bin") - sent).toBeLessThanOrEqual(1);
    origin.put({ ...resource, seed: 2, lastModified: "Tue, 03 Jun 2025 10:00:00 GMT" });
    const changed = await finish();
    expect(changed.localPath).toBe(`${product.models}/m-2.bin`);
    expect(digest(changed.localPath as string)).toBe(sha256Of(2, MB));
    // One that was written a moment before it was asked for may be written again within that second.
    origin.put({ ...resource, seed: 3, lastModified: new Date().toUTCString() });
    expect((await finish()).localPath).toBe(`${product.models}/m-3.bin`);
    expect((await finish()).localPath).toBe(`${product.models}/m-4.bin`);
  });

  test("F43 one missing file of many does not stop the others, and the end is not 'completed'", async () => {
    await using hub = await startHub({ repos: [smallFilesRepo("acme/many", 20)] });
    await using product = await openProduct({ hfEndpoint: hub.endpoint });
    const path = hub.repo("acme/many").spec.files[7]?.path as string;
    hub.origin.on({ path: `/acme/many/resolve/*/${path}` }, { kind: "respond", status: 404 });
    const { download } = await product.downloads.start({ repoId: "acme/many" });
    const ended = await product.reaches(download.id, "completed", "failed");
    expect(ended.state).toBe("failed");
    expect(ended.error?.message).toContain(path);
    const files = await product.downloads.files(download.id);
    expect(files.filter((f) => f.state === "done").length).toBe(files.length - 1);
    expect(existsSync(`${product.models}/acme/many/${path}`)).toBe(false);
  });

  test("F44 F47 trouble that passes is tried again by itself, and says until when it waits", async () => {
    await using origin = await startOrigin({ resources: [{ path: "/m.gguf", seed: 1, size: MB }] });
    origin.on({ times: 2 }, { kind: "respond", status: 503 });
    await using product = await openProduct({ settings: { retry: { baseMs: 50, maxMs: 100 } } });
    const waits: unknown[] = [];
    product.downloads.feed.subscribe((e) => {
      if (e.type === "download" && e.download.state === "queued" && e.download.notBefore)
        waits.push(e.download.waiting);
    });
    const { download } = await product.downloads.start({ url: origin.url("/m.gguf") });
    const done = await product.reaches(download.id, "completed", "failed");
    expect(done.error).toBeNull();
    expect(digest(done.localPath as string)).toBe(sha256Of(1, MB));
    expect(waits.every((w) => typeof w === "object" && w !== null && "until" in w)).toBe(true);
  });

  test("R130 exhausted retries fail with the last reason and keep what arrived; retry goes on from there", async () => {
    await using origin = await startOrigin({ resources: [{ path: "/m.gguf", seed: 1, size: 4 * MB }] });
    const broken = origin.on({}, { kind: "reset", at: MB });
    await using product = await openProduct({ settings: { retry: { baseMs: 1, maxMs: 2, maxAttempts: 1 } } });
    const stop = origin.on({ nth: { from: 3 } }, { kind: "respond", status: 500 });
    const { download } = await product.downloads.start({ url: origin.url("/m.gguf") });
    const failed = await product.reaches(download.id, "failed");
    expect(failed.bytes).toBeGreaterThan(0);
    broken.remove();
    stop.remove();
    const before = origin.sent("/m.gguf");
    await product.downloads.retry(download.id);
    const done = await product.reaches(download.id, "completed", "failed");
    expect(done.error).toBeNull();
    expect(origin.sent("/m.gguf") - before).toBeLessThanOrEqual(4 * MB - failed.bytes + 300_000);
    expect(digest(done.localPath as string)).toBe(sha256Of(1, 4 * MB));
  });
});

describe("commands", () => {
  test("R74 R75 R85 pause keeps the bytes, resume goes on, and both have happened when they are answered (A21)", async () => {
    await using origin = await slowOrigin();
    await using product = await openProduct();
    const { download } = await product.downloads.start({ url: origin.url("/slow.gguf") });
    await product.has(download.id, MB);
    const paused = await product.downloads.pause(download.id);
    expect(paused.download.state).toBe("paused");
    expect(paused.previous).toBe("downloading");
    expect(paused.download.waiting).toEqual({ reason: "user" });
    const at = (await product.downloads.get(download.id)).bytes;
    expect(at).toBeGreaterThanOrEqual(MB);
    expect((await product.downloads.pause(download.id)).download.state).toBe("paused");
    const resumed = await product.downloads.resume(download.id);
    expect(["queued", "downloading"]).toContain(resumed.download.state);
    const done = await product.reaches(download.id, "completed", "failed");
    expect(digest(done.localPath as string)).toBe(sha256Of(3, 8 * MB));
    expect(origin.sent("/slow.gguf")).toBeLessThan(8 * MB + 600_000);
    expect(await codeOf(product.downloads.pause(download.id))).toBe("invalid_state");
    expect(await codeOf(product.downloads.cancel(download.id))).toBe("invalid_state");
  });

  test("A6 cancel deletes the partial data and is final", async () => {
    await using origin = await slowOrigin();
    await using product = await openProduct();
    const { download } = await product.downloads.start({ url: origin.url("/slow.gguf") });
    await product.has(download.id, MB);
    const { download: cancelled, previous } = await product.downloads.cancel(download.id);
    expect([cancelled.state, previous]).toEqual(["cancelled", "downloading"]);
    expect(readdirSync(product.models)).toEqual([]);
    const { download: queued } = await product.downloads.start({ url: origin.url("/slow.gguf") });
    expect(queued.id).not.toBe(download.id);
  });

  for (const pauses of [false, true])
    test(`A4 A6 progress does not fall with a cancel (paused before: ${pauses}), only with the retry that begins anew`, async () => {
      await using origin = await slowOrigin();
      await using product = await openProduct();
      const { download } = await product.downloads.start({ url: origin.url("/slow.gguf") });
      const seen: [string, number][] = [];
      product.downloads.feed.subscribe((event) => {
        if (event.type === "download") seen.push([event.download.state, event.download.bytes]);
      });
      await product.has(download.id, MB);
      if (pauses) await product.downloads.pause(download.id);
      const { download: cancelled } = await product.downloads.cancel(download.id);
      expect([cancelled.state, cancelled.bytes >= MB]).toEqual(["cancelled", true]);
      const bytes = seen.map(([, bytes]) => bytes);
      expect(bytes).toEqual(bytes.toSorted((a, b) => a - b));
      expect((await product.downloads.files(download.id)).map((file) => file.bytes)).toEqual([0]);
      expect((await product.downloads.retry(download.id)).download.bytes).toBe(0);
      expect(seen.find(([state], i) => state === "queued" && seen[i - 1]?.[0] === "cancelled")).toEqual([
        "queued",
        0,
      ]);
    });

  for (const isFinal of [false, true])
    test(`A4 A6 progress does not fall with a failure that deletes what is there (for good: ${isFinal})`, async () => {
      await using origin = await slowOrigin();
      const settings = { retry: { baseMs: 1, maxMs: 2, maxAttempts: 1 } };
      await using product = await openProduct({ ...(!isFinal && { keepPartialsMs: 0 }), settings });
      const seen: number[] = [];
      product.downloads.feed.subscribe((event) => {
        if (event.type === "download") seen.push(event.download.bytes);
      });
      origin.on({ nth: 2 }, { kind: "cut", at: 2 * MB });
      origin.on({ nth: { from: 3 } }, { kind: "respond", status: isFinal ? 404 : 500 });
      const { download } = await product.downloads.start({ url: origin.url("/slow.gguf") });
      const failed = await product.reaches(download.id, "failed");
      expect(failed.error?.code).toBe(isFinal ? "gone" : "server_error");
      await until(async () => readdirSync(product.models).length === 0, "the partial data to be gone");
      // What might be told behind it.
      await Bun.sleep(100);
      expect(failed.bytes).toBeGreaterThan(0);
      expect((await product.downloads.get(download.id)).bytes).toBe(failed.bytes);
      expect(seen).toEqual(seen.toSorted((a, b) => a - b));
      expect((await product.downloads.retry(download.id)).download.bytes).toBe(0);
    });

  test("R76 cancel-all takes running, waiting and paused ones", async () => {
    await using origin = await slowOrigin();
    await using product = await openProduct({ settings: { maxConcurrent: 1 } });
    const urls = ["/slow.gguf", "/other.gguf", "/slow.gguf?2", "/slow.gguf?3"].map(
      (p) => origin.url("/") + p.slice(1),
    );
    const ids: string[] = [];
    for (const url of urls) ids.push((await product.downloads.start({ url })).download.id);
    await product.has(ids[0] as string, 1);
    await product.downloads.pause(ids[3] as string);
    const { done, failed } = await product.downloads.cancelAll();
    expect([done.length, failed.length]).toEqual([4, 0]);
    expect(new Set(done.map((d) => d.previous))).toEqual(new Set(["downloading", "queued", "paused"]));
    expect((await product.downloads.counts()).cancelled).toBe(4);
    expect(readdirSync(product.models)).toEqual([]);
  });

  test("R129 R135 max_concurrent holds, priority and explicit order decide who is next", async () => {
    await using origin = await slowOrigin();
    await using product = await openProduct({ settings: { maxConcurrent: 1 } });
    const add = async (n: number, priority = 0) =>
      (await product.downloads.start({ url: `${origin.url("/slow.gguf")}?${n}`, modelId: `m${n}`, priority }))
        .download.id;
    const first = await add(1);
    await product.has(first, 1);
    const [a, b, c] = [await add(2), await add(3), await add(4)];
    expect((await product.downloads.get(a)).place).toBe(1);
    await product.downloads.change(c, { move: { before: a } });
    await product.downloads.change(b, { priority: 5 });
    const places = await Promise.all([a, b, c].map(async (id) => (await product.downloads.get(id)).place));
    expect(places).toEqual([3, 1, 2]);
    expect((await product.downloads.get(a)).waiting).toEqual({ reason: "queue" });
    await product.downloads.cancel(first);
    await product.reaches(b, "downloading");
    expect((await product.downloads.get(c)).state).toBe("queued");
  });
});
