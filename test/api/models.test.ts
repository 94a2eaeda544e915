import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { ggufRepo, type Hub, startHub } from "../support/hub.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { Contract } from "./contract.ts";
import { type Answer, MB, type Served, serve } from "./support.ts";

/** The machine may be busy. */
setDefaultTimeout(30_000);

let hub: Hub;
let origin: Origin;
let served: Served;
let contract: Contract;
beforeAll(async () => {
  const quantizations = { Q4_K_M: MB, Q8_0: MB };
  hub = await startHub({ repos: [ggufRepo("acme/tiny-gguf", { quantizations })] });
  origin = await startOrigin({
    resources: ["/slow.bin", "/slow-v1.bin"].map((path) => ({ path, seed: 1, size: 64 * MB })),
    ratePerConnection: 2 * MB,
  });
  served = await serve({ product: { hfEndpoint: hub.endpoint } });
  contract = await Contract.of(served);
});
afterAll(async () => {
  await served[Symbol.asyncDispose]();
  await origin[Symbol.asyncDispose]();
  await hub[Symbol.asyncDispose]();
});

async function call(method: string, path: string, id = "", body?: object): Promise<Answer> {
  const answer = await served.call(method, path.replace("{id}", encodeURIComponent(id)), body);
  expect(contract.problems(method, path, answer)).toEqual([]);
  return answer;
}
const post = (body: object, path = "/models") => call("POST", path, "", body);
const ended = (id: string) => served.product.reaches(id, "completed", "failed", "cancelled");
const errorOf = ({ status, body }: Answer) => [status, body.error?.type, body.error?.param, body.error?.code];
const model = (file: string) => `hf:acme/tiny-gguf/tiny-${file}.gguf`;

describe("POST /models", () => {
  for (const prefix of ["", "/v1"])
    test(`R84 R43 ${prefix}/models: 202, then in progress, then loaded`, async () => {
      const id = `chat ${prefix}`;
      // A name of its own: the other one's file is there already, and this one would move aside.
      const name = `slow${prefix.replace("/", "-")}.bin`;
      const url = `${origin.url(`/${name}`)}?prefix=${prefix}`;
      const body = { model_id: id, model_path: url, model_type: "llm" };
      const first = await post(body, `${prefix}/models`);
      expect([first.status, first.body]).toEqual([
        202,
        {
          model_id: id,
          model_type: "llm",
          status: "downloading",
          message: "Download started in background",
          download_url: url,
          local_path: join(served.product.models, name),
        },
      ]);
      const again = await post(body, `${prefix}/models`);
      const message = `Model download already in progress. Use /downloads/${encodeURIComponent(id)} to check status.`;
      expect([again.status, again.body]).toEqual([202, { ...first.body, message }]);
      const status = (await call("GET", `${prefix}/models/{id}/status`, id)).body;
      expect(status).toMatchObject({ model_id: id, status: "downloading" });
      origin.limits.ratePerConnection = 64 * MB;
      expect((await ended(id)).state).toBe("completed");
      origin.limits.ratePerConnection = 2 * MB;
      expect((await call("GET", `${prefix}/models/{id}/status`, id)).body).toEqual({
        model_id: id,
        status: "loaded",
        state: "loaded",
        message: "Loaded and ready",
      });
    });

  test("R41 what is there is added at once; what is loaded is refused, the same again too", async () => {
    const { body: before } = await served.call("POST", "/v1/downloads", {
      repo_id: "acme/tiny-gguf",
      filename: "tiny-Q4_K_M.gguf",
    });
    const { localPath } = await ended(before.id);
    const body = { model_id: "there", model_path: model("Q4_K_M"), model_type: "llm" };
    const added = await post(body);
    expect([added.status, added.body]).toMatchObject([
      201,
      { model_id: "there", status: "loaded", message: "Model added successfully", model_type: "llm" },
    ]);
    expect((await call("GET", "/models/{id}", "there")).body.model_path).toBe(localPath);
    for (const model_path of [model("Q4_K_M"), model("Q8_0"), localPath as string]) {
      const answer = await post({ ...body, model_path });
      expect(errorOf(answer)).toEqual([409, "invalid_request_error", "model_id", "model_already_loaded"]);
    }
    const url = `${origin.url("/slow.bin")}?busy`;
    await post({ ...body, model_id: "busy", model_path: url });
    expect(errorOf(await post({ ...body, model_id: "busy" }))[3]).toBe("model_already_loaded");
    await call("DELETE", "/downloads/{id}", "busy");
  });

  test("R45 R91 its fields: what is required, and what is none", async () => {
    const fields = "Missing required fields: model_id, model_path and model_type are required";
    const body = { model_id: "m", model_path: model("Q8_0"), model_type: "llm" };
    for (const [missing, param] of [
      [{ ...body, model_id: undefined, engine_id: "e" }, "model_id"],
      [{ ...body, model_path: "" }, "model_path"],
      [{ ...body, model_type: null }, "model_type"],
    ] as const) {
      const answer = await post(missing);
      expect(errorOf(answer).slice(0, 3)).toEqual([400, "invalid_request_error", param]);
      expect(answer.body.error.message).toBe(fields);
    }
    const other = await post({ ...body, model_type: "vision" });
    expect(errorOf(other).slice(0, 3)).toEqual([400, "invalid_request_error", "model_type"]);
    const noUrl = await post({ ...body, model_path: "ftp://host/m.gguf" });
    expect(errorOf(noUrl).slice(0, 3)).toEqual([422, "model_download_error", "model_path"]);
    const noPath = await post({ ...body, model_path: "../m.gguf" });
    expect(errorOf(noPath)).toEqual([400, "invalid_request_error", "model_path", "model_path_not_found"]);
  });
});

test("R66 GET /models counts kinds and states; DELETE forgets the model and keeps its file", async () => {
  for (const { engineId } of await served.product.downloads.engines.list())
    await call("DELETE", "/models/{id}", engineId);
  await served.call("DELETE", "/v1/history?files=true");
  const { body: before } = await served.call("POST", "/v1/downloads", { repo_id: "acme/tiny-gguf" });
  await ended(before.id);
  const body = { model_path: model("Q4_K_M"), model_type: "llm" };
  await post({ ...body, model_id: "one" });
  await post({ ...body, model_id: "two", load_immediately: false });
  const { models, total_count, summary } = (await call("GET", "/models")).body;
  expect(models).toEqual([
    expect.objectContaining({ model_id: "one", status: "loaded", model_type: "llm" }),
    expect.objectContaining({ model_id: "two", status: "unloaded", model_type: "llm" }),
  ]);
  expect(total_count).toBe(2);
  expect(summary).toEqual({
    total_models: 2,
    embedding_models: 0,
    llm_models: 2,
    loaded_models: 1,
    unloaded_models: 1,
  });
  expect((await call("POST", "/engines/{id}/start", "two")).body.status).toBe("loaded");
  const removed = await call("DELETE", "/models/{id}", "one");
  const message = "Model removed successfully";
  expect([removed.status, removed.body]).toEqual([200, { model_id: "one", status: "removed", message }]);
  expect(errorOf(await call("DELETE", "/models/{id}", "one"))).toEqual([
    404,
    "not_found_error",
    "model_id",
    "model_not_found",
  ]);
  expect((await call("GET", "/engines")).body.total_count).toBe(1);
  expect((await post({ ...body, model_id: "one" })).status).toBe(201);
});
