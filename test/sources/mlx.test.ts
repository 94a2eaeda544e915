import { afterEach, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { StartRequest } from "../../src/core/ports.ts";
import { isMlxCard, isMlxConfig, isMlxWeights } from "../../src/sources/mlx/signs.ts";
import { createMlx } from "../../src/sources/mlx.ts";
import { client, clock } from "../http/client.ts";
import { readAll } from "../support/bytes.ts";
import { safetensorsHeader } from "../support/hub/safetensors.ts";
import { ggufRepo, type Hub, mlxRepo, startHub } from "../support/hub.ts";
import { openProduct } from "../support/product.ts";
import { context, resolve, sources } from "./support.ts";

let hub: Hub;
afterEach(() => hub?.stop());

const REPO = "acme/tiny-mlx";
const mlx = (model: string, more: StartRequest = {}): StartRequest => ({ provider: "mlx", model, ...more });

describe("what marks an MLX repository", () => {
  test.each<[string, unknown, unknown, boolean]>([
    ["acme/x", "mlx", [], true],
    ["acme/x", "MLX", undefined, true],
    ["acme/x", "transformers", ["safetensors", "mlx"], true],
    ["mlx-community/x", "transformers", [], true],
    ["MLX-Community/x", null, null, true],
    ["acme/mlx-community", "transformers", ["mlx-lm", "not mlx", 7, null], false],
    ["acme/x", { mlx: true }, "mlx", false],
  ])("card: %s, %p, %p", (repo, library, tags, expected) => {
    expect(isMlxCard(repo, library, tags)).toBe(expected);
  });

  test.each<[string, boolean]>([
    ['{"quantization":{"group_size":64,"bits":4}}', true],
    [
      '{"quantization":{"group_size":32,"bits":4,"mode":"mxfp4","model.layers.0":{"group_size":64,"bits":8}}}',
      true,
    ],
    ['{"quantization_config":{"group_size":64,"bits":4}}', false],
    ['{"quantization":{"group_size":128,"bits":4,"quant_method":"gptq"}}', false],
    ['{"quantization":{"bits":4}}', false],
    ['{"quantization":"4bit"}', false],
    ['{"model_type":"llama"}', false],
    ["[]", false],
    ["not json", false],
    ["", false],
  ])("config.json: %s", (text, expected) => {
    expect(isMlxConfig(text)).toBe(expected);
  });

  test("weights: the format in the metadata, whole header or only its beginning", () => {
    const head = (format: string) => safetensorsHeader("t", 10_000, format);
    expect(isMlxWeights(head("mlx"))).toBe(true);
    expect(isMlxWeights(head("pt"))).toBe(false);
    expect(isMlxWeights(head("mlx").subarray(0, 60))).toBe(true);
    expect(isMlxWeights(head("pt").subarray(0, 60))).toBe(false);
    expect(isMlxWeights(head("mlx").subarray(0, 20))).toBe(false);
    for (const bytes of [new Uint8Array(), new Uint8Array(8), Buffer.from("GGUF and whatever follows")])
      expect(isMlxWeights(bytes)).toBe(false);
    const huge = Buffer.from(head("mlx"));
    huge.fill(0xff, 0, 8);
    expect(isMlxWeights(huge)).toBe(true);
  });
});

describe("R177 MLX is the hub by another name", () => {
  const withHub = async (...repos: Parameters<typeof mlxRepo>[]) => {
    hub = await startHub({ repos: repos.map(([id, options]) => mlxRepo(id, options)) });
    return sources(hub.endpoint);
  };

  test("accepts its own name only, and what it asks for is what the hub's source asks for", async () => {
    const [huggingface, source] = await withHub([REPO]);
    expect([source?.name, source?.accepts({ provider: "MLX" })]).toEqual(["mlx", true]);
    expect(source?.accepts({ repoId: REPO })).toBe(false);
    expect(source?.accepts({ provider: "huggingface" })).toBe(false);
    for (const more of [{}, { filename: "config.json" }, { include: ["*.json"], revision: "v1" }]) {
      const ours = source!.parse(mlx(REPO, more));
      const theirs = huggingface!.parse({ repoId: REPO, ...more });
      expect(ours).toEqual({ ...theirs, provider: "mlx" });
      expect(source!.defaultModelId(ours)).toBe(huggingface!.defaultModelId(theirs));
    }
  });

  test("the card labels it without a further request, for the hub's own name as well", async () => {
    const list = await withHub([REPO]);
    const counted = async (request: StartRequest) => {
      const before = hub.origin.stats.requests;
      const { labels, warnings } = await resolve(list, request);
      return [labels, warnings, hub.origin.stats.requests - before];
    };
    expect(await counted({ repoId: REPO })).toEqual([{ format: "mlx" }, undefined, 2]);
    expect(await counted(mlx(REPO))).toEqual([{ format: "mlx" }, undefined, 2]);
    expect(hub.cdn.stats.requests).toBe(0);
  });

  test("without a card that says so, configuration or weights do, asked for a few bytes", async () => {
    const list = await withHub(
      ["acme/config", { signs: ["config"] }],
      ["acme/weights", { signs: ["weights"] }],
      ["acme/none", { signs: [] }],
    );
    expect((await resolve(list, mlx("acme/config"))).labels).toEqual({ format: "mlx" });
    expect(hub.cdn.stats.requests).toBe(0);
    expect((await resolve(list, mlx("acme/weights"))).labels).toEqual({ format: "mlx" });
    expect(hub.cdn.log.map(({ headers }) => headers.range)).toEqual(["bytes=0-65535"]);
    expect((await resolve(list, { repoId: "acme/weights" })).labels).toBeUndefined();
  });

  test("no sign is a warning, never a refusal; signs that cannot be read say nothing", async () => {
    const list = await withHub(["acme/none", { signs: [] }], [REPO, { signs: [] }]);
    const { labels, warnings, files } = await resolve(list, mlx("acme/none"));
    expect(labels).toBeUndefined();
    expect(warnings?.join()).toMatch(/no sign of the MLX format.*mlx-lm/);
    expect(files.length).toBeGreaterThan(5);
    hub.origin.on({ path: "*config.json" }, { kind: "respond", status: 500 });
    hub.cdn.on({}, { kind: "reset", at: "start" });
    expect((await resolve(list, mlx(REPO))).warnings).toBeUndefined();
  });

  test("a sign that does not come holds nothing up", async () => {
    hub = await startHub({ repos: [mlxRepo(REPO, { signs: ["weights"] })] });
    const source = createMlx({ http: client(), clock, endpoint: hub.endpoint, signMs: 200 });
    const rules = [
      hub.cdn.on({ nth: 1 }, { kind: "stall", at: "start" }),
      hub.cdn.on({ nth: 2 }, { kind: "stall", at: 100 }),
    ];
    for (const rule of rules) {
      const { files, labels, warnings } = await source.resolve(source.parse(mlx(REPO)), context());
      expect([files.length, labels, warnings?.length]).toEqual([7, undefined, 1]);
      expect(rule.hits).toBe(1);
    }
    const stop = new AbortController();
    const reason = new Error("enough");
    const rule = hub.cdn.on({}, { kind: "stall", at: "start" });
    const patient = createMlx({ http: client(), clock, endpoint: hub.endpoint });
    const ended = patient
      .resolve(patient.parse(mlx(REPO)), { ...context(), signal: stop.signal })
      .catch((error) => error);
    await hub.cdn.waitFor(() => rule.hits === 1, "the look at the weights");
    stop.abort(reason);
    expect(await ended).toBe(reason);
  });

  test("a GGUF repository asked for as MLX comes with the warning", async () => {
    hub = await startHub({ repos: [ggufRepo("acme/tiny-gguf")] });
    const { warnings, files } = await resolve(sources(hub.endpoint), mlx("acme/tiny-gguf"));
    expect(warnings).toHaveLength(1);
    expect(files.some(({ path }) => path.endsWith(".gguf"))).toBe(true);
  });
});

describe("R165 R176 R178 a whole repository in the product", () => {
  test("R165 R176 R177 R178 mlx and huggingface at the same time are one transfer; bytes, label and provider are right", async () => {
    hub = await startHub({ repos: [mlxRepo(REPO, { size: 3 << 20 })], cdnLimits: { rateTotal: 4 << 20 } });
    await using product = await openProduct({ hfEndpoint: hub.endpoint });
    const first = await product.downloads.start(mlx(REPO));
    const second = await product.downloads.start({ repoId: REPO });
    const third = await product.downloads.start({ url: `${hub.endpoint}/${REPO}` });
    expect([first.created, second.created, third.created]).toEqual([true, false, false]);
    expect(new Set([first, second, third].map(({ download }) => download.id)).size).toBe(1);
    const done = await product.reaches(first.download.id, "completed", "failed");
    expect([done.state, done.source.provider, done.labels.format]).toEqual(["completed", "mlx", "mlx"]);
    expect(done.bytes).toBe(done.total ?? -1);
    for (const path of hub.repo(REPO).resolve("main")!.files.keys()) {
      const onDisk = readFileSync(join(product.models, REPO, path));
      expect([path, Buffer.compare(onDisk, readAll(hub.repo(REPO).file(path).content))]).toEqual([path, 0]);
    }
    expect(hub.cdn.sent()).toBeLessThan(3.2 * (1 << 20));
    const { items } = await product.downloads.list({ labels: { format: "mlx" } }, { limit: 10 });
    expect(items.map(({ id }) => id)).toEqual([done.id]);
  });

  test("what the hub's own name has brought is not fetched again by the name of MLX", async () => {
    hub = await startHub({ repos: [mlxRepo(REPO)] });
    await using product = await openProduct({ hfEndpoint: hub.endpoint, layout: "hf-cache" });
    const { download } = await product.downloads.start({ repoId: REPO });
    await product.reaches(download.id, "completed");
    const sent = hub.cdn.sent();
    const again = await product.downloads.start(mlx(REPO));
    expect(again.created).toBe(true);
    await product.reaches(again.download.id, "completed");
    expect(hub.cdn.sent()).toBe(sent);
  });

  test("R176 R179 R180 R186 missing and gated end at once, typed, with what to do", async () => {
    hub = await startHub({ repos: [{ ...mlxRepo("acme/gated-mlx"), gated: "auto" }] });
    const token = hub.addUser("ada", { access: { "acme/gated-mlx": "granted" } });
    await using product = await openProduct({ hfEndpoint: hub.endpoint });
    const end = async (request: StartRequest) => {
      const { download } = await product.downloads.start(request);
      return product.reaches(download.id, "completed", "failed");
    };
    const missing = await end(mlx("acme/none"));
    expect(missing.error?.code).toBe("not_found");
    expect(missing.error?.message).toMatch(/acme\/none.*check the name, or give a token/);
    const gated = await end(mlx("acme/gated-mlx"));
    expect(gated.error?.code).toBe("gated");
    expect(gated.error?.message).toMatch(/accept its conditions at .*then give a token/);
    expect((await end(mlx("acme/gated-mlx", { token }))).state).toBe("completed");
  });
});
