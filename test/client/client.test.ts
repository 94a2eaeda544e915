import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import {
  ConnectionError,
  DownloadFailedError,
  Modelhaul,
  ModelhaulError,
  WaitTimeoutError,
} from "../../src/client/index.ts";
import { Contract } from "../api/contract.ts";
import { KEY, MB, type Served, serve } from "../api/support.ts";
import { ggufRepo, type Hub, startHub } from "../support/hub.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { clientOf, collect, rejection } from "./world.ts";

/** The machine may be busy. */
setDefaultTimeout(30_000);

let hub: Hub;
let origin: Origin;
let served: Served;
beforeAll(async () => {
  hub = await startHub({ repos: [ggufRepo("acme/tiny-gguf", { quantizations: { Q4_K_M: MB } })] });
  origin = await startOrigin({ resources: [{ path: "/m.bin", seed: 1, size: 5000 }] });
  served = await serve({ apiKey: KEY, product: { hfEndpoint: hub.endpoint } });
});
afterAll(async () => {
  await served[Symbol.asyncDispose]();
  await Promise.all([origin[Symbol.asyncDispose](), hub.stop()]);
});

const FILE = { repo_id: "acme/tiny-gguf", filename: "tiny-Q4_K_M.gguf" };

test("R102 R185 every route of the native API has its method, and each answers as documented", async () => {
  const { client, asked } = clientOf(served, { apiKey: KEY });
  const { downloads, history, hub: hubs, files, engines, models, settings, session, service } = client;

  const started = await downloads.start(FILE);
  expect(started).toMatchObject({ model_id: "acme/tiny-gguf/tiny-Q4_K_M.gguf", provider: "huggingface" });
  const done = await client.wait(started.id, { timeoutMs: 20_000 });
  expect([done.state, done.progress.percentage]).toEqual(["completed", 100]);
  expect((await downloads.get(started.model_id)).files?.map(({ path }) => path)).toEqual([FILE.filename]);
  expect((await downloads.progress(started.id)).id).toBe(started.id);

  await settings.change({ paused: true });
  expect((await settings.get()).paused).toBe(true);
  const queued = await downloads.start({ url: origin.url("/m.bin"), model_id: "a b/ü%2F" });
  expect((await downloads.change(queued.model_id, { priority: 5 })).priority).toBe(5);
  expect((await downloads.pause(queued.model_id)).status).toBe("paused");
  expect((await downloads.resume(queued.model_id)).state).toBe("queued");
  expect((await downloads.pauseAll()).summary.successful_pauses).toBe(1);
  expect((await downloads.resumeAll()).summary.successful_resumes).toBe(1);
  expect((await downloads.cancel(queued.model_id)).previous_status).toBe("downloading");
  expect((await downloads.retry(queued.model_id)).state).toBe("queued");
  expect((await downloads.cancelAll()).cancelled_count).toBe(1);
  expect((await downloads.list()).total_active).toBe(0);
  expect((await collect(downloads.all({ limit: 1 }))).map(({ id }) => id).sort()).toEqual(
    [started.id, queued.id].sort(),
  );
  expect((await downloads.list({ state: ["cancelled"], q: "ü" })).active_downloads.length).toBe(1);
  await settings.change({ paused: false });

  expect((await hubs.sources()).sources.map(({ name }) => name)).toContain("huggingface");
  expect(
    (await hubs.files("huggingface", "acme/tiny-gguf", { revision: "main" })).files.length,
  ).toBeGreaterThan(0);
  expect(
    (await hubs.read(["hf:acme/tiny-gguf", "?"])).readings.map(({ error }) => error === undefined),
  ).toEqual([true, false]);
  const { files: onDisk } = await files.list({ limit: 10 });
  const model = onDisk.find(({ path }) => path === FILE.filename)!;
  expect((await files.verify(model.id)).success).toBe(true);
  const told: [number, number][] = [];
  const onProgress = (...progress: [number, number]) => void told.push(progress);
  expect((await files.verify(model.id, { onProgress })).matches).toBe(true);
  expect(told.at(-1)).toEqual([model.size, model.size]);
  await expect(files.verify(999_999, { onProgress })).rejects.toMatchObject({
    status: 404,
    code: "file_not_found",
  });

  writeFileSync(`${served.product.models}/by-hand.bin`, "some weights");
  const created = await engines.add({ engine_id: "e1", model_path: "by-hand.bin", load_immediately: true });
  expect(created).toMatchObject({ engine_id: "e1", message: "Engine added successfully" });
  expect((await engines.list()).engines.map(({ engine_id }) => engine_id)).toEqual(["e1"]);
  expect((await engines.get("e1")).engine_id).toBe("e1");
  expect((await engines.status("e1")).engine_id).toBe("e1");
  expect((await engines.stop("e1")).status).toBe("unloaded");
  expect((await engines.start("e1")).status).toBe("loaded");
  expect((await engines.log("e1")).engine_id).toBe("e1");
  expect((await models.get("e1")).model_id).toBe("e1");
  expect((await models.status("e1")).status).toBe("loaded");
  expect((await engines.remove("e1")).status).toBe("removed");
  expect(await models.add({ model_id: "m1", model_path: "by-hand.bin", model_type: "llm" })).toMatchObject({
    model_id: "m1",
  });
  expect((await models.list()).summary.total_models).toBe(1);
  expect((await models.remove("m1")).status).toBe("removed");

  expect((await session.open(KEY)).success).toBe(true);
  expect((await session.close()).success).toBe(true);
  expect((await session.ticket()).expires_in).toBe(30);
  expect((await service.health()).status).toBe("ok");
  expect((await service.storage()).free_bytes).toBeGreaterThan(0);
  expect(await service.metrics()).toContain("modelhaul_downloads");
  expect((await service.openapi()).openapi).toBe("3.0.3");
  expect((await service.asyncapi()).asyncapi).toBe("3.0.0");
  expect((await files.remove(model.id)).success).toBe(true);
  expect((await history.remove(queued.id)).removed_count).toBe(1);
  expect((await history.clear({ files: true })).removed_count).toBe(1);

  const contract = await Contract.of(served);
  const called = new Set(asked.map(({ method, path }) => `${method} ${contract.find(method, path)?.path}`));
  /** The first spelling of what is called by its other one, streams, and what is no JSON API. */
  const beside =
    /^(DELETE \/v1\/downloads(\/\{id\})?|GET .*(events|ws))$|^GET \/(swagger.*|llms.*)$| \/(downloads|download-progress|engines|models|local|api)\b/;
  const missing = contract.operations
    .map(({ method, path }) => `${method.toUpperCase()} ${path}`)
    .filter((route) => !called.has(route) && !beside.test(route));
  expect(missing).toEqual([]);
});

describe("errors", () => {
  test("R91 R92 R93 R94 what the server refuses is a ModelhaulError with its words", async () => {
    const { client } = clientOf(served, { apiKey: KEY });
    const unknown = await rejection<ModelhaulError>(client.downloads.get("nobody/here"));
    expect(unknown).toBeInstanceOf(ModelhaulError);
    expect(unknown).toMatchObject({
      status: 404,
      type: "not_found_error",
      code: "download_not_found",
      param: "model_id",
      message: "No download found for model ID: nobody/here",
    });
    expect(await rejection(client.downloads.start({ url: "nonsense" }))).toMatchObject({ status: 400 });
    expect(await rejection(client.downloads.start({} as never))).toMatchObject({ code: "invalid_request" });
    const { client: keyless } = clientOf(served);
    expect(await rejection(keyless.downloads.list())).toMatchObject({ status: 401, code: "unauthorized" });
    expect(await keyless.service.health()).toMatchObject({ status: "ok" });
  });

  test("nobody there, a stranger, a slow server and a signal", async () => {
    const nobody = new Modelhaul({ baseUrl: "http://user:secret@127.0.0.1:9/" });
    const refused = await rejection(nobody.downloads.list());
    expect(refused).toBeInstanceOf(ConnectionError);
    expect(refused.message).toContain("127.0.0.1:9");
    expect(refused.message).not.toContain("secret");
    using stranger = Bun.serve({ port: 0, fetch: () => new Response("<p>hello") });
    expect(await rejection(new Modelhaul({ baseUrl: stranger.url.href }).downloads.list())).toBeInstanceOf(
      ConnectionError,
    );
    const half = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    using breaking = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: (socket) => void socket.end(half) },
    });
    const cut = new Modelhaul({ baseUrl: `http://127.0.0.1:${breaking.port}` }).downloads.list();
    expect(await rejection(cut)).toBeInstanceOf(ConnectionError);
    using slow = Bun.serve({ port: 0, fetch: () => new Promise<Response>(() => {}) });
    const late = await rejection<ConnectionError>(
      new Modelhaul({ baseUrl: slow.url.href, timeoutMs: 50 }).downloads.list(),
    );
    expect([late.timedOut, late.message.includes("50 ms")]).toEqual([true, true]);
    const silent = await rejection<ConnectionError>(
      new Modelhaul({ baseUrl: slow.url.href }).downloads.list({}, { beginMs: 50 }),
    );
    expect([silent.timedOut, silent.message.includes("50 ms")]).toEqual([true, true]);
    const abort = new AbortController();
    const waiting = new Modelhaul({ baseUrl: slow.url.href }).downloads.list({}, { signal: abort.signal });
    abort.abort(new Error("enough"));
    expect((await rejection(waiting)).message).toBe("enough");
  });
});

test("an answer that has begun in time may be long", async () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const drops = () =>
    new ReadableStream({
      async start(body) {
        body.enqueue(bytes('{"active_downloads":'));
        await Bun.sleep(300);
        body.enqueue(bytes("[]}"));
        body.close();
      },
    });
  using slow = Bun.serve({ port: 0, fetch: () => new Response(drops()) });
  const list = new Modelhaul({ baseUrl: slow.url.href }).downloads.list({}, { beginMs: 150 });
  expect((await list).active_downloads).toEqual([]);
});

describe("R108 R110 wait", () => {
  test("resolves for one first seen finished, rejects for one that fails, is cancelled, unknown or late", async () => {
    const { client } = clientOf(served, { apiKey: KEY });
    const url = origin.url("/m.bin");
    const done = await client.download({ url, model_id: "soon" }, { timeoutMs: 20_000 });
    expect((await client.wait("soon")).id).toBe(done.id);
    const failed = await rejection<DownloadFailedError>(
      client.download({ url: origin.url("/absent.bin"), model_id: "absent" }),
    );
    expect(failed).toBeInstanceOf(DownloadFailedError);
    expect([failed.download.state, failed.message.startsWith("Download of absent failed: ")]).toEqual([
      "failed",
      true,
    ]);
    await client.settings.change({ paused: true });
    await client.downloads.start({ url: `${url}?other`, model_id: "stuck" });
    expect(await rejection(client.wait("stuck", { timeoutMs: 50 }))).toBeInstanceOf(WaitTimeoutError);
    const abort = new AbortController();
    const aborted = client.wait("stuck", { signal: abort.signal });
    abort.abort(new Error("enough"));
    expect((await rejection(aborted)).message).toBe("enough");
    const seen: string[] = [];
    const { promise: isSeen, resolve } = Promise.withResolvers<void>();
    const cancelled = rejection<DownloadFailedError>(
      client.wait("stuck", {
        onProgress: ({ state }) => {
          seen.push(state);
          resolve();
        },
      }),
    );
    await isSeen;
    await client.downloads.cancel("stuck");
    expect((await cancelled).message).toBe("Download of stuck was cancelled");
    expect([seen[0], seen.at(-1)]).toEqual(["queued", "cancelled"]);
    await client.settings.change({ paused: false });
    expect(await rejection(client.wait("nobody"))).toMatchObject({ status: 404 });
  });
});
