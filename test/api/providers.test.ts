import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { ggufRepo, type Hub, mlxRepo, startHub } from "../support/hub.ts";
import { type ModelScope, startModelScope } from "../support/modelscope.ts";
import { Contract } from "./contract.ts";
import { type Body, type Served, serve } from "./support.ts";

/** The machine may be busy. */
setDefaultTimeout(30_000);

let hub: Hub;
let site: ModelScope;
let served: Served;
let contract: Contract;
beforeAll(async () => {
  hub = await startHub({ repos: [mlxRepo("acme/tiny-mlx", { size: 300_000 })] });
  site = await startModelScope({
    repos: [
      ggufRepo("acme/tiny-gguf", { quantizations: { Q4_K_M: 300_000 } }),
      { ...ggufRepo("acme/private-gguf"), private: true },
    ],
  });
  served = await serve({ product: { hfEndpoint: hub.endpoint, modelscopeEndpoint: site.endpoint } });
  contract = await Contract.of(served);
});
afterAll(async () => {
  await served[Symbol.asyncDispose]();
  await site.stop();
  await hub.stop();
});

/** Downloads to the end and answers the record. */
async function finished(body: object): Promise<Body> {
  const started = await served.call("POST", "/v1/downloads", body);
  expect(started.status).toBe(202);
  await served.product.reaches(started.body.id, "completed", "failed");
  const one = await served.call("GET", `/v1/downloads/${started.body.id}`);
  expect(contract.problems("GET", "/v1/downloads/{id}", one)).toEqual([]);
  return one.body;
}

test("R186 GET /v1/sources shows the providers, each with a line about it and whether it lists", async () => {
  const { body } = await served.call("GET", "/v1/sources");
  for (const name of ["mlx", "modelscope"])
    expect(body.sources).toContainEqual({ name, description: expect.stringMatching(/.{20}/), lists: true });
  const names = body.sources.map(({ name }: Body) => name);
  expect([names[0], names.at(-1), new Set(names).size]).toEqual(["huggingface", "url", names.length]);
});

test.each([
  ["mlx", "acme/tiny-mlx", "model.safetensors"],
  ["modelscope", "acme/tiny-gguf", "tiny-Q4_K_M.gguf"],
])("R186 GET /v1/sources/%s/files lists for pickers", async (provider, repo, path) => {
  const listing = await served.call("GET", `/v1/sources/${provider}/files?repo=${repo}`);
  expect(contract.problems("GET", "/v1/sources/{provider}/files", listing)).toEqual([]);
  expect([listing.status, listing.body.repo_id, listing.body.gated]).toEqual([200, repo, false]);
  const listed = listing.body.files.find((file: Body) => file.path === path);
  expect(listed.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect(listed.size).toBe(300_000);
});

test("a private model of ModelScope is listed with the token of X-Hub-Token only", async () => {
  const token = site.addUser("ada", { access: { "acme/private-gguf": "granted" } });
  const path = "/v1/sources/modelscope/files?repo=acme/private-gguf";
  const refused = await served.call("GET", path);
  expect(contract.problems("GET", "/v1/sources/{provider}/files", refused)).toEqual([]);
  expect(refused.status).toBeGreaterThanOrEqual(400);
  expect(refused.status).toBeLessThan(500);
  const listing = await served.call("GET", path, undefined, { "X-Hub-Token": token });
  expect([listing.status, listing.body.gated]).toEqual([200, false]);
  expect(served.logged.join()).not.toContain(token);
});

test("R165 R177 R178 provider mlx: bytes, provider and label on the record, and in lists by provider", async () => {
  const done = await finished({ provider: "mlx", model: "acme/tiny-mlx" });
  expect(done).toMatchObject({
    status: "completed",
    model_id: "acme/tiny-mlx",
    provider: "mlx",
    labels: { format: "mlx" },
    progress: { percentage: 100 },
  });
  expect(done.progress.downloaded_bytes).toBe(done.progress.total_bytes);
  const { body } = await served.call("GET", "/v1/downloads?state=all&provider=mlx");
  expect(body.active_downloads.map((it: Body) => it.id)).toEqual([done.id]);
});

test("provider modelscope by name and by the address of its page is one download", async () => {
  site.cdn.limits.rateTotal = 200_000;
  const filename = "tiny-Q4_K_M.gguf";
  const byName = { provider: "modelscope", model: "acme/tiny-gguf", filename };
  const byPage = { url: `${site.endpoint}/models/acme/tiny-gguf/file/view/master/${filename}` };
  const first = await served.call("POST", "/v1/downloads", byName);
  const second = await served.call("POST", "/v1/downloads", byPage);
  expect([first.status, second.status, second.body.id]).toEqual([202, 202, first.body.id]);
  const done = await finished(byName);
  expect(done).toMatchObject({ status: "completed", provider: "modelscope", layout: "flat" });
  expect(done.url).toBe(`${site.endpoint}/models/acme/tiny-gguf/resolve/master/${filename}`);
});

test("what ModelScope refuses has a code, a status word and advice", async () => {
  const missing = await finished({ provider: "modelscope", model: "acme/none" });
  expect(missing).toMatchObject({ status: "failed", error_code: "not_found" });
  const hidden = await finished({ provider: "modelscope", model: "acme/private-gguf" });
  expect(hidden).toMatchObject({ status: "failed", error_code: "auth_required" });
  expect(hidden.error_message).toMatch(/private or gated: give a token/);
  const bad = await served.call("POST", "/v1/downloads", { provider: "modelscope", model: "../x" });
  expect([bad.status, bad.body.error.param]).toEqual([400, "model"]);
});
