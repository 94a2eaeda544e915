import { afterAll, beforeAll, expect, test } from "bun:test";
import { appendFileSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { generated } from "../support/bytes.ts";
import { cleanEnv, runExecutable, startDaemon } from "../support/daemon.ts";
import {
  type OllamaRegistry,
  ordinaryModel,
  type StoredModel,
  startOllamaRegistry,
} from "../support/ollama-registry.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { until } from "../support/until.ts";
import { filesBelow, partials, sha256File } from "./support.ts";

const MIB = 1 << 20;
let dir: TempDir;
let registry: OllamaRegistry;

beforeAll(async () => {
  dir = tempDir("ollama-registry");
  const weights = { type: "model", content: generated(9, 48 * MIB) };
  registry = await startOllamaRegistry({
    models: [
      ordinaryModel("llama3.2", 1, 3 * MIB),
      ordinaryModel("me/other:7b", 2, MIB),
      { name: "big", layers: [weights, { type: "params", content: "{}" }] },
    ],
  });
});

afterAll(async () => {
  await registry.stop();
  dir.remove();
});

/**
 * The names that a daemon would list, found as it finds them (protocols/ollama.md §6). Fails for a model whose blobs
 * are not all there and right, and for anything in `blobs/` that a starting daemon would delete.
 */
async function listed(models: string): Promise<string[]> {
  const blobs = join(models, "blobs");
  const needed = new Set<string>();
  const names = filesBelow(join(models, "manifests"));
  for (const name of names) {
    expect(name.split("/")).toHaveLength(4);
    const { config, layers } = JSON.parse(readFileSync(join(models, "manifests", name), "utf8"));
    for (const { digest, size } of [config, ...layers]) {
      const file = digest.replace(":", "-");
      expect([digest, statSync(join(blobs, file)).size]).toEqual([digest, size]);
      expect(`sha256:${await sha256File(join(blobs, file))}`).toBe(digest);
      needed.add(file);
    }
  }
  if (existsSync(blobs)) expect(readdirSync(blobs).sort()).toEqual([...needed].sort());
  return names.sort();
}

const manifestOf = (models: string, { repo, tag }: StoredModel): string =>
  readFileSync(join(models, "manifests", "registry.ollama.ai", repo, tag), "utf8");

function home(name: string) {
  const models = dir.at(name, "ollama");
  const env = cleanEnv(dir.at(name), {
    MODELHAUL_DATA_DIR: dir.at(name, "data"),
    MODELHAUL_MODELS_DIR: dir.at(name, "models"),
    MODELHAUL_OLLAMA_REGISTRY: registry.endpoint,
    OLLAMA_MODELS: models,
  });
  return { env, models };
}

test("pull into an empty models directory: what a daemon lists, byte for byte; again, and nothing is transferred", async () => {
  const { env, models } = home("pull");
  const args = ["pull", "ollama-registry:llama3.2", "ollama-registry:me/other:7b", "--quiet"];
  const run = await runExecutable([...args, "--layout", "hf-cache"], env);
  expect([run.code, run.err]).toEqual([0, ""]);
  expect(await listed(models)).toEqual([
    "registry.ollama.ai/library/llama3.2/latest",
    "registry.ollama.ai/me/other/7b",
  ]);
  expect(readdirSync(models).sort()).toEqual(["blobs", "manifests"]);
  const model = registry.model("llama3.2");
  expect(manifestOf(models, model)).toBe(model.manifest);
  const weights = join(models, "blobs", model.blobs[0]!.digest.replace(":", "-"));
  expect(run.out.split("\n")[0]).toBe(weights);
  expect(existsSync(dir.at("pull", "models", "llama3.2"))).toBe(false);

  const sent = registry.cdn.stats.bytesSent;
  expect((await runExecutable(args, env)).code).toBe(0);
  expect(registry.cdn.stats.bytesSent).toBe(sent);
  const checked = await runExecutable(["verify", weights], env);
  expect([checked.code, checked.out]).toEqual([0, expect.stringContaining(model.blobs[0]!.digest)]);

  // Blobs that somebody else brought say themselves what they should be (F93).
  const foreign = dir.at("pull", `sha256-${model.blobs[0]!.digest.slice(7)}`);
  writeFileSync(foreign, readFileSync(weights));
  expect((await runExecutable(["verify", foreign], env)).code).toBe(0);
  appendFileSync(foreign, "x");
  expect((await runExecutable(["verify", foreign], env)).code).toBe(5);
}, 60_000);

test("the models directory is Ollama's own by default", async () => {
  const { env } = home("default");
  delete env.OLLAMA_MODELS;
  const run = await runExecutable(["pull", "ollama-registry:me/other:7b", "--quiet"], env);
  expect([run.code, run.err]).toEqual([0, ""]);
  expect(await listed(dir.at("default", ".ollama", "models"))).toEqual(["registry.ollama.ai/me/other/7b"]);
}, 30_000);

test("exit codes: no such model, no such tag, a name that is none", async () => {
  const { env, models } = home("errors");
  const run = (ref: string) => runExecutable(["pull", `ollama-registry:${ref}`, "--quiet"], env);
  expect(await run("nothing")).toMatchObject({ code: 4, err: expect.stringContaining("nothing") });
  expect(await run("llama3.2:99b")).toMatchObject({ code: 4, err: expect.stringContaining("99b") });
  expect(await run("../../etc")).toMatchObject({ code: 2, err: expect.stringContaining("model name") });
  expect(existsSync(models) ? readdirSync(models) : []).toEqual([]);
}, 30_000);

test("F96 kill -9 in the middle, twice: no model before, the right one afterwards, and little sent twice", async () => {
  const models = dir.at("kill", "ollama");
  const args = ["--ollama-registry", registry.endpoint, "--ollama-models", models];
  await using daemon = await startDaemon({ dir: dir.at("kill"), args });
  const model = registry.model("big");
  const path = registry.cdnPath(model.blobs[0]!.digest);
  const size = 48 * MIB;
  registry.cdn.limits.rateTotal = 24 * MIB;
  const { id } = await daemon.begin({ provider: "ollama-registry", model: "big" });
  for (const share of [0.25, 0.5]) {
    await daemon.until(id, (it) => it.progress.downloaded_bytes > share * size);
    await daemon.kill();
    expect(existsSync(join(models, "manifests"))).toBe(false);
    expect(partials(join(models, "blobs"))).toEqual([]);
    await daemon.start();
  }
  delete registry.cdn.limits.rateTotal;
  const done = await daemon.until(id, "completed", 60_000);
  expect(done.progress.percentage).toBe(100);
  expect(registry.cdn.sent(path)).toBeLessThan(1.25 * size);
  expect(await listed(models)).toEqual(["registry.ollama.ai/library/big/latest"]);
  expect(readdirSync(models).sort()).toEqual(["blobs", "manifests"]);
  expect(manifestOf(models, model)).toBe(model.manifest);
}, 90_000);

test("killed whenever a blob gets its name: all arrive, none twice, the manifest is last", async () => {
  const models = dir.at("named", "ollama");
  const layers = Array.from({ length: 20 }, (_, i) => ({
    type: "tensor",
    content: generated(100 + i, MIB + i),
  }));
  registry.add({ name: "tensors", layers });
  registry.cdn.limits.rateTotal = 12 * MIB;
  const args = ["--ollama-registry", registry.endpoint, "--ollama-models", models];
  await using daemon = await startDaemon({ dir: dir.at("named"), args });
  const sent = registry.cdn.stats.bytesSent;
  const { id } = await daemon.begin({ provider: "ollama-registry", model: "tensors" });
  for (const count of [1, 8, 15]) {
    await until(() => filesBelow(join(models, "blobs")).length >= count, `${count} blobs`, { everyMs: 1 });
    await daemon.kill();
    expect(existsSync(join(models, "manifests"))).toBe(false);
    await daemon.start();
  }
  delete registry.cdn.limits.rateTotal;
  await daemon.until(id, "completed");
  expect(await listed(models)).toEqual(["registry.ollama.ai/library/tensors/latest"]);
  expect(registry.cdn.stats.bytesSent - sent).toBeLessThan(1.5 * 20 * MIB);
}, 60_000);

test("the native API: listed, shown, refused, taken back", async () => {
  const models = dir.at("api", "ollama");
  const args = ["--ollama-registry", registry.endpoint, "--ollama-models", models];
  await using daemon = await startDaemon({ dir: dir.at("api"), args });
  const { sources } = await daemon.must("GET", "/v1/sources");
  expect(sources).toContainEqual(expect.objectContaining({ name: "ollama-registry", lists: true }));
  const files = await daemon.must("GET", "/v1/sources/ollama-registry/files?repo=me/other&revision=7b");
  expect(files.files[0]).toMatchObject({ size: MIB, quantization: "Q4_K_M" });

  const bad = await daemon.api("POST", "/v1/downloads", { provider: "ollama-registry", model: "../x" });
  expect([bad.status, bad.body.error.param]).toEqual([400, "model"]);
  const { id } = await daemon.begin({ provider: "ollama-registry", model: "nothing-like-that" });
  const failed = await daemon.until(id, "failed");
  expect(failed).toMatchObject({ error_code: "not_found", repo_id: "nothing-like-that" });

  const request = { provider: "ollama-registry", model: "me/other:7b", base_url: registry.endpoint };
  const begun = await daemon.begin(request);
  const done = await daemon.until(begun.id, "completed");
  expect(done).toMatchObject({
    model_id: "me/other:7b",
    repo_id: "me/other",
    filename: "",
    layout: "ollama",
  });
  expect(done.files?.every((file) => file.verified)).toBe(true);
  expect(await listed(models)).toEqual(["registry.ollama.ai/me/other/7b"]);
  await daemon.must("DELETE", `/v1/history/${encodeURIComponent(begun.id)}?files=true`);
  expect(filesBelow(models)).toEqual([]);
}, 30_000);

const ollama = Bun.which("ollama");

test.skipIf(!ollama)(
  "a real Ollama that is started afterwards lists the model",
  async () => {
    const { env, models } = home("real");
    expect((await runExecutable(["pull", "ollama-registry:me/other:7b", "--quiet"], env)).code).toBe(0);
    const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const host = `127.0.0.1:${probe.port}`;
    probe.stop(true);
    const server = Bun.spawn([ollama!, "serve"], {
      env: { ...env, OLLAMA_HOST: host, OLLAMA_MODELS: models },
      stdout: "ignore",
      stderr: "ignore",
    });
    try {
      const tags = await until(
        async () => (await fetch(`http://${host}/api/tags`)).json(),
        "Ollama to listen",
      );
      const [found] = (tags as { models: { name: string; digest: string }[] }).models;
      expect(found).toMatchObject({ name: "me/other:7b", digest: registry.model("me/other:7b").hex });
    } finally {
      server.kill();
      await server.exited;
    }
  },
  60_000,
);
