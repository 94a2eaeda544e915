import { afterEach, describe, expect, test } from "bun:test";
import type { Source, StartRequest } from "../../src/core/ports.ts";
import { createSources } from "../../src/sources/index.ts";
import { createModelScope } from "../../src/sources/modelscope.ts";
import { Asked } from "../conformance/source.ts";
import { client, clock, log } from "../http/client.ts";
import { ggufRepo, type RepoSpec } from "../support/hub.ts";
import { type ModelScope, type ModelScopeOptions, startModelScope } from "../support/modelscope.ts";
import { context, failure } from "./support.ts";

let site: ModelScope;
const http = client();
afterEach(() => site?.stop());

async function withSite(options: ModelScopeOptions, token?: string): Promise<Source> {
  site = await startModelScope(options);
  return createModelScope({
    http,
    clock,
    endpoint: site.endpoint,
    ...(token === undefined ? {} : { token }),
  });
}

const REPO = "acme/tiny-gguf";
const tiny = (): RepoSpec => ggufRepo(REPO, { quantizations: { Q4_K_M: 40_000, Q8_0: 60_000 } });
const ask = (model: string, more: StartRequest = {}): StartRequest => ({
  provider: "modelscope",
  model,
  ...more,
});
const json = { "Content-Type": "application/json" };

describe("addresses", () => {
  const source = createModelScope({ http, clock, endpoint: "https://modelscope.cn" });
  const named = (url: string) => {
    if (!source.accepts({ url })) return undefined;
    const { repo, revision, files, include, baseUrl } = source.parse({ url });
    return [repo, revision, ...(files ?? []), ...(include ?? []), ...(baseUrl ? [baseUrl] : [])].join(" ");
  };
  const model = "https://modelscope.cn/models/Qwen/Qwen3-0.6B";
  const api = "https://www.modelscope.cn/api/v1/models/Qwen/Qwen3-0.6B";

  test.each([
    [model, "Qwen/Qwen3-0.6B master"],
    [`${model}/`, "Qwen/Qwen3-0.6B master"],
    [`${model}/summary`, "Qwen/Qwen3-0.6B master"],
    [`${model}/files?version=v1`, "Qwen/Qwen3-0.6B master"],
    [`http://www.modelscope.cn/models/Qwen/Qwen3-0.6B#top`, "Qwen/Qwen3-0.6B master"],
    [`${model}/tree/v1.0`, "Qwen/Qwen3-0.6B v1.0"],
    [`${model}/tree/v1.0/sub`, "Qwen/Qwen3-0.6B v1.0 sub/"],
    [`${model}/resolve/master/sub/a%20b.gguf`, "Qwen/Qwen3-0.6B master sub/a b.gguf"],
    ["https://modelscope.cn/Qwen/Qwen3-0.6B/resolve/v1/m.gguf", "Qwen/Qwen3-0.6B v1 m.gguf"],
    [`${model}/file/view/master/sub%2Fm.gguf?status=2`, "Qwen/Qwen3-0.6B master sub/m.gguf"],
    [`${api}/repo?Revision=v1&FilePath=sub%2Fm.gguf`, "Qwen/Qwen3-0.6B v1 sub/m.gguf"],
    [`${api}/repo?FilePath=m.gguf`, "Qwen/Qwen3-0.6B master m.gguf"],
    [
      "https://modelscope.ai/models/Qwen/Qwen3-0.6B/resolve/master/m.gguf",
      "Qwen/Qwen3-0.6B master m.gguf https://www.modelscope.ai",
    ],
    ["https://modelscope.cn/datasets/a/b", undefined],
    ["https://modelscope.cn/datasets/a/b/resolve/master/x", undefined],
    ["https://modelscope.cn/studios/a/b/summary", undefined],
    ["https://modelscope.cn/models", undefined],
    ["https://modelscope.cn/models/Qwen", undefined],
    [`${api}/repo/files?Revision=master`, undefined],
    [`${api}/repo`, undefined],
    ["https://modelscope.cn:444/models/a/b", undefined],
    ["https://modelscope.cn.evil.example/models/a/b", undefined],
    ["ftp://modelscope.cn/models/a/b", undefined],
  ])("%s", (url, expected) => {
    expect(named(url)).toBe(expected);
  });

  test("the same by name, page, file address and API has one key; the other site's model has its own", () => {
    const key = (request: StartRequest) => source.parse(request).key;
    const filename = "m.gguf";
    const byName = key(ask("Qwen/Qwen3-0.6B", { filename }));
    expect(key({ url: `${model}/resolve/master/m.gguf` })).toBe(byName);
    expect(key({ url: `${api}/repo?Revision=master&FilePath=m.gguf` })).toBe(byName);
    expect(key({ url: `${model}/file/view/master/m.gguf` })).toBe(byName);
    expect(key({ url: "https://modelscope.ai/models/Qwen/Qwen3-0.6B/resolve/master/m.gguf" })).not.toBe(
      byName,
    );
  });

  test("F194 what is shown is the page, without the query that was typed", () => {
    expect(source.parse({ url: `${model}/files?token=secret` }).url).toBe(model);
    expect(source.parse({ url: `${api}/repo?FilePath=a%20b.gguf&token=secret` }).url).toBe(
      `${model}/resolve/master/a%20b.gguf`,
    );
    expect(source.parse(ask("a/b", { revision: "v1" })).url).toBe("https://modelscope.cn/models/a/b/tree/v1");
  });

  test("a mirror stands for the Chinese site, and keeps its path", async () => {
    const mirror = createModelScope({ http, clock, endpoint: "http://10.1.2.3:8000/ms" });
    const ref = mirror.parse({ url: `${model}/resolve/master/m.gguf` });
    expect(ref.baseUrl).toBeUndefined();
    expect(mirror.parse({ url: "http://10.1.2.3:8000/ms/models/Qwen/Qwen3-0.6B" }).repo).toBe(
      "Qwen/Qwen3-0.6B",
    );
    expect(mirror.accepts({ url: "http://10.1.2.3:8000/models/Qwen/Qwen3-0.6B" })).toBe(false);
    const { url, operator } = await mirror.locate(ref, { path: "m", locator: "api/v1/x" }, context());
    expect([url, operator]).toEqual(["http://10.1.2.3:8000/ms/api/v1/x", true]);
  });

  test("F35 the operator's token is for the operator's site only; a request's own goes where it asks", async () => {
    const own = createModelScope({ http, clock, endpoint: "https://modelscope.cn", token: "ms-operator" });
    const file = { path: "m", locator: "api/v1/x" };
    const there = own.parse({ url: "https://modelscope.ai/models/a/b" });
    const here = own.parse(ask("a/b"));
    expect((await own.locate(there, file, context())).credentials).toBeUndefined();
    expect((await own.locate(there, file, context())).operator).toBeUndefined();
    expect((await own.locate(there, file, context({ token: "ms-mine" }))).credentials).toEqual({
      origin: "https://www.modelscope.ai",
      headers: { Authorization: "Bearer ms-mine", Cookie: "m_session_id=ms-mine" },
    });
    expect((await own.locate(here, file, context())).credentials).toEqual({
      origin: "https://modelscope.cn",
      headers: { Authorization: "Bearer ms-operator", Cookie: "m_session_id=ms-operator" },
    });
  });

  test("F159 a token that is no cookie, or beside a cookie of the request, is sent as header only", async () => {
    const locate = (secret: object) =>
      source.locate(source.parse(ask("a/b")), { path: "m", locator: "x" }, context(secret));
    expect((await locate({ token: 'a;b="c"' })).credentials?.headers).toEqual({
      Authorization: 'Bearer a;b="c"',
    });
    expect((await locate({ token: "t", headers: { cookie: "x=1" } })).credentials?.headers).toEqual({
      cookie: "x=1",
      Authorization: "Bearer t",
    });
    expect((await locate({ headers: { Authorization: "Basic x" } })).credentials?.headers).toEqual({
      Authorization: "Basic x",
    });
  });

  test("provider names, default ids and the layout", () => {
    for (const provider of ["modelscope", "ModelScope", "ms"])
      expect(source.accepts({ provider })).toBe(true);
    expect(source.accepts({ repoId: "a/b" })).toBe(false);
    expect(source.accepts({ provider: "huggingface", url: model })).toBe(false);
    expect(source.defaultModelId(source.parse(ask("a/b")))).toBe("a/b");
    expect(source.defaultModelId(source.parse(ask("a/b", { filename: "c/d.gguf" })))).toBe("a/b/c/d.gguf");
    expect(source.layouts).toEqual(["flat"]);
  });
});

describe("one commit for everything", () => {
  const pinOf = (locator: string) => new URLSearchParams(locator.split("?")[1]).get("Revision");

  test("F76 the commit is told in full, by its first digits, or by each file's last change", async () => {
    const source = await withSite({ repos: [tiny()] });
    const repo = site.repo(REPO);
    const first = repo.branches.get("master");
    const second = repo.commit([{ path: "config.json", content: '{"new":1}' }]);
    const resolve = (more: StartRequest = {}) => new Asked({ source, http }, ask(REPO, more)).resolve();
    const pins = (files: readonly { locator: string }[]) => [
      ...new Set(files.map(({ locator }) => pinOf(locator))),
    ];

    for (const fullCommit of [true, false]) {
      site.settings.fullCommit = fullCommit;
      const { commit, files } = await resolve();
      expect([commit, pins(files)]).toEqual([second, [second]]);
    }
    const asked = await resolve({ revision: first! });
    expect([asked.commit, pins(asked.files)]).toEqual([first, [first!]]);

    site.origin.on(
      { path: "*/repo/files" },
      {
        kind: "respond",
        status: 200,
        headers: json,
        body: JSON.stringify({
          Code: 200,
          Success: true,
          Data: [
            { Path: "config.json", Type: "blob", Size: 9, Sha256: "a".repeat(64), Revision: second },
            { Path: "README.md", Type: "blob", Size: 9, Sha256: "", Revision: first },
            { Path: "x.json", Type: "blob", Size: 9, Revision: "not a commit" },
          ],
        }),
      },
    );
    const bare = await resolve();
    expect(bare.commit).toBeUndefined();
    expect(bare.files.map(({ locator }) => pinOf(locator))).toEqual([second, first!, "master"]);
    expect(bare.files.map(({ digest }) => digest?.hex ?? null)).toEqual(["a".repeat(64), null, null]);
  });

  test("tags and other branches, and a file as it was at them", async () => {
    const source = await withSite({ repos: [tiny()] });
    const repo = site.repo(REPO);
    repo.tags.set("v1.0", repo.branches.get("master")!);
    repo.commit([{ path: "config.json", content: '{"new":1}' }]);
    repo.commit([{ path: "config.json", content: '{"dev":1}' }], { branch: "dev", replace: true });
    const text = async (revision?: string) => {
      const asked = new Asked(
        { source, http },
        ask(REPO, { filename: "config.json", ...(revision ? { revision } : {}) }),
      );
      return (await asked.fetch((await asked.resolve()).files[0]!)).bytes.toString();
    };
    expect(await text()).toBe('{"new":1}');
    expect(await text("dev")).toBe('{"dev":1}');
    expect(await text("v1.0")).toContain("LlamaForCausalLM");
  });
});

describe("listings", () => {
  const many = (): RepoSpec => ({
    id: "acme/many",
    files: Array.from({ length: 40 }, (_, i) => `${["", "a/", "b/", "b/c/"][i % 4]}f${i}.json`).map(
      (path) => ({
        path,
        content: path,
      }),
    ),
  });

  test("a list that has been cut off without a word is made whole folder by folder", async () => {
    const source = await withSite({ repos: [many()], listLimit: 3_000 });
    const asked = new Asked({ source, http }, ask("acme/many"));
    expect((await asked.resolve()).files).toHaveLength(40);
    expect(site.origin.requests("*/repo/files")).toHaveLength(1);
    const files = (limit: number) =>
      Array.from({ length: limit }, (_, i) => ({ path: `${"pqrst"[i % 5]}/f${i}.json`, content: "{}" }));
    site.add({ id: "acme/huge", files: [...files(6_000), { path: "top.json", content: "{}" }] });
    const huge = await new Asked({ source, http }, ask("acme/huge")).resolve();
    expect(new Set(huge.files.map(({ path }) => path)).size).toBe(6_001);
    // The whole, its own level, and each of the five folders.
    expect(site.origin.requests("*/repo/files")).toHaveLength(1 + 7);
    expect(huge.commit).toBe(site.repo("acme/huge").branches.get("master"));
  });

  test("a file of a list that has been cut off is looked for in its folder", async () => {
    const source = await withSite({});
    const files = Array.from({ length: 6_000 }, (_, i) => ({
      path: `${"pqrst"[i % 5]}/f${i}.json`,
      content: "{}",
    }));
    site.add({ id: "acme/huge", files: [...files, { path: "top.json", content: "{}" }] });
    const find = async (filename: string) => {
      const before = site.origin.requests("*/repo/files").length;
      const asked = new Asked({ source, http }, ask("acme/huge", { filename }));
      const found = await asked.resolve().then(
        ({ files: [file] }) => file?.digest?.hex.length,
        (error) => error.code,
      );
      return [found, site.origin.requests("*/repo/files").length - before];
    };
    expect(await find("p/f0.json")).toEqual([64, 1]);
    expect(await find("t/f5999.json")).toEqual([64, 2]);
    expect(await find("top.json")).toEqual([64, 2]);
    expect(await find("t/none.json")).toEqual(["entry_not_found", 2]);
    expect(await find("none/none.json")).toEqual(["entry_not_found", 2]);
    site.add({
      id: "acme/huge",
      files: Array.from({ length: 3_002 }, (_, i) => ({ path: `p/f${i}`, content: "" })),
    });
    expect(await find("p/f7")).toEqual([64, 1]);
    expect(await find("p/f3001")).toEqual(["too_large", 2]);
  });

  test("a folder that the site cannot list is an error, never half a model", async () => {
    const source = await withSite({});
    const files = Array.from({ length: 3_001 }, (_, i) => ({ path: `p/f${i}.json`, content: "{}" }));
    site.add({ id: "acme/huge", files });
    const error = await failure(new Asked({ source, http }, ask("acme/huge")).resolve());
    expect(error).toMatchObject({ code: "too_large", verdict: "final" });
    expect(error.message).toContain("in the folder p");
  });

  test("pickers see quantizations, shard sets and whether the model is gated", async () => {
    const split = { quantization: "F16", count: 2, sizeOfEach: 5_000 };
    const source = await withSite({ repos: [{ ...ggufRepo(REPO, { split }), gated: "auto" }] });
    const token = site.addUser("ada", { access: { [REPO]: "granted" } });
    const { gated, repo, commit, files } = await source.list!(REPO, undefined, context({ token }));
    expect([gated, repo, commit]).toEqual([true, REPO, site.repo(REPO).branches.get("master")!]);
    const shards = files.filter(({ shard }) => shard !== null);
    expect(shards.map(({ shardSet }) => shardSet)).toEqual(Array(2).fill("tiny-F16-*-of-00002.gguf"));
    expect(files.find(({ path }) => path.endsWith("Q4_K_M.gguf"))?.quantization).toBe("Q4_K_M");
    expect(await failure(source.list!(REPO, undefined, context()))).toMatchObject({ code: "auth_required" });
  });

  test("a model that is made for MLX is labelled", async () => {
    const source = await withSite({ repos: [tiny(), { ...tiny(), id: "mlx-community/tiny-4bit" }] });
    expect((await new Asked({ source, http }, ask(REPO)).resolve()).labels).toBeUndefined();
    const labels = { format: "mlx" };
    expect((await new Asked({ source, http }, ask("mlx-community/tiny-4bit")).resolve()).labels).toEqual(
      labels,
    );
  });
});

describe("errors as the site gives them", () => {
  const resolve = (source: Source, more: StartRequest = {}) =>
    new Asked({ source, http }, ask(REPO, more)).resolve();

  test("a revision that does not exist is an error also where the site answers with an empty list", async () => {
    const source = await withSite({
      repos: [tiny(), { id: "acme/empty", files: [] }],
      unknownRevision: "empty",
    });
    const error = await failure(resolve(source, { revision: "main" }));
    expect(error).toMatchObject({ code: "revision_not_found", verdict: "final" });
    expect(error.message).toContain('"master"');
    expect(await failure(new Asked({ source, http }, ask("acme/empty")).resolve())).toMatchObject({
      code: "entry_not_found",
    });
  });

  test("trouble of the site that looks like not found is tried again", async () => {
    const source = await withSite({ repos: [tiny()] });
    site.trouble(1);
    expect(await failure(resolve(source))).toMatchObject({ code: "server_error", verdict: "retry" });
    expect((await resolve(source)).files.length).toBeGreaterThan(0);
  });

  test("an envelope says more than its status", async () => {
    const source = await withSite({ repos: [tiny()] });
    const cases: [status: number, body: object, code: string][] = [
      [200, { Code: 10010205001, Success: false, Message: "record not found" }, "not_found"],
      [200, { Code: 404, Success: false }, "not_found"],
      [200, { Code: 503, Success: false }, "server_error"],
      [200, { Code: 429, Success: false }, "rate_limited"],
      [200, { Code: 12345, Success: false }, "protocol"],
      [200, { Code: 200, Success: false }, "protocol"],
      [404, { Code: "10010200001" }, "auth_required"],
      [401, {}, "auth_required"],
      [403, { Message: "forbidden" }, "auth_required"],
      [404, {}, "not_found"],
      [500, {}, "server_error"],
      [418, {}, "rejected"],
    ];
    for (const [status, body, code] of cases) {
      const rule = site.origin.on({}, { kind: "respond", status, headers: json, body: JSON.stringify(body) });
      const error = await failure(resolve(source));
      expect([status, body, error.code]).toEqual([status, body, code as never]);
      rule.remove();
    }
    const rule = site.origin.on({}, { kind: "respond", status: 401, headers: json, body: "{}" });
    const error = await failure(resolve(source, { token: "ms-canary" }));
    expect(error).toMatchObject({ code: "auth_required" });
    expect(error.message).toMatch(/does not accept the token/);
    expect(error.message).not.toContain("canary");
    rule.remove();
  });

  test("a refusal of the download route is explained, one of the servers behind it is not", async () => {
    const source = await withSite({ repos: [tiny()] });
    const ref = source.parse(ask(REPO, { filename: "gone.gguf" }));
    const explain = (status: number, headers: Record<string, string>) =>
      source.explain?.(ref, status, new Headers(headers));
    expect(explain(404, json)).toMatchObject({ code: "entry_not_found", verdict: "final" });
    expect(explain(404, json)?.message).toMatch(/"gone.gguf" of acme\/tiny-gguf.*token/);
    expect(explain(401, json)).toMatchObject({ code: "auth_required" });
    expect(explain(403, json)).toMatchObject({ code: "forbidden" });
    expect(explain(403, { "content-type": "application/xml" })).toBeUndefined();
    expect(explain(500, json)).toBeUndefined();
  });

  test("entries that are none are an error of the site", async () => {
    const source = await withSite({ repos: [tiny()] });
    const entries = [
      { Path: 7, Type: "blob", Size: 1 },
      { Path: "a", Type: "blob", Size: -1 },
      { Path: "a", Type: "blob", Size: "1" },
      { Path: "a", Type: "blob", Size: 1.5 },
    ];
    for (const entry of entries) {
      const body = JSON.stringify({ Code: 200, Data: { Files: [entry] } });
      const rule = site.origin.on({ path: "*/files" }, { kind: "respond", status: 200, headers: json, body });
      expect(await failure(resolve(source))).toMatchObject({ code: "protocol" });
      rule.remove();
    }
  });
});

test("GET /v1/sources knows MLX and ModelScope, plain URLs come last", () => {
  const names = createSources({ http, clock, log }).map(({ name }) => name);
  expect(names.slice(0, 3)).toEqual(["huggingface", "mlx", "modelscope"]);
  expect(names.at(-1)).toBe("url");
});
