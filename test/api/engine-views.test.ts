import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ggufHeader } from "../support/hub/gguf.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { Contract } from "./contract.ts";
import { type Answer, type Body, KEY, MB, type Served, serve } from "./support.ts";

/** The machine may be busy. */
setDefaultTimeout(30_000);

let origin: Origin;
let served: Served;
let contract: Contract;
beforeAll(async () => {
  origin = await startOrigin({
    resources: [{ path: "/slow.gguf", seed: 1, size: 64 * MB }],
    ratePerConnection: 256 * 1024,
  });
  served = await serve();
  contract = await Contract.of(served);
  mkdirSync(served.product.models, { recursive: true });
  const head = Buffer.from(ggufHeader({ name: "x", quantization: "F16", size: 4096, contextLength: 2048 }));
  const path = join(served.product.models, "m.gguf");
  writeFileSync(path, Buffer.concat([head, Buffer.alloc(4096 - head.length)]));
  writeFileSync(join(served.product.models, "page.gguf"), "<!doctype html><title>Sign in</title>");
});
afterAll(async () => {
  await served[Symbol.asyncDispose]();
  await origin[Symbol.asyncDispose]();
});

/** A call whose answer must be as the document says; `path` in the document's own spelling. */
async function call(method: string, path: string, id = "", body?: unknown): Promise<Answer> {
  const answer = await served.call(method, path.replace("{id}", encodeURIComponent(id)), body);
  expect(contract.problems(method, path, answer)).toEqual([]);
  return answer;
}

const errorOf = ({ status, body }: Answer) => [status, body.error?.type, body.error?.param, body.error?.code];

const ROUTES = [
  ["GET", "/engines/{id}"],
  ["GET", "/engines/{id}/status"],
  ["GET", "/engines/{id}/log"],
  ["DELETE", "/engines/{id}"],
  ["POST", "/engines/{id}/start"],
  ["POST", "/engines/{id}/stop"],
  ["GET", "/models/{id}"],
  ["GET", "/models/{id}/status"],
  ["DELETE", "/models/{id}"],
] as const;

describe("an engine's life", () => {
  test("R83 R71 A3 it is listed, shown, stopped, started, has a log and is removed; its file stays", async () => {
    const id = "a/b ü%";
    for (const prefix of ["", "/v1"]) {
      const body = { engine_id: id, model_path: "m.gguf", model_type: "llm", inference_engine: "llama-cuda" };
      expect((await call("POST", `${prefix}/engines`, "", body)).status).toBe(201);
      const one = (await call("GET", `${prefix}/engines/{id}`, id)).body;
      expect(one).toMatchObject({
        engine_id: id,
        model_id: id,
        status: "loaded",
        state: "loaded",
        model_type: "llm",
        model_path: join(served.product.models, "m.gguf"),
        inference_engine: "llama-cuda",
        runtime: "register",
        load_immediately: true,
        main_gpu_id: 0,
        details: { format: "gguf", context_length: 2048 },
        llm_features: { text_generation: true, chat_completion: true, instruction_following: true },
      });
      expect((await call("GET", `${prefix}/engines/{id}/status`, id)).body).toEqual(one);
      const list = (await call("GET", `${prefix}/engines`)).body;
      expect(list).toEqual({ engines: [one], total_count: 1 });
      const stopped = await call("POST", `${prefix}/engines/{id}/stop`, id);
      expect([stopped.status, stopped.body]).toEqual([200, { ...one, status: "unloaded", state: "stopped" }]);
      expect((await call("POST", `${prefix}/engines/{id}/start`, id)).body).toEqual(one);
      expect((await call("GET", `${prefix}/engines/{id}/log`, id)).body).toEqual({
        engine_id: id,
        lines: [],
      });
      const removed = await call("DELETE", `${prefix}/engines/{id}`, id);
      const message = "Engine removed successfully";
      expect([removed.status, removed.body]).toEqual([200, { engine_id: id, status: "removed", message }]);
      expect((await call("GET", `${prefix}/engines`)).body).toEqual({ engines: [], total_count: 0 });
      expect(await Bun.file(join(served.product.models, "m.gguf")).exists()).toBe(true);
    }
  });

  test("R91 R98 an unknown id is 404 everywhere, case-sensitive, and never told apart by what follows", async () => {
    await call("POST", "/engines", "", { engine_id: "known", model_path: "m.gguf" });
    for (const id of ["nobody", "Known", "known ", "__proto__", "%00x", "x".repeat(2000)])
      for (const [method, path] of ROUTES)
        for (const prefix of ["", "/v1"]) {
          const answer = await call(method, prefix + path, id);
          const noun = path.startsWith("/models") ? "model" : "engine";
          const expected = [404, "not_found_error", `${noun}_id`, `${noun}_not_found`];
          expect([method, path, id, ...errorOf(answer)]).toEqual([method, path, id, ...expected]);
        }
    await call("DELETE", "/engines/{id}", "known");
  });

  test("R46 one that is no model: 422 with the reason; the same when it is started again", async () => {
    const answer = await call("POST", "/engines", "", { engine_id: "page", model_path: "page.gguf" });
    expect(errorOf(answer)).toEqual([422, "model_loading_error", "model_path", "model_loading_failed"]);
    expect(answer.body.error.message).toContain("HTML");
    expect((await call("GET", "/engines/{id}", "page")).status).toBe(404);
  });

  test("an engine whose file is not there yet is not found, with a word on where it is", async () => {
    await call("POST", "/engines", "", { engine_id: "coming", model_path: origin.url("/slow.gguf") });
    const { status, body } = await call("GET", "/engines/{id}", "coming");
    expect([status, body.error.message]).toEqual([404, expect.stringContaining("/v1/downloads")]);
    expect((await call("GET", "/models/{id}/status", "coming")).body).toMatchObject({
      model_id: "coming",
      status: "downloading",
      progress_endpoint: "/download-progress/coming",
    });
    await call("DELETE", "/downloads/{id}", "coming");
  });
});

describe("R91-R98 A5 A19 refusals in the family's shape", () => {
  const path = "m.gguf";
  const ENGINE_FIELDS = "Missing required fields: engine_id and model_path are required";
  const cases: [string, unknown, string | null, RegExp | string][] = [
    ["no body", undefined, "engine_id", ENGINE_FIELDS],
    ["nothing", {}, "engine_id", ENGINE_FIELDS],
    ["no path", { engine_id: "e" }, "model_path", ENGINE_FIELDS],
    ["no id", { model_path: path }, "engine_id", ENGINE_FIELDS],
    ["nulls", { engine_id: null, model_path: null }, "engine_id", ENGINE_FIELDS],
    ["an empty id", { engine_id: "", model_path: path }, "engine_id", ENGINE_FIELDS],
    ["a list", [], "engine_id", ENGINE_FIELDS],
    ["a number for the id", { engine_id: 5, model_path: path }, "engine_id", /text/],
    ["a number for the path", { engine_id: "e", model_path: 5 }, "model_path", /text/],
    [
      "text for a flag",
      { engine_id: "e", model_path: path, load_immediately: "yes" },
      "load_immediately",
      /true or false/,
    ],
    ["GPU 16", { engine_id: "e", model_path: path, main_gpu_id: 16 }, "main_gpu_id", /-1 and 15/],
    [
      "another kind",
      { engine_id: "e", model_path: path, model_type: "vision" },
      "model_type",
      /llm, embedding/,
    ],
    ["a long id", { engine_id: "x".repeat(513), model_path: path }, "engine_id", /512/],
    ["a line break in the id", { engine_id: "a\nb", model_path: path }, "engine_id", /printable/],
    ["a reference of no known form", { engine_id: "e", model_path: "hf:" }, "model_path", /hf:org\/name/],
    ["a repository of no valid name", { engine_id: "e", model_path: "hf:a b/c" }, "model_path", /./],
  ];
  for (const [name, body, param, message] of cases)
    test(`400 for ${name}`, async () => {
      const answer = await call("POST", "/engines", "", body);
      expect(errorOf(answer).slice(0, 3)).toEqual([400, "invalid_request_error", param]);
      expect(Object.keys(answer.body.error)).toEqual(["message", "type", "param", "code"]);
      if (typeof message === "string") expect(answer.body.error.message).toBe(message);
      else expect(answer.body.error.message).toMatch(message);
    });

  const parameters: [string, unknown, RegExp][] = [
    ["n_ctx", 0, /1 and 1000000/],
    ["n_ctx", 1_000_001, /1 and 1000000/],
    ["n_keep", -1, /integer/],
    ["n_keep", 4097, /n_ctx/],
    ["n_batch", 8193, /1 and 8192/],
    ["n_ubatch", 2049, /n_batch/],
    ["n_ubatch", 0, /1 and 8192/],
    ["n_parallel", 17, /1 and 16/],
    ["n_gpu_layers", 1001, /0 and 1000/],
    ["use_mmap", 1, /true or false/],
  ];
  for (const [name, value, message] of parameters)
    test(`400 for loading_parameters.${name} = ${value}`, async () => {
      const body = { engine_id: "e", model_path: path, loading_parameters: { [name]: value } };
      const answer = await call("POST", "/engines", "", body);
      expect(errorOf(answer).slice(0, 3)).toEqual([
        400,
        "invalid_request_error",
        `loading_parameters.${name}`,
      ]);
      expect(answer.body.error.message).toMatch(message);
    });

  for (const id of ["cancel", "pause", "resume", "events"])
    test(`A22 400 for the reserved id ${id}`, async () => {
      const answer = await call("POST", "/engines", "", { engine_id: id, model_path: path });
      expect(errorOf(answer).slice(0, 3)).toEqual([400, "invalid_request_error", "engine_id"]);
    });

  const urls = [
    "http://",
    "https://",
    "http:/x",
    "http:x",
    "http:///x.gguf",
    "ftp://host/m.gguf",
    "file:///etc/passwd",
    "s3://bucket/m.gguf",
    "hf://org/name",
    "htp://host/m.gguf",
    "https://user:secret@host/m.gguf",
    "http://host:99999/m.gguf",
    "http://ho st/m.gguf",
    "http://[::1/m.gguf",
  ];
  for (const model_path of urls)
    test(`R45 422 for ${model_path}`, async () => {
      const answer = await call("POST", "/engines", "", { engine_id: "e", model_path });
      expect(errorOf(answer).slice(0, 3)).toEqual([422, "model_download_error", "model_path"]);
      expect(answer.body.error.message.length).toBeGreaterThan(20);
      expect(JSON.stringify(answer.body)).not.toContain("secret");
    });

  test("R95 R96 A19 malformed JSON, other types, unknown paths, wrong methods", async () => {
    const json = { "Content-Type": "application/json" };
    const sent: [string, string, string | undefined, Record<string, string>, number, string | null][] = [
      ["POST", "/engines", "{", json, 400, "invalid_json"],
      ["POST", "/engines", "engine_id=e", { "Content-Type": "text/plain" }, 415, "unsupported_media_type"],
      ["POST", "/engines", `"${"x".repeat(MB)}"`, json, 413, "request_too_large"],
      ["GET", "/engines/", undefined, {}, 400, "invalid_path_format"],
      ["DELETE", "/v1/models/", undefined, {}, 400, "invalid_path_format"],
      ["GET", "/engines/e/nothing", undefined, {}, 400, "invalid_endpoint"],
      ["GET", "/v1/models/e/nothing", undefined, {}, 400, "invalid_endpoint"],
      ["GET", "/engines/%ff", undefined, {}, 400, "invalid_path_format"],
      ["PATCH", "/engines", undefined, {}, 405, "method_not_allowed"],
      ["PUT", "/models/e", undefined, {}, 405, "method_not_allowed"],
    ];
    for (const [method, target, body, headers, status, code] of sent) {
      const answer = await served.call(method, target, body, headers);
      expect([target, answer.status, answer.body.error?.code]).toEqual([target, status, code]);
      expect(Object.keys(answer.body)).toEqual(["error"]);
      expect(Object.keys(answer.body.error)).toEqual(["message", "type", "param", "code"]);
    }
  });

  test("A15 every route wants the key, and A14 a foreign page cannot make an engine", async () => {
    await using keyed = await serve({ apiKey: KEY });
    const routes = contract.operations.filter(({ path }) => /^(\/v1)?\/(engines|models)/.test(path));
    expect(routes.length).toBe(26);
    for (const { method, path } of routes)
      expect((await keyed.call(method.toUpperCase(), path.replace("{id}", "x"))).status).toBe(401);
    const body = { engine_id: "foreign", model_path: path };
    const foreign = await served.call("POST", "/engines", body, { Origin: "https://evil.example" });
    expect(foreign.status).toBe(403);
    expect((await call("GET", "/engines")).body.engines.map((it: Body) => it.engine_id)).not.toContain(
      "foreign",
    );
  });
});
