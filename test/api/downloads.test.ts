import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { ggufRepo, type Hub, startHub } from "../support/hub.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { Contract } from "./contract.ts";
import { blocks, seed } from "./seeds.ts";
import { mismatches } from "./shapes.ts";
import { type Answer, type Body, MB, type Served, serve } from "./support.ts";

/** The machine may be busy. */
setDefaultTimeout(30_000);

const ENGINE = { engine_id: "my-engine", load_immediately: true, main_gpu_id: 0 };

let hub: Hub;
let origin: Origin;
let served: Served;
let contract: Contract;
beforeAll(async () => {
  hub = await startHub({ repos: [ggufRepo("acme/tiny-gguf", { quantizations: { Q4_K_M: MB, Q8_0: MB } })] });
  origin = await startOrigin({
    resources: [
      { path: "/quick.bin", seed: 1, size: 1000 },
      { path: "/slow.bin", seed: 2, size: 64 * MB },
      { path: "/text-embedding-3-small.bin", seed: 3, size: 64 * MB },
    ],
    ratePerConnection: 256 * 1024,
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
async function call(method: string, path: string, id = "", body?: object, query = ""): Promise<Answer> {
  const target = path.replace("{id}", encodeURIComponent(id)) + query;
  const answer = await served.call(method, target, body);
  expect(contract.problems(method, path, answer)).toEqual([]);
  return answer;
}

const start = (body: object, path = "/v1/downloads") => call("POST", path, "", body);
const ended = (id: string) => served.product.reaches(id, "completed", "failed", "cancelled");

/** The seed's JSON example that has this member. */
function example(member: string): Body | undefined {
  const text = seed("002");
  const found = text === undefined ? undefined : blocks(text, "json").map((block) => JSON.parse(block));
  return found?.find((it: Body) => member in it);
}

describe("start", () => {
  test("A11 answers 202 at once with the object and where to watch it", async () => {
    const { status, headers, body } = await start({
      repo_id: "acme/tiny-gguf",
      filename: "tiny-Q4_K_M.gguf",
    });
    expect(status).toBe(202);
    expect(headers.get("location")).toBe(`/v1/downloads/${body.id}`);
    expect(body).toMatchObject({
      model_id: "acme/tiny-gguf/tiny-Q4_K_M.gguf",
      status: "downloading",
      state: "queued",
      download_type: "regular",
      type: "regular",
      repo_id: "acme/tiny-gguf",
      filename: "tiny-Q4_K_M.gguf",
      provider: "huggingface",
    });
    await ended(body.id);
    const one = await call("GET", "/v1/downloads/{id}", "acme/tiny-gguf/tiny-Q4_K_M.gguf");
    const file = hub.repo("acme/tiny-gguf").file("tiny-Q4_K_M.gguf");
    expect(one.body).toMatchObject({
      status: "completed",
      progress: { percentage: 100, total_bytes: file.size },
      files: [{ path: "tiny-Q4_K_M.gguf", verified: true, digest: `sha256:${file.sha256}`, state: "done" }],
    });
    expect(one.body.files[0].local_path).toBe(one.body.local_path);
    expect(one.body.timing.end_time).toBeGreaterThanOrEqual(one.body.timing.start_time);
  });

  test("F153 an equal request while one runs gets that one", async () => {
    const body = { url: origin.url("/slow.bin"), model_id: "same" };
    const [a, b] = [await start(body), await start(body)];
    expect([b.status, b.body.id]).toEqual([202, a.body.id]);
    await call("DELETE", "/v1/downloads/{id}", "same");
  });

  test("A23 the first answer has start_time and elapsed_seconds", async () => {
    const before = Date.now();
    const { body } = await start({ url: origin.url("/quick.bin"), model_id: "timed" });
    expect(body.timing).toEqual({ start_time: expect.any(Number), elapsed_seconds: 0 });
    expect(body.timing.start_time).toBeWithin(before, Date.now() + 1);
    await ended(body.id);
  });

  test("R46 R64 what fails has its message and its code", async () => {
    const { body } = await start({ url: origin.url("/missing.bin"), model_id: "gone" });
    await ended(body.id);
    const one = await call("GET", "/v1/downloads/{id}", "gone");
    expect(one.body).toMatchObject({ status: "failed", error_code: "not_found" });
    expect(one.body.error_message).toContain("missing.bin");
  });

  test("F135 sha256 in either spelling is checked", async () => {
    const right = origin.sha256("/quick.bin");
    const good = await start({
      url: origin.url("/quick.bin"),
      model_id: "right",
      sha256: right.toUpperCase(),
    });
    const bad = await start({
      url: `${origin.url("/quick.bin")}?2`,
      model_id: "wrong",
      sha256: `sha256:${"0".repeat(64)}`,
      retry: { max_attempts: 1 },
    });
    await Promise.all([ended(good.body.id), ended(bad.body.id)]);
    expect((await call("GET", "/v1/downloads/{id}", "right")).body.status).toBe("completed");
    expect((await call("GET", "/v1/downloads/{id}", "wrong")).body.error_code).toBe("checksum");
  });
});

describe("R48 both prefixes, any id", () => {
  test("every route answers alike under /downloads and /v1/downloads", async () => {
    const { body } = await start({ url: origin.url("/slow.bin"), model_id: "twice" }, "/downloads");
    const steady = ({ id, model_id, status }: Body) => ({ id, model_id, status });
    const shown = [];
    for (const path of [
      "/downloads/{id}",
      "/v1/downloads/{id}",
      "/download-progress/{id}",
      "/v1/download-progress/{id}",
    ] as const)
      shown.push(steady((await call("GET", path, "twice")).body));
    expect(shown).toEqual(Array(4).fill(steady(body)));
    for (const prefix of ["", "/v1"]) {
      expect((await call("POST", `${prefix}/downloads/{id}/pause`, "twice")).body.state).toBe("paused");
      expect((await call("POST", `${prefix}/downloads/{id}/resume`, "twice")).body.success).toBe(true);
      expect((await call("GET", `${prefix}/downloads`)).body.total_active).toBe(1);
    }
    await call("DELETE", "/downloads/{id}", "twice");
  });

  test.each(["acme/tiny/file.gguf", "a b+c", "ünïcödé 模型", "100%", "a?b#c", "..", "%2F", "CON"])(
    "R98 R101 A3 the id %p is found percent-encoded, in its own case only, and by UUID",
    async (model_id) => {
      const { body } = await start({ url: origin.url("/slow.bin"), model_id });
      // A client's URL parser removes `..`, encoded or not, before anything is sent.
      if (model_id !== "..") {
        expect((await call("GET", "/v1/downloads/{id}", model_id)).body.id).toBe(body.id);
        expect((await call("POST", "/downloads/{id}/pause", model_id)).body.model_id).toBe(model_id);
      }
      const other = model_id === model_id.toUpperCase() ? model_id.toLowerCase() : model_id.toUpperCase();
      if (other !== model_id) expect((await call("GET", "/v1/downloads/{id}", other)).status).toBe(404);
      expect((await call("GET", "/v1/downloads/{id}", body.id)).body.model_id).toBe(model_id);
      await call("DELETE", "/v1/downloads/{id}", body.id);
    },
  );
});

describe("commands", () => {
  test("R54 R55 R56 R72 R73 R74 R75 A20 A21 each is done when answered, in the seed's words", async () => {
    await start({ url: origin.url("/slow.bin"), model_id: "m", engine: ENGINE });
    const status = async () => (await call("GET", "/v1/downloads/{id}", "m")).body.status;
    const pause = await call("POST", "/v1/downloads/{id}/pause", "m");
    expect(pause.body).toMatchObject({
      success: true,
      message: "Download paused successfully",
      model_id: "m",
    });
    expect(await status()).toBe("paused");
    expect((await call("POST", "/v1/downloads/{id}/pause", "m")).status).toBe(200);
    const resume = await call("POST", "/v1/downloads/{id}/resume", "m");
    expect(resume.body).toMatchObject({
      success: true,
      message: "Download resumed successfully",
      model_id: "m",
    });
    expect(await status()).toBe("downloading");
    expect((await call("POST", "/v1/downloads/{id}/resume", "m")).status).toBe(200);
    await call("POST", "/v1/downloads/{id}/pause", "m");
    const cancel = await call("POST", "/v1/downloads/{id}/cancel", "m");
    expect(cancel.body).toMatchObject({
      success: true,
      message: "Download cancelled successfully",
      previous_status: "paused",
      status: "cancelled",
      download_type: "startup",
      engine_creation: {
        model_id: "my-engine",
        engine_id: "my-engine",
        load_immediately: true,
        main_gpu_id: 0,
      },
    });
    const shape = example("previous_status");
    if (shape) expect(mismatches({ ...shape, success: true }, cancel.body)).toEqual([]);
    expect(await status()).toBe("cancelled");
    const retry = await call("POST", "/v1/downloads/{id}/retry", "m");
    expect(retry.body).toMatchObject({ success: true, model_id: "m" });
    expect(await status()).toBe("downloading");
    await call("DELETE", "/v1/downloads/{id}", "m");
  });

  test("R57 R58 R76 R77 R79 all are cancelled by three routes, ended ones skipped", async () => {
    for (const [method, path, body] of [
      ["POST", "/v1/downloads/cancel", undefined],
      ["DELETE", "/downloads", undefined],
      ["POST", "/v1/downloads", { action: "cancel_all" }],
    ] as const) {
      await start({ url: origin.url("/slow.bin"), model_id: "one" });
      await start({ url: `${origin.url("/slow.bin")}?2`, model_id: "two", engine: ENGINE });
      await call("POST", "/v1/downloads/{id}/pause", "two");
      const { status, body: done } = await call(method, path, "", body);
      expect([status, done.message]).toEqual([200, "Bulk download cancellation completed"]);
      expect(done.summary).toEqual({
        total_downloads: 2,
        successful_cancellations: 2,
        failed_cancellations: 0,
        startup_cancellations: 1,
        regular_cancellations: 1,
      });
      expect(done.cancelled_count).toBe(2);
      const two = done.cancelled_downloads.find((d: Body) => d.model_id === "two");
      expect(two).toMatchObject({
        previous_status: "paused",
        download_type: "startup",
        engine_creation: ENGINE,
      });
      const shape = example("cancelled_downloads");
      if (shape) expect(mismatches(shape, done, ["engine_creation"])).toEqual([]);
    }
    expect((await call("POST", "/v1/downloads/cancel")).body.summary.total_downloads).toBe(0);
  });

  test("R133 all are paused and resumed at once", async () => {
    for (const n of [1, 2]) await start({ url: `${origin.url("/slow.bin")}?${n}`, model_id: `bulk ${n}` });
    const paused = await call("POST", "/v1/downloads/pause");
    expect(paused.body.summary).toEqual({ total_downloads: 2, successful_pauses: 2, failed_pauses: 0 });
    expect(paused.body.paused_downloads.map((d: Body) => d.status)).toEqual(["paused", "paused"]);
    const resumed = await call("POST", "/downloads/resume");
    expect(resumed.body.summary.successful_resumes).toBe(2);
    await call("DELETE", "/v1/downloads");
  });

  test("R135 R136 R137 priority, place, rate and retry policy are changed while it waits", async () => {
    await call("PATCH", "/v1/settings", "", { paused: true });
    for (const id of ["p1", "p2", "p3"])
      await start({ url: `${origin.url("/slow.bin")}?${id}`, model_id: id });
    const order = async () => {
      const { active_downloads: all } = (await call("GET", "/v1/downloads")).body;
      const queued: Body[] = all.filter((d: Body) => d.position !== undefined);
      return queued.toSorted((a, b) => a.position - b.position).map((d) => d.model_id);
    };
    expect(await order()).toEqual(["p1", "p2", "p3"]);
    expect((await call("PATCH", "/v1/downloads/{id}", "p3", { before: "p1" })).body.position).toBe(1);
    expect(await order()).toEqual(["p3", "p1", "p2"]);
    await call("PATCH", "/v1/downloads/{id}", "p3", { after: "p2" });
    await call("PATCH", "/v1/downloads/{id}", "p2", { position: 1 });
    expect(await order()).toEqual(["p2", "p1", "p3"]);
    const retry = { max_attempts: 4, base_ms: 10, max_ms: 20, jitter: 0 };
    const changed = await call("PATCH", "/v1/downloads/{id}", "p3", {
      priority: 7,
      rate_limit_bps: 5000,
      retry,
    });
    expect(changed.body).toMatchObject({ priority: 7, rate_limit_bps: 5000, retry, position: 1 });
    expect(await order()).toEqual(["p3", "p2", "p1"]);
    await call("DELETE", "/v1/downloads");
    await call("PATCH", "/v1/settings", "", { paused: false });
  });
});

describe("engines", () => {
  test("R84 R69 R71 a startup download names its engine; progress is found by the engine's id too", async () => {
    const body = {
      repo_id: "acme/tiny-gguf",
      filename: "tiny-Q8_0.gguf",
      model_id: "with engine",
      engine: ENGINE,
    };
    const started = await start(body);
    await ended(started.body.id);
    const { body: one } = await call("GET", "/download-progress/{id}", "my-engine");
    expect(one).toMatchObject({
      id: started.body.id,
      status: "completed",
      download_type: "startup",
      engine_creation: {
        model_type: "llm",
        inference_engine: "llama-cpu",
        llm_features: { text_generation: true },
      },
    });
    const [engine] = await served.product.downloads.engines.list();
    expect(engine?.parameters).toMatchObject({ n_ctx: 4096, n_gpu_layers: 100 });
  });

  test("R70 an embedding model says so, guessed by its name unless told", async () => {
    const guessed = await start({
      url: origin.url("/text-embedding-3-small.bin"),
      model_id: "e",
      engine: { ...ENGINE, engine_id: "searcher" },
    });
    expect(guessed.body.engine_creation).toMatchObject({
      model_type: "embedding",
      recommended_usage: { semantic_search: true },
    });
    const { summary } = (await call("GET", "/v1/downloads")).body;
    expect(summary).toMatchObject({ total_active: 1, startup_downloads: 1, embedding_model_downloads: 1 });
    await call("DELETE", "/v1/downloads/{id}", "e");
  });
});

test("cancelling deletes the partial data, a finished file stays", async () => {
  const { body } = await start({ url: `${origin.url("/quick.bin")}?stays`, model_id: "stays" });
  const done = await ended(body.id);
  await start({ url: origin.url("/slow.bin"), model_id: "goes" });
  await served.product.has("goes", 1);
  await call("POST", "/v1/downloads/{id}/cancel", "goes");
  expect(existsSync(done.localPath ?? "")).toBe(true);
  const { body: gone } = await call("GET", "/v1/downloads/{id}", "goes");
  expect(existsSync(gone.local_path)).toBe(false);
});
