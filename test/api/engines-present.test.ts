import { expect, setDefaultTimeout, test } from "bun:test";
import { rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { DEFAULTS, EngineWorld, errorOf } from "./engine-world.ts";

/** The machine may be busy. */
setDefaultTimeout(30_000);

const world = new EngineWorld();

test("R41 a file that an earlier download brought: 201 at once, without a request to the server", async () => {
  const url = `${world.origin.url("/quick.gguf")}?again`;
  await world.served.call("POST", "/v1/downloads", { url, model_id: "brought before" });
  const { localPath } = await world.ended("brought before");
  const asked = world.origin.requests("/quick.gguf").length;
  const id = world.fresh();
  const parameters = { n_ctx: 1024, n_batch: 256 };
  const { status, body } = await world.post({
    engine_id: id,
    model_path: url,
    loading_parameters: parameters,
  });
  expect([status, body]).toEqual([
    201,
    {
      engine_id: id,
      model_path: world.origin.url("/quick.gguf"),
      status: "loaded",
      load_immediately: true,
      loading_parameters: { ...DEFAULTS, ...parameters, n_keep: 1024, n_ubatch: 256 },
      main_gpu_id: 0,
      message: "Engine added successfully",
      download_info: {
        source_url: world.origin.url("/quick.gguf"),
        local_path: localPath as string,
        was_downloaded: true,
      },
    },
  ]);
  expect(world.origin.requests("/quick.gguf").length).toBe(asked);
});

test("R41 also when another family brought it, in another layout or with its whole repository", async () => {
  const request = { repo_id: "acme/tiny-gguf", layout: "hf-cache" };
  const { body: whole } = await world.served.call("POST", "/v1/downloads", { ...request, model_id: "whole" });
  await world.ended(whole.id);
  const asked = world.hub.origin.log.length;
  const id = world.fresh();
  const { status } = await world.post({ engine_id: id, model_path: "acme/tiny-gguf/tiny-Q8_0.gguf" });
  expect([status, world.hub.origin.log.length]).toEqual([201, asked]);
  const { body } = await world.call("GET", "/engines/{id}", id);
  expect(body.model_path).toMatch(/snapshots\/[^/]+\/tiny-Q8_0\.gguf$/);
  expect(body.download_id).toBe(whole.id);
  await world.clear();
});

test("R41 a file put there by hand under the name that a download gives it", async () => {
  const path = world.put("acme/tiny-gguf/tiny-F16.gguf");
  const model_path = `${world.hub.endpoint}/acme/tiny-gguf/resolve/main/tiny-F16.gguf`;
  const { status, body } = await world.post({ engine_id: world.fresh(), model_path });
  expect([status, body.download_info]).toEqual([
    201,
    { source_url: model_path, local_path: path, was_downloaded: false },
  ]);
});

test("A18 another source's file of the same name is not taken for it", async () => {
  const first = world.fresh();
  await world.post({ engine_id: first, model_path: world.origin.url("/a/slow.gguf") });
  await world.hurried(first);
  const { status } = await world.post({
    engine_id: "other slow",
    model_path: world.origin.url("/b/slow.gguf"),
  });
  expect(status).toBe(202);
  const [other] = await world.hurried("other slow");
  expect(other?.localPath).toEndWith("slow-2.gguf");
});

test("a file cut short since is not complete: it is downloaded again", async () => {
  const url = `${world.origin.url("/other.gguf")}`;
  const id = world.fresh();
  await world.post({ engine_id: id, model_path: url });
  writeFileSync((await world.ended(id)).localPath as string, "GGUF");
  expect((await world.post({ engine_id: id, model_path: url })).status).toBe(202);
  expect((await world.ended(id)).state).toBe("completed");
  await world.clear();
  expect((await world.post({ engine_id: id, model_path: url })).status).toBe(202);
  await world.ended(id);
});

test("R41 local paths: relative to the models directory, absolute, as the seed writes them, a folder", async () => {
  const path = world.put("mine/model.gguf");
  for (const model_path of ["mine/model.gguf", path, "mine/../mine/model.gguf", "./mine/model.gguf"]) {
    const id = world.fresh("local");
    const { status, body } = await world.post({ engine_id: id, model_path, load_immediately: false });
    expect([status, body.model_path, body.status]).toEqual([201, model_path, "created"]);
    expect(body.download_info).toBeUndefined();
    expect((await world.call("GET", "/engines/{id}", id)).body).toMatchObject({
      model_path: path,
      state: "created",
    });
  }
  const here = `./${relative(process.cwd(), path)}`;
  expect((await world.post({ engine_id: world.fresh(), model_path: here })).status).toBe(201);
  expect((await world.post({ engine_id: world.fresh(), model_path: "mine" })).status).toBe(201);
});

test("F124 F127 F198 F200 nothing outside the models directory, and no word on whether it exists", async () => {
  const outside = join(world.served.product.dir, "outside.gguf");
  writeFileSync(outside, "GGUF");
  world.put("mine/there.gguf");
  symlinkSync(outside, join(world.served.product.models, "link.gguf"));
  symlinkSync(world.served.product.dir, join(world.served.product.models, "up"));
  writeFileSync(join(world.served.product.models, "half.gguf.0123.part"), "GGUF");
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
    world.served.product.models,
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
  const answers = await Promise.all(
    paths.map((model_path) => world.post({ engine_id: world.fresh(), model_path })),
  );
  const messages = new Set<string>();
  for (const [i, answer] of answers.entries()) {
    const expected = [400, "invalid_request_error", "model_path", "model_path_not_found"];
    expect([paths[i], ...errorOf(answer)]).toEqual([paths[i], ...expected]);
    messages.add(answer.body.error.message);
  }
  expect(messages.size).toBe(1);
  rmSync(join(world.served.product.models, "up"));
});

test("A22 an id with another model: 409 for a path and for a URL; the same again is the same engine", async () => {
  const [id, one] = [world.fresh(), world.put("one.gguf")];
  world.put("two.gguf");
  const first = await world.post({ engine_id: id, model_path: "one.gguf" });
  const created = (await world.call("GET", "/engines/{id}", id)).body.created_at;
  expect((await world.post({ engine_id: id, model_path: one })).body).toEqual({
    ...first.body,
    model_path: one,
  });
  for (const model_path of ["two.gguf", world.origin.url("/quick.gguf"), "acme/tiny-gguf/tiny-Q4_K_M.gguf"]) {
    const answer = await world.post({ engine_id: id, model_path });
    expect(errorOf(answer)).toEqual([409, "invalid_request_error", "engine_id", "engine_id_exists"]);
    expect(answer.body.error.message).toContain(id);
  }
  const changed = await world.post({ engine_id: id, model_path: one, main_gpu_id: 3 });
  expect([changed.status, changed.body.main_gpu_id]).toEqual([201, 3]);
  const engine = (await world.call("GET", "/engines/{id}", id)).body;
  expect([engine.main_gpu_id, engine.created_at]).toEqual([3, created]);
  rmSync(one);
  expect((await world.post({ engine_id: id, model_path: "two.gguf" })).status).toBe(201);
});

test("A22 a path and a URL for one id at the same time: one of them gets it", async () => {
  world.put("race.gguf");
  for (let round = 0; round < 5; round++) {
    const id = world.fresh("race");
    const paths = ["race.gguf", `${world.origin.url("/a/slow.gguf")}?round=${round}`];
    const answers = await Promise.all(paths.map((model_path) => world.post({ engine_id: id, model_path })));
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(1);
    await world.cancel(id);
  }
});
