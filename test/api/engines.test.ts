import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { ggufHeader } from "../support/hub/gguf.ts";
import { ggufFile, ggufRepo, type Hub, startHub } from "../support/hub.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { Contract } from "./contract.ts";
import { blocks, seed } from "./seeds.ts";
import { mismatches } from "./shapes.ts";
import { type Answer, type Body, MB, type Served, serve } from "./support.ts";

/** The machine may be busy. */
setDefaultTimeout(30_000);

const DEFAULTS = {
  n_ctx: 4096,
  n_keep: 2048,
  use_mlock: true,
  use_mmap: true,
  cont_batching: true,
  warmup: false,
  n_parallel: 1,
  n_gpu_layers: 100,
  n_batch: 2048,
  n_ubatch: 512,
};

let hub: Hub;
let origin: Origin;
let served: Served;
let contract: Contract;
let count = 0;
beforeAll(async () => {
  const quantizations = { Q4_K_M: MB, Q8_0: MB, F16: 2 * MB };
  hub = await startHub({ repos: [ggufRepo("acme/tiny-gguf", { quantizations })] });
  const gguf = (path: string, size: number) => ({
    path,
    content: ggufFile("o/n", path, size, "Q8_0").content as never,
  });
  origin = await startOrigin({
    resources: [
      gguf("/quick.gguf", MB),
      gguf("/other.gguf", MB),
      gguf("/a/slow.gguf", 32 * MB),
      gguf("/b/slow.gguf", 32 * MB),
      gguf("/c/bge-embedding.gguf", 32 * MB),
      { path: "/pytorch_model.bin", seed: 1, size: 1000 },
      { path: "/broken.gguf", seed: 2, size: 1000 },
    ],
    ratePerConnection: 4 * MB,
  });
  served = await serve({ product: { hfEndpoint: hub.endpoint } });
  contract = await Contract.of(served);
});
afterAll(async () => {
  await served[Symbol.asyncDispose]();
  await origin[Symbol.asyncDispose]();
  await hub[Symbol.asyncDispose]();
});

/** A call whose answer must be as the document says; `path` in the document's own spelling. */
async function call(method: string, path: string, id = "", body?: object): Promise<Answer> {
  const answer = await served.call(method, path.replace("{id}", encodeURIComponent(id)), body);
  expect(contract.problems(method, path, answer)).toEqual([]);
  return answer;
}

const post = (body: object, path = "/engines") => call("POST", path, "", body);
const fresh = (name = "engine"): string => `${name} ${++count}`;
const ended = (id: string) => served.product.reaches(id, "completed", "failed", "cancelled");
const cancel = (id: string) => served.call("DELETE", `/downloads/${encodeURIComponent(id)}`);
const errorOf = ({ status, body }: Answer) => [status, body.error?.type, body.error?.param, body.error?.code];

/** A small model file in the models directory. */
function put(path: string): string {
  const full = join(served.product.models, path);
  mkdirSync(dirname(full), { recursive: true });
  const head = Buffer.from(ggufHeader({ name: "x", quantization: "F16", size: 4096 }));
  writeFileSync(full, Buffer.concat([head, Buffer.alloc(4096 - head.length)]));
  return full;
}

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
      const id = fresh();
      const url = `${origin.url("/quick.gguf")}?prefix=${prefix}`;
      const { status, body } = await post({ engine_id: id, model_path: url }, `${prefix}/engines`);
      expect(status).toBe(202);
      const endpoint = `/download-progress/${encodeURIComponent(id)}`;
      expect(body).toEqual({
        message: "Model download started successfully. Engine will be created once download completes.",
        engine_id: id,
        download_status: "started",
        download_url: url,
        local_path: join(served.product.models, "quick.gguf"),
        progress_endpoint: endpoint,
        note: "Check download progress using the progress_endpoint. Engine creation will be deferred until download completes.",
      });
      const wanted = example("download_status");
      if (wanted) expect(mismatches(wanted, body)).toEqual([]);
      const progress = await served.call("GET", body.progress_endpoint);
      expect(progress.body).toMatchObject({ model_id: id, url, download_type: "startup" });
      expect((await ended(id)).state).toBe("completed");
      const engine = (await call("GET", "/engines/{id}", id)).body;
      expect(engine).toMatchObject({ engine_id: id, status: "loaded", loading_parameters: DEFAULTS });
    });

  test("R39 a file that is no GGUF is downloaded and made an engine", async () => {
    const id = fresh();
    expect((await post({ engine_id: id, model_path: origin.url("/pytorch_model.bin") })).status).toBe(202);
    expect((await ended(id)).state).toBe("completed");
    expect((await call("GET", "/engines/{id}", id)).body.model_path).toEndWith("pytorch_model.bin");
  });

  test("R36 hub references of every form name the same file", async () => {
    const forms = [
      "hf:acme/tiny-gguf/tiny-Q4_K_M.gguf",
      "acme/tiny-gguf/tiny-Q4_K_M.gguf",
      `${hub.endpoint}/acme/tiny-gguf/resolve/main/tiny-Q4_K_M.gguf`,
      `${hub.endpoint}/acme/tiny-gguf/blob/main/tiny-Q4_K_M.gguf`,
      "https://huggingface.co/acme/tiny-gguf/blob/main/tiny-Q4_K_M.gguf",
    ];
    const target = join(served.product.models, "acme/tiny-gguf/tiny-Q4_K_M.gguf");
    for (const model_path of forms) {
      const id = fresh("hub");
      const { status, body } = await post({ engine_id: id, model_path });
      expect([model_path, status, body.local_path]).toEqual([model_path, 202, target]);
      expect((await ended(id)).state).toBe("completed");
      await call("DELETE", "/engines/{id}", id);
      await served.call("DELETE", "/v1/history?files=true");
    }
  });

  test("R65 R69 R70 R82 R83 the embedding model to come is shown with its features; the id may be called model_id", async () => {
    const id = fresh();
    const body = { model_id: id, model_path: origin.url("/c/bge-embedding.gguf"), load_immediately: false };
    expect((await post({ ...body, main_gpu_id: -1 })).body.engine_id).toBe(id);
    const one = (await call("GET", "/downloads/{id}", id)).body;
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
    const { active_downloads } = (await call("GET", "/downloads")).body;
    const listed = active_downloads.find((it: Body) => it.model_id === id);
    expect(listed.engine_creation).toMatchObject({ model_id: id, load_immediately: false, main_gpu_id: -1 });
    await cancel(id);
  });

  test("A22 R42 asked again with the same id and URL: 202 in_progress, and one transfer", async () => {
    const [id, url] = [fresh(), origin.url("/a/slow.gguf")];
    const first = await post({ engine_id: id, model_path: url });
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => post({ engine_id: id, model_path: url })),
    );
    for (const { status, body } of answers) {
      const endpoint = first.body.progress_endpoint;
      const message = `Model download already in progress. Use ${endpoint} to check status.`;
      expect([status, body]).toEqual([202, { ...first.body, download_status: "in_progress", message }]);
    }
    const { active_downloads } = (await call("GET", "/downloads")).body;
    expect(active_downloads.filter((it: Body) => it.url === url && it.status === "downloading")).toHaveLength(
      1,
    );
    await cancel(id);
  });

  test("A22 another URL for an id that waits for its download: 409, however many ask at the same time", async () => {
    const id = fresh();
    const urls = ["/a/slow.gguf", "/b/slow.gguf"].map((path) => origin.url(path));
    const both = Array.from({ length: 10 }, () => urls).flat();
    const answers = await Promise.all(both.map((model_path) => post({ engine_id: id, model_path })));
    const admitted = new Set(
      answers.filter(({ status }) => status === 202).map(({ body }) => body.download_url),
    );
    expect(admitted.size).toBe(1);
    const refused = answers.filter(({ status }) => status !== 202);
    expect(refused).toHaveLength(10);
    for (const answer of refused)
      expect(errorOf(answer)).toEqual([409, "invalid_request_error", "engine_id", "engine_id_exists"]);
    const native = { url: urls.find((url) => !admitted.has(url)), engine: { engine_id: id } };
    expect(errorOf(await post(native, "/v1/downloads"))[3]).toBe("engine_id_exists");
    await cancel(id);
  });

  test("A6 partial data of a failed download: 202 resuming, and it goes on where it stopped", async () => {
    const [id, url] = [fresh(), origin.url("/a/slow.gguf")];
    await served.call("PATCH", "/v1/settings", { retry: { max_attempts: 1 } });
    await post({ engine_id: id, model_path: url });
    await served.product.has(id, 8 * MB);
    const outage = origin.on(
      { path: "/a/slow.gguf" },
      { kind: "respond", status: 503 },
      { kind: "cut", at: 1 },
    );
    await origin.down();
    expect((await ended(id)).state).toBe("failed");
    outage.remove();
    await origin.up();
    await served.call("PATCH", "/v1/settings", { retry: { max_attempts: 5 } });
    const before = origin.sent("/a/slow.gguf");
    const { status, body } = await post({ engine_id: id, model_path: url });
    expect([status, body.download_status]).toEqual([202, "resuming"]);
    expect(body.message).toBe(
      "Model download resume started successfully. Engine will be created once download completes.",
    );
    origin.limits.ratePerConnection = 64 * MB;
    expect((await ended(id)).state).toBe("completed");
    origin.limits.ratePerConnection = 4 * MB;
    expect(origin.sent("/a/slow.gguf") - before).toBeLessThan(26 * MB);
    await served.call("DELETE", "/v1/history?files=true");
  });

  test("one that was paused is wanted again: 202 resuming", async () => {
    const [id, url] = [fresh(), origin.url("/b/slow.gguf")];
    await post({ engine_id: id, model_path: url });
    await served.product.has(id, MB);
    await call("POST", "/downloads/{id}/pause", id);
    expect((await post({ engine_id: id, model_path: url })).body.download_status).toBe("resuming");
    expect((await call("GET", "/downloads/{id}", id)).body.status).toBe("downloading");
    await cancel(id);
  });

  test("R42 a second engine of what is being downloaded waits for it, and nothing is fetched twice", async () => {
    const url = `${origin.url("/b/slow.gguf")}?two`;
    const ids = [fresh(), fresh()] as const;
    const before = origin.sent("/b/slow.gguf");
    await served.call("POST", "/v1/downloads", { url, model_id: "plain one" });
    for (const id of ids)
      expect((await post({ engine_id: id, model_path: url })).body.download_status).toBe("started");
    const waiting = (await call("GET", "/downloads/{id}", ids[1])).body;
    expect([waiting.state, waiting.waiting]).toEqual(["queued", { reason: "queue" }]);
    origin.limits.ratePerConnection = 64 * MB;
    for (const id of ["plain one", ...ids]) expect((await ended(id)).state).toBe("completed");
    origin.limits.ratePerConnection = 4 * MB;
    expect(origin.sent("/b/slow.gguf") - before).toBeLessThan(34 * MB);
    const paths = [];
    for (const id of ids) paths.push((await call("GET", "/engines/{id}", id)).body.model_path);
    expect(new Set(paths).size).toBe(1);
    await served.call("DELETE", "/v1/history?files=true");
  });

  test("R46 A16 what is no model ends as failed with the reason, and the file stays", async () => {
    const id = fresh();
    await post({ engine_id: id, model_path: origin.url("/broken.gguf") });
    expect((await ended(id)).state).toBe("failed");
    const { body } = await call("GET", "/download-progress/{id}", id);
    expect([body.status, body.error_code]).toEqual(["failed", "engine_failed"]);
    expect(body.error_message).toContain("broken.gguf");
    const again = await post({ engine_id: id, model_path: origin.url("/broken.gguf") });
    expect(errorOf(again)).toEqual([422, "model_loading_error", "model_path", "model_loading_failed"]);
  });
});

describe("POST /engines with what is there", () => {
  test("R41 a file that an earlier download brought: 201 at once, without a request to the server", async () => {
    const url = `${origin.url("/quick.gguf")}?again`;
    await served.call("POST", "/v1/downloads", { url, model_id: "brought before" });
    const { localPath } = await ended("brought before");
    const asked = origin.requests("/quick.gguf").length;
    const id = fresh();
    const parameters = { n_ctx: 1024, n_batch: 256 };
    const { status, body } = await post({ engine_id: id, model_path: url, loading_parameters: parameters });
    expect([status, body]).toEqual([
      201,
      {
        engine_id: id,
        model_path: origin.url("/quick.gguf"),
        status: "loaded",
        load_immediately: true,
        loading_parameters: { ...DEFAULTS, ...parameters, n_keep: 1024, n_ubatch: 256 },
        main_gpu_id: 0,
        message: "Engine added successfully",
        download_info: {
          source_url: origin.url("/quick.gguf"),
          local_path: localPath as string,
          was_downloaded: true,
        },
      },
    ]);
    expect(origin.requests("/quick.gguf").length).toBe(asked);
  });

  test("R41 also when another family brought it, in another layout or with its whole repository", async () => {
    const request = { repo_id: "acme/tiny-gguf", layout: "hf-cache" };
    const { body: whole } = await served.call("POST", "/v1/downloads", { ...request, model_id: "whole" });
    await ended(whole.id);
    const asked = hub.origin.log.length;
    const id = fresh();
    const { status } = await post({ engine_id: id, model_path: "acme/tiny-gguf/tiny-Q8_0.gguf" });
    expect([status, hub.origin.log.length]).toEqual([201, asked]);
    const { body } = await call("GET", "/engines/{id}", id);
    expect(body.model_path).toMatch(/snapshots\/[^/]+\/tiny-Q8_0\.gguf$/);
    expect(body.download_id).toBe(whole.id);
    await served.call("DELETE", "/v1/history?files=true");
  });

  test("R41 a file put there by hand under the name that a download gives it", async () => {
    const path = put("acme/tiny-gguf/tiny-F16.gguf");
    const model_path = `${hub.endpoint}/acme/tiny-gguf/resolve/main/tiny-F16.gguf`;
    const { status, body } = await post({ engine_id: fresh(), model_path });
    expect([status, body.download_info]).toEqual([
      201,
      { source_url: model_path, local_path: path, was_downloaded: false },
    ]);
  });

  test("A18 another source's file of the same name is not taken for it", async () => {
    const first = fresh();
    origin.limits.ratePerConnection = 64 * MB;
    await post({ engine_id: first, model_path: origin.url("/a/slow.gguf") });
    await ended(first);
    const { status } = await post({ engine_id: "other slow", model_path: origin.url("/b/slow.gguf") });
    expect(status).toBe(202);
    expect((await ended("other slow")).localPath).toMatch(/slow-\d\.gguf$/);
    origin.limits.ratePerConnection = 4 * MB;
  });

  test("a file cut short since is not complete: it is downloaded again", async () => {
    const url = `${origin.url("/other.gguf")}`;
    const id = fresh();
    await post({ engine_id: id, model_path: url });
    writeFileSync((await ended(id)).localPath as string, "GGUF");
    expect((await post({ engine_id: id, model_path: url })).status).toBe(202);
    expect((await ended(id)).state).toBe("completed");
    await served.call("DELETE", "/v1/history?files=true");
    expect((await post({ engine_id: id, model_path: url })).status).toBe(202);
    await ended(id);
  });

  test("R41 local paths: relative to the models directory, absolute, as the seed writes them, a folder", async () => {
    const path = put("mine/model.gguf");
    for (const model_path of ["mine/model.gguf", path, "mine/../mine/model.gguf", "./mine/model.gguf"]) {
      const id = fresh("local");
      const { status, body } = await post({ engine_id: id, model_path, load_immediately: false });
      expect([status, body.model_path, body.status]).toEqual([201, model_path, "created"]);
      expect(body.download_info).toBeUndefined();
      expect((await call("GET", "/engines/{id}", id)).body).toMatchObject({
        model_path: path,
        state: "created",
      });
    }
    const here = `./${relative(process.cwd(), path)}`;
    expect((await post({ engine_id: fresh(), model_path: here })).status).toBe(201);
    expect((await post({ engine_id: fresh(), model_path: "mine" })).status).toBe(201);
  });

  test("F124 F127 F198 nothing outside the models directory, and no word on whether it exists", async () => {
    const outside = join(served.product.dir, "outside.gguf");
    writeFileSync(outside, "GGUF");
    put("mine/there.gguf");
    symlinkSync(outside, join(served.product.models, "link.gguf"));
    symlinkSync(served.product.dir, join(served.product.models, "up"));
    writeFileSync(join(served.product.models, "half.gguf.0123.part"), "GGUF");
    const paths = [
      outside,
      "../outside.gguf",
      "mine/../../outside.gguf",
      "mine/%2e%2e/%2e%2e/outside.gguf",
      "..%2foutside.gguf",
      "%2e%2e/outside.gguf",
      "link.gguf",
      "up/outside.gguf",
      "/etc/passwd",
      "/etc/no such file",
      "..",
      ".",
      served.product.models,
      "half.gguf.0123.part",
      "C:\\models\\m.gguf",
      "\\\\host\\share\\m.gguf",
      "~/m.gguf",
      "mine/there.gguf/x",
      "no-such.gguf",
      "no/such.gguf",
      `${"x".repeat(300)}.gguf`,
      "mine/there.gguf\u0000",
    ];
    const answers = await Promise.all(paths.map((model_path) => post({ engine_id: fresh(), model_path })));
    const messages = new Set<string>();
    for (const [i, answer] of answers.entries()) {
      const expected = [400, "invalid_request_error", "model_path", "model_path_not_found"];
      expect([paths[i], ...errorOf(answer)]).toEqual([paths[i], ...expected]);
      messages.add(answer.body.error.message);
    }
    expect(messages.size).toBe(1);
    rmSync(join(served.product.models, "up"));
  });

  test("A22 an id with another model: 409 for a path and for a URL; the same again is the same engine", async () => {
    const [id, one] = [fresh(), put("one.gguf")];
    put("two.gguf");
    const first = await post({ engine_id: id, model_path: "one.gguf" });
    const created = (await call("GET", "/engines/{id}", id)).body.created_at;
    expect((await post({ engine_id: id, model_path: one })).body).toEqual({ ...first.body, model_path: one });
    for (const model_path of ["two.gguf", origin.url("/quick.gguf"), "acme/tiny-gguf/tiny-Q4_K_M.gguf"]) {
      const answer = await post({ engine_id: id, model_path });
      expect(errorOf(answer)).toEqual([409, "invalid_request_error", "engine_id", "engine_id_exists"]);
      expect(answer.body.error.message).toContain(id);
    }
    const changed = await post({ engine_id: id, model_path: one, main_gpu_id: 3 });
    expect([changed.status, changed.body.main_gpu_id]).toEqual([201, 3]);
    const engine = (await call("GET", "/engines/{id}", id)).body;
    expect([engine.main_gpu_id, engine.created_at]).toEqual([3, created]);
    rmSync(one);
    expect((await post({ engine_id: id, model_path: "two.gguf" })).status).toBe(201);
  });

  test("A22 a path and a URL for one id at the same time: one of them gets it", async () => {
    put("race.gguf");
    for (let round = 0; round < 5; round++) {
      const id = fresh("race");
      const paths = ["race.gguf", `${origin.url("/a/slow.gguf")}?round=${round}`];
      const answers = await Promise.all(paths.map((model_path) => post({ engine_id: id, model_path })));
      expect(answers.filter(({ status }) => status === 409)).toHaveLength(1);
      await cancel(id);
    }
  });
});
