import { expect, test } from "bun:test";
import type { StartRequest } from "../../src/core/ports.ts";
import { createOllamaRegistry } from "../../src/sources/ollama-registry.ts";
import { type SourceSubject, sourceConformance } from "../conformance/source.ts";
import { client, clock } from "../http/client.ts";
import { generated, readAll } from "../support/bytes.ts";
import {
  type ModelSpec,
  type OllamaRegistry,
  ordinaryModel,
  type RegistryOptions,
  startOllamaRegistry,
} from "../support/ollama-registry.ts";
import { startOrigin } from "../support/origin.ts";
import { context, failure } from "./support.ts";

const PROVIDER = "ollama-registry";
/** One layer and nothing else. */
const bare = (name: string, seed: number): ModelSpec => ({
  name,
  layers: [{ type: "model", content: generated(seed, 70_000) }],
  config: null,
});
const ask = (model: string, more: Partial<StartRequest> = {}): StartRequest => ({
  provider: PROVIDER,
  model,
  ...more,
});

const HOSTILE = [
  "",
  "/",
  "a/",
  "/a",
  ":latest",
  "a:",
  "..",
  "../../etc/passwd",
  "a/../b",
  "a/b/c/d",
  "a b",
  "a:b:c",
  "-a",
  ".a",
  "a:.x",
  "a.b/c",
  "a\\b",
  "a\u0000b",
  "a%2e%2e",
  "modèle",
  "a@sha256:00",
  "con",
  "a.",
  "a:x.part",
  "x".repeat(81),
  `a:${"1".repeat(81)}`,
  "h/ost/ns/m",
  "a:99999/ns/m",
  "0x7f.1/ns/m",
  "-h/ns/m",
  "h?q/ns/m",
  "h#f/ns/m",
  "u@h/ns/m",
  "http://a",
  "http:///ns/m",
  "ftp://h/ns/m",
];

const subject = async (): Promise<SourceSubject> => {
  const registry = await startOllamaRegistry({ models: [bare("tiny", 5), bare("me/other:7b", 6)] });
  const http = client();
  return {
    source: createOllamaRegistry({ http, clock, registry: registry.endpoint }),
    http,
    one: ask("tiny"),
    same: { provider: "Ollama-Registry", repoId: "registry.ollama.ai/library/tiny", revision: "latest" },
    content: readAll(generated(5, 70_000)),
    other: ask("me/other:7b"),
    secret: ask("tiny", { token: "canary-token-5", headers: { "X-Key": "canary-6" } }),
    secrets: ["canary-token-5", "canary-6"],
    missing: { request: ask("nothing-here"), code: "not_found" },
    invalid: [
      ...HOSTILE.map((model) => ({ request: ask(model), code: "invalid_request" as const })),
      { request: { provider: PROVIDER }, code: "invalid_request" },
      { request: ask("a", { repoId: "b" }), code: "invalid_request" },
      { request: ask("a:1b", { revision: "3b" }), code: "invalid_request" },
      { request: ask("a", { revision: "../x" }), code: "invalid_request" },
      { request: ask("a", { filename: "x.gguf" }), code: "invalid_request" },
      { request: ask("a", { include: ["*"] }), code: "invalid_request" },
      { request: ask("a", { sha256: "0".repeat(64) }), code: "invalid_request" },
      { request: ask("a", { url: "https://example.com/x" }), code: "invalid_request" },
      { request: ask("a", { token: "a\r\nb" }), code: "invalid_request" },
      { request: ask("a", { baseUrl: "ftp://example.com" }), code: "invalid_url" },
      { request: ask("a", { baseUrl: "http://u:p@example.com" }), code: "invalid_url" },
      { request: ask("a", { baseUrl: "http://example.com/?x=1" }), code: "invalid_url" },
    ],
    requests: () => registry.origin.stats.requests + registry.cdn.stats.requests,
    network: {
      origin: registry.origin,
      strangers: [registry.cdn],
      elsewhere: ask("tiny", { token: "canary-token-5", headers: { "X-Key": "canary-6" } }),
      middle: 1,
      limit: (seconds) =>
        void registry.origin.on(
          {},
          { kind: "respond", status: 429, headers: { "Retry-After": `${seconds}` } },
        ),
    },
    stop: () => registry.stop(),
  };
};

sourceConformance(PROVIDER, subject, ["network"]);

async function world(options: RegistryOptions = {}) {
  const registry = await startOllamaRegistry(options);
  const source = createOllamaRegistry({ http: client(), clock, registry: registry.endpoint });
  const resolve = (request: StartRequest) =>
    source.resolve(source.parse(request), context(source.secretOf?.(request)));
  return { registry, source, resolve, [Symbol.asyncDispose]: () => registry.stop() };
}

test("names are read as Ollama reads them: defaults for host, namespace and tag, case and port kept", () => {
  const registry = "https://registry.ollama.ai";
  const source = createOllamaRegistry({ http: client(), clock, registry });
  const urls: [string, string][] = [
    ["llama3.2", `${registry}/v2/library/llama3.2/manifests/latest`],
    ["llama3.2:1b", `${registry}/v2/library/llama3.2/manifests/1b`],
    ["Me/Model_x:Q4_K_M", `${registry}/v2/Me/Model_x/manifests/Q4_K_M`],
    ["Registry.Ollama.AI/library/a", `${registry}/v2/library/a/manifests/latest`],
    ["hf.co/me/Llama-3.2-GGUF:Q8_0", "https://hf.co/v2/me/Llama-3.2-GGUF/manifests/Q8_0"],
    ["localhost:5000/me/m", "https://localhost:5000/v2/me/m/manifests/latest"],
    ["http://localhost:5000/me/m:x", "http://localhost:5000/v2/me/m/manifests/x"],
  ];
  for (const [model, url] of urls) expect([model, source.parse(ask(model)).url]).toEqual([model, url]);
  const ids = ["llama3.2", "me/m:x", "hf.co/a/b", "library/x"].map((model) =>
    source.defaultModelId(source.parse(ask(model))),
  );
  expect(ids).toEqual(["llama3.2:latest", "me/m:x", "hf.co/a/b:latest", "x:latest"]);
  expect(source.parse(ask("a", { revision: "3b" })).url).toEndWith("/library/a/manifests/3b");
});

test("A17 the weights come first, the manifest last and byte for byte; the version is its hash", async () => {
  await using it = await world({ models: [ordinaryModel("llama3.2")] });
  const model = it.registry.model("llama3.2");
  const { files, commit, repo } = await it.resolve(ask("llama3.2"));
  expect([repo, commit]).toEqual(["llama3.2", model.hex]);
  expect(files.map((one) => one.path)).toEqual<unknown>([
    ...model.blobs.map(({ digest }) => `blobs/${digest.replace(":", "-")}`),
    "manifests/registry.ollama.ai/library/llama3.2/latest",
  ]);
  expect(it.source.content?.(files.at(-1)!)).toBe(model.manifest);
  expect(files.at(-1)?.digest).toEqual<unknown>({ algorithm: "sha256", hex: model.hex });
  expect(files[0]?.size).toBe(300_000);
  expect(it.registry.origin.requests("*", "GET")).toHaveLength(1);
});

test("weights come first wherever the manifest has them, and a blob named twice comes once", async () => {
  const layers = [
    { type: "template", content: "same" },
    { type: "system", content: "same" },
    { type: "model", content: generated(3, 1000) },
    { type: "projector", content: generated(4, 500) },
  ];
  await using it = await world({ models: [{ name: "x", layers }] });
  const { files } = await it.resolve(ask("x"));
  expect(files.map((one) => one.size).slice(0, -2)).toEqual([1000, 4, 500]);
});

test("model missing, tag missing, private and something else are told apart", async () => {
  const image = { type: "application/vnd.docker.image.rootfs.diff.tar.gzip", content: "layer" };
  await using it = await world({
    models: [
      ordinaryModel("llama3.2"),
      { ...ordinaryModel("me/secret"), private: true },
      { name: "nginx", layers: [image] },
    ],
  });
  const codes = async (model: string, more?: Partial<StartRequest>) => {
    const { code, message } = await failure(it.resolve(ask(model, more)));
    expect(message).toContain(new URL(it.registry.endpoint).host);
    return code;
  };
  expect(await codes("nothing")).toBe("not_found");
  expect(await codes("nothing:1b")).toBe("not_found");
  expect(await codes("llama3.2:99b")).toBe("revision_not_found");
  expect(await codes("me/secret")).toBe("auth_required");
  expect(await codes("me/secret", { token: "wrong" })).toBe("auth_required");
  expect(await codes("nginx")).toBe("unexpected_content");
});

test("hf.co's answers: no such quantization, split files", async () => {
  await using it = await world({ models: [ordinaryModel("me/m")], dialect: "hf" });
  expect((await failure(it.resolve(ask("me/m:Q9")))).code).toBe("revision_not_found");
  expect((await failure(it.resolve(ask("me/m:sharded")))).code).toBe("rejected");
});

test("F44 F45 a registry that is down or busy is asked again, one that wants a newer client is not", async () => {
  await using it = await world({ models: [ordinaryModel("m")] });
  const answers: [number, string, string][] = [
    [429, "rate_limited", "retry"],
    [500, "server_error", "retry"],
    [503, "server_error", "retry"],
    [403, "forbidden", "final"],
    [412, "rejected", "final"],
  ];
  for (const [status, code, verdict] of answers) {
    const headers = { "Retry-After": "7" };
    it.registry.origin.on({ times: 1 }, { kind: "respond", status, headers });
    const error = await failure(it.resolve(ask("m")));
    expect([status, error.code, error.verdict]).toEqual([status, code, verdict] as (typeof error.code)[]);
    if (status === 429) expect(error.retryAfterMs).toBe(7000);
  }
  await it.registry.stop();
  expect((await failure(it.resolve(ask("m")))).verdict).toBe("retry");
});

test("what is no manifest is an error, never a model", async () => {
  await using it = await world({ models: [ordinaryModel("m")] });
  const layer = (more: object) => {
    const one = {
      mediaType: "application/vnd.ollama.image.model",
      digest: `sha256:${"a".repeat(64)}`,
      size: 1,
    };
    return JSON.stringify({ schemaVersion: 2, layers: [{ ...one, ...more }] });
  };
  const bodies = [
    "<html>",
    "[]",
    "null",
    "{}",
    '{"layers":{}}',
    '{"layers":[null]}',
    '{"errors":[]}',
    layer({ digest: "sha256:../../evil" }),
    layer({ digest: `sha256:${"A".repeat(64)}` }),
    layer({ digest: "md5:00" }),
    layer({ size: -1 }),
    layer({ size: "1" }),
    layer({ size: 1.5 }),
    layer({ mediaType: 3 }),
  ];
  for (const body of bodies) {
    it.registry.origin.on({ times: 1 }, { kind: "respond", status: 200, body });
    const { code } = await failure(it.resolve(ask("m")));
    expect([body, code]).toEqual([body, body === "{}" ? "unexpected_content" : "protocol"]);
  }
  it.registry.origin.on(
    { times: 1 },
    { kind: "headers", set: { "Docker-Content-Digest": `sha256:${"0".repeat(64)}` } },
  );
  expect((await failure(it.resolve(ask("m")))).code).toBe("protocol");
  expect((await it.resolve(ask("m"))).files.length).toBeGreaterThan(1);
});

test("a challenge is answered with a token, for manifest and blobs, and asked for again when it is old", async () => {
  await using it = await world({ models: [bare("m", 1)], auth: "token", tokenSeconds: 300 });
  const ref = it.source.parse(ask("m"));
  const { files } = await it.source.resolve(ref, context());
  const tokens = () => it.registry.origin.requests("/v2/token").length;
  expect(tokens()).toBe(1);
  const { url, credentials } = await it.source.locate(ref, files[0]!, context());
  expect(tokens()).toBe(1);
  expect(credentials?.origin).toBe(it.registry.endpoint);
  const response = await client().request({ url, ...(credentials && { credentials }) });
  expect(response.status).toBe(200);
  await response.cancel();
  expect(it.registry.cdn.log.every((one) => one.headers.authorization === undefined)).toBe(true);

  // Refused once, it is not believed any more.
  it.registry.expireTokens();
  expect(it.source.explain?.(ref, 401, new Headers())).toMatchObject({ code: "auth_required" });
  await Promise.all([1, 2, 3].map(() => it.source.locate(ref, files[0]!, context())));
  expect(tokens()).toBe(2);
});

test("after a restart a blob is located without its manifest, and short tokens are not used beyond their time", async () => {
  await using it = await world({ models: [bare("m", 1)], auth: "token", tokenSeconds: 5 });
  const ref = it.source.parse(ask("m"));
  const { files } = await it.source.resolve(ref, context());
  const again = createOllamaRegistry({ http: client(), clock, registry: it.registry.endpoint });
  for (const tokens of [2, 3]) {
    const { credentials } = await again.locate(ref, files[0]!, context());
    expect(credentials?.headers.Authorization).toBe(`Bearer pull-token-${tokens}`);
  }
  expect(it.registry.origin.requests("/v2/library/m/manifests/latest")).toHaveLength(2);
});

test("a user's token opens a private model and nobody else's", async () => {
  await using it = await world({ models: [{ ...bare("me/secret", 1), private: true }] });
  const token = it.registry.addUser("ada");
  const request = ask("me/secret", { token });
  const { files } = await it.resolve(request);
  const ref = it.source.parse(request);
  const own = await it.source.locate(ref, files[0]!, context({ token }));
  expect(own.credentials?.headers.Authorization).toStartWith("Bearer pull-token-");
  const other = await failure(it.source.locate(ref, files[0]!, context()));
  expect([other.code, other.message.includes(token)]).toEqual(["auth_required", false]);
});

test("F35 F36 a token server on another host is not shown anything, nor asked", async () => {
  await using thief = await startOrigin({ handler: () => ({ status: 200, body: '{"token":"x"}' }) });
  await using it = await world({ models: [bare("m", 1)] });
  const challenge = `Bearer realm="${thief.base}/token",service="ollama",scope="-"`;
  it.registry.origin.on({}, { kind: "respond", status: 401, headers: { "WWW-Authenticate": challenge } });
  const { code } = await failure(it.resolve(ask("m", { token: "user-token-of-ada" })));
  expect(code).toBe("auth_required");
  expect(thief.stats.requests).toBe(0);
});

test("R186 a base_url that is none is told as base_url, an address within the name as model", () => {
  const http = client({ allowPrivate: false });
  const source = createOllamaRegistry({ http, clock, registry: "https://registry.ollama.ai" });
  const cases = [
    { request: ask("m", { baseUrl: "zzz" }), code: "invalid_url", param: "base_url" },
    { request: ask("http://169.254.169.254/library/m"), code: "forbidden_address", param: "model" },
  ];
  for (const { request, ...told } of cases)
    expect(() => source.parse(request)).toThrow(expect.objectContaining(told));
});

test("A26 base_url names another server of the same names; the operator's own is marked", async () => {
  await using it = await world({ models: [bare("m", 1)] });
  await using other = await startOllamaRegistry({ models: [bare("m", 2)] });
  const mirror = ask("m", { baseUrl: `${other.endpoint}/` });
  const { files } = await it.resolve(mirror);
  expect(files.at(-1)?.path).toBe<string | undefined>("manifests/registry.ollama.ai/library/m/latest");
  expect(files[0]?.locator).toBe(other.model("m").blobs[0]!.digest);
  expect(it.registry.origin.stats.requests).toBe(0);
  const operated = async (request: StartRequest) =>
    (await it.source.locate(it.source.parse(request), files[0]!, context())).operator;
  expect([await operated(mirror), await operated(ask("m"))]).toEqual([false, true]);
  const same = ask("m", { baseUrl: `${it.registry.endpoint}/` });
  expect(it.source.parse(same)).toEqual(it.source.parse(ask("m")));
  const strict = createOllamaRegistry({
    http: client({ allowPrivate: false }),
    clock,
    registry: it.registry.endpoint,
  });
  expect((await strict.resolve(strict.parse(same), context())).files).toHaveLength(2);
  expect(() => strict.parse(mirror)).toThrow(expect.objectContaining({ code: "forbidden_address" }));
  const named = ask(`http://${new URL(other.endpoint).host}/library/m`);
  const { host } = new URL(other.endpoint);
  expect((await it.resolve(named)).files.at(-1)?.path).toBe<string | undefined>(
    `manifests/${host}/library/m/latest`,
  );
});

test("pickers are shown layers with sizes and the quantization of the weights", async () => {
  await using it: Awaited<ReturnType<typeof world>> & { registry: OllamaRegistry } = await world({
    models: [ordinaryModel("llama3.2:1b")],
  });
  const listing = await it.source.list!("llama3.2", "1b", context());
  expect([listing.repo, listing.commit]).toEqual(["llama3.2", it.registry.model("llama3.2:1b").hex]);
  expect(listing.files.map((one) => [one.size, one.quantization])[0]).toEqual([300_000, "Q4_K_M"]);
  expect(listing.files).toHaveLength(5);
});
