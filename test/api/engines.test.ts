import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { DEFAULTS, EngineWorld, errorOf } from "./engine-world.ts";
import { blocks, seed } from "./seeds.ts";
import { mismatches } from "./shapes.ts";
import { type Body, MB, serve } from "./support.ts";

/** The machine may be busy. */
setDefaultTimeout(30_000);

const world = new EngineWorld();

/** The seed's JSON example that has this member. */
function example(member: string): Body {
  const found = blocks(seed("001") ?? "", "json").flatMap((block) => {
    const plain = block.replace(/ \/\/.*$/gm, "");
    return [JSON.parse(plain)];
  });
  return found.find((it: Body) => member in it);
}

describe("POST /engines with something to download", () => {
  for (const prefix of ["", "/v1"])
    test(`R36 R37 R38 R40 ${prefix}/engines: 202 with the seven fields, engine deferred until the file is there`, async () => {
      const id = world.fresh();
      const url = `${world.origin.url("/quick.gguf")}?prefix=${prefix}`;
      const { status, body } = await world.post({ engine_id: id, model_path: url }, `${prefix}/engines`);
      expect(status).toBe(202);
      const endpoint = `/download-progress/${encodeURIComponent(id)}`;
      expect(body).toEqual({
        message: "Model download started successfully. Engine will be created once download completes.",
        engine_id: id,
        download_status: "started",
        download_url: url,
        local_path: join(world.served.product.models, "quick.gguf"),
        progress_endpoint: endpoint,
        note: "Check download progress using the progress_endpoint. Engine creation will be deferred until download completes.",
      });
      const wanted = example("download_status");
      if (wanted) expect(mismatches(wanted, body)).toEqual([]);
      const progress = await world.served.call("GET", body.progress_endpoint);
      expect(progress.body).toMatchObject({ model_id: id, url, download_type: "startup" });
      expect((await world.ended(id)).state).toBe("completed");
      const engine = (await world.call("GET", "/engines/{id}", id)).body;
      expect(engine).toMatchObject({ engine_id: id, status: "loaded", loading_parameters: DEFAULTS });
    });

  test("R39 a file that is no GGUF is downloaded and made an engine", async () => {
    const id = world.fresh();
    expect(
      (await world.post({ engine_id: id, model_path: world.origin.url("/pytorch_model.bin") })).status,
    ).toBe(202);
    expect((await world.ended(id)).state).toBe("completed");
    expect((await world.call("GET", "/engines/{id}", id)).body.model_path).toEndWith("pytorch_model.bin");
  });

  test("R36 hub references of every form name the same file", async () => {
    const forms = [
      "hf:acme/tiny-gguf/tiny-Q4_K_M.gguf",
      "acme/tiny-gguf/tiny-Q4_K_M.gguf",
      `${world.hub.endpoint}/acme/tiny-gguf/resolve/main/tiny-Q4_K_M.gguf`,
      `${world.hub.endpoint}/acme/tiny-gguf/blob/main/tiny-Q4_K_M.gguf`,
      "https://huggingface.co/acme/tiny-gguf/blob/main/tiny-Q4_K_M.gguf",
    ];
    const target = join(world.served.product.models, "acme/tiny-gguf/tiny-Q4_K_M.gguf");
    for (const model_path of forms) {
      const id = world.fresh("hub");
      const { status, body } = await world.post({ engine_id: id, model_path });
      expect([model_path, status, body.local_path]).toEqual([model_path, 202, target]);
      expect((await world.ended(id)).state).toBe("completed");
      await world.call("DELETE", "/engines/{id}", id);
      await world.clear();
    }
  });

  test("R65 R69 R70 R82 R83 the embedding model to come is shown with its features; the id may be called model_id", async () => {
    const id = world.fresh();
    const body = {
      model_id: id,
      model_path: world.origin.url("/c/bge-embedding.gguf"),
      load_immediately: false,
    };
    expect((await world.post({ ...body, main_gpu_id: -1 })).body.engine_id).toBe(id);
    const one = (await world.call("GET", "/downloads/{id}", id)).body;
    expect(one).toMatchObject({ download_type: "startup", model_type: "embedding" });
    expect(one.engine_creation).toMatchObject({
      model_id: id,
      engine_id: id,
      model_type: "embedding",
      load_immediately: false,
      main_gpu_id: -1,
      inference_engine: "llama-cpu",
      embedding_features: { normalization: true, supports_batching: true, optimized_for_retrieval: true },
    });
    const { active_downloads } = (await world.call("GET", "/downloads")).body;
    const listed = active_downloads.find((it: Body) => it.model_id === id);
    expect(listed.engine_creation).toMatchObject({ model_id: id, load_immediately: false, main_gpu_id: -1 });
    await world.cancel(id);
  });

  test("A22 R42 asked again with the same id and URL: 202 in_progress, and one transfer", async () => {
    const [id, url] = [world.fresh(), world.origin.url("/a/slow.gguf")];
    const first = await world.post({ engine_id: id, model_path: url });
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => world.post({ engine_id: id, model_path: url })),
    );
    for (const { status, body } of answers) {
      const endpoint = first.body.progress_endpoint;
      const message = `Model download already in progress. Use ${endpoint} to check status.`;
      expect([status, body]).toEqual([202, { ...first.body, download_status: "in_progress", message }]);
    }
    const { active_downloads } = (await world.call("GET", "/downloads")).body;
    expect(active_downloads.filter((it: Body) => it.url === url && it.status === "downloading")).toHaveLength(
      1,
    );
    await world.cancel(id);
  });

  test("A22 another URL for an id that waits for its download: 409, however many ask at the same time", async () => {
    const id = world.fresh();
    const urls = ["/a/slow.gguf", "/b/slow.gguf"].map((path) => world.origin.url(path));
    const both = Array.from({ length: 10 }, () => urls).flat();
    const answers = await Promise.all(both.map((model_path) => world.post({ engine_id: id, model_path })));
    const admitted = new Set(
      answers.filter(({ status }) => status === 202).map(({ body }) => body.download_url),
    );
    expect(admitted.size).toBe(1);
    const refused = answers.filter(({ status }) => status !== 202);
    expect(refused).toHaveLength(10);
    for (const answer of refused)
      expect(errorOf(answer)).toEqual([409, "invalid_request_error", "engine_id", "engine_id_exists"]);
    const native = { url: urls.find((url) => !admitted.has(url)), engine: { engine_id: id } };
    expect(errorOf(await world.post(native, "/v1/downloads"))[3]).toBe("engine_id_exists");
    await world.cancel(id);
  });

  test("A6 partial data of a failed download: 202 resuming, and it goes on where it stopped", async () => {
    const [id, url] = [world.fresh(), world.origin.url("/a/slow.gguf")];
    await world.served.call("PATCH", "/v1/settings", { retry: { max_attempts: 1 } });
    await world.post({ engine_id: id, model_path: url });
    await world.served.product.has(id, 16 * MB);
    const outage = world.origin.on(
      { path: "/a/slow.gguf" },
      { kind: "respond", status: 503 },
      { kind: "cut", at: 1 },
    );
    await world.origin.down();
    expect((await world.ended(id)).state).toBe("failed");
    outage.remove();
    await world.origin.up();
    await world.served.call("PATCH", "/v1/settings", { retry: { max_attempts: 5 } });
    const before = world.origin.sent("/a/slow.gguf");
    const { status, body } = await world.post({ engine_id: id, model_path: url });
    expect([status, body.download_status]).toEqual([202, "resuming"]);
    expect(body.message).toBe(
      "Model download resume started successfully. Engine will be created once download completes.",
    );
    const [done] = await world.hurried(id);
    expect(done?.state).toBe("completed");
    expect(world.origin.sent("/a/slow.gguf") - before).toBeLessThan(30 * MB);
    await world.clear();
  });

  test("one that was paused is wanted again: 202 resuming", async () => {
    const [id, url] = [world.fresh(), world.origin.url("/b/slow.gguf")];
    await world.post({ engine_id: id, model_path: url });
    await world.served.product.has(id, MB);
    await world.call("POST", "/downloads/{id}/pause", id);
    expect((await world.post({ engine_id: id, model_path: url })).body.download_status).toBe("resuming");
    expect((await world.call("GET", "/downloads/{id}", id)).body.status).toBe("downloading");
    await world.cancel(id);
  });

  test("R42 a second engine of what is being downloaded waits for it, and nothing is fetched twice", async () => {
    const url = `${world.origin.url("/b/slow.gguf")}?two`;
    const ids = [world.fresh(), world.fresh()] as const;
    const before = world.origin.sent("/b/slow.gguf");
    await world.served.call("POST", "/v1/downloads", { url, model_id: "plain one" });
    for (const id of ids)
      expect((await world.post({ engine_id: id, model_path: url })).body.download_status).toBe("started");
    const waiting = (await world.call("GET", "/downloads/{id}", ids[1])).body;
    expect([waiting.state, waiting.waiting]).toEqual(["queued", { reason: "queue" }]);
    for (const { state } of await world.hurried("plain one", ...ids)) expect(state).toBe("completed");
    // An end that two connections race for costs a part of the file, never all of it.
    expect(world.origin.sent("/b/slow.gguf") - before).toBeLessThan(60 * MB);
    const paths = [];
    for (const id of ids) paths.push((await world.call("GET", "/engines/{id}", id)).body.model_path);
    expect(new Set(paths).size).toBe(1);
    await world.clear();
  });

  test("R46 A16 what is no model ends as failed with the reason, and the file stays", async () => {
    const id = world.fresh();
    await world.post({ engine_id: id, model_path: world.origin.url("/broken.gguf") });
    expect((await world.ended(id)).state).toBe("failed");
    const { body } = await world.call("GET", "/download-progress/{id}", id);
    expect([body.status, body.error_code]).toEqual(["failed", "engine_failed"]);
    expect(body.error_message).toContain("broken.gguf");
    const again = await world.post({ engine_id: id, model_path: world.origin.url("/broken.gguf") });
    expect(errorOf(again)).toEqual([422, "model_loading_error", "model_path", "model_loading_failed"]);
  });

  test("R81 R44 completed means that the engine is there; the record lingers, and its progress is told after that", async () => {
    await using hasty = await serve({ product: { lingerMs: 0, hfEndpoint: world.hub.endpoint } });
    for (const [served, listed] of [
      [world.served, 1],
      [hasty, 0],
    ] as const) {
      const id = world.fresh("ends");
      await served.call("POST", "/engines", { engine_id: id, model_path: world.origin.url("/quick.gguf") });
      const states: string[] = [];
      served.product.downloads.feed.subscribe((event) => {
        if (event.type === "download" && event.download.modelId === id) states.push(event.download.state);
      });
      await served.product.reaches(id, "completed");
      expect((await served.call("GET", `/engines/${encodeURIComponent(id)}`)).status).toBe(200);
      expect(states.at(-2)).toBe("creating_engine");
      const { active_downloads, total_active } = (await served.call("GET", "/downloads")).body;
      const mine = active_downloads.filter((it: Body) => it.model_id === id);
      expect([mine.length, total_active]).toEqual([listed, 0]);
      const progress = await served.call("GET", `/download-progress/${encodeURIComponent(id)}`);
      expect([progress.status, progress.body.status]).toEqual([200, "completed"]);
    }
    await world.clear();
  });

  test("R47 R80 what is cancelled or cannot be had leaves nothing partial and no engine", async () => {
    const [stopped, missing] = [world.fresh(), world.fresh()];
    await world.post({ engine_id: stopped, model_path: world.origin.url("/a/slow.gguf") });
    await world.post({ engine_id: missing, model_path: world.origin.url("/no-such.gguf") });
    await world.served.product.has(stopped, MB);
    expect((await world.call("POST", "/downloads/{id}/cancel", stopped)).status).toBe(200);
    expect((await world.ended(missing)).error?.code).toBe("not_found");
    const files = existsSync(world.served.product.models) ? readdirSync(world.served.product.models) : [];
    expect(files.filter((name) => name.endsWith(".part"))).toEqual([]);
    for (const id of [stopped, missing]) {
      expect((await world.call("GET", "/engines/{id}", id)).status).toBe(404);
      const again = await world.post({ engine_id: id, model_path: world.origin.url("/a/slow.gguf") });
      expect([again.status, again.body.download_status]).toEqual([202, "started"]);
      await world.cancel(id);
    }
  });
});
