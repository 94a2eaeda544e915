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
    expect(bare.files.map(({ digest }) => digest?.hex ?? null)).toEqual<unknown>([
      "a".repeat(64),
      null,
      null,
    ]);
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

  test("F76 a folder's last commit is not taken for that of the whole", async () => {
    const source = await withSite({});
    const files = Array.from({ length: 3_100 }, (_, i) => ({
      path: `${i < 3_050 ? "p" : "q"}/${i % 2}/f${i}`,
      content: "{}",
    }));
    const repo = site.add({ id: "acme/huge", files });
    const first = repo.branches.get("master");
    const second = repo.commit([{ path: "q/1/f3099", content: "changed" }]);
    const { commit, files: found } = await new Asked({ source, http }, ask("acme/huge")).resolve();
    expect([commit, found.length]).toEqual([undefined, 3_100]);
    const pins = found.map(({ path, locator }) => `${path} ${/Revision=(\w+)/.exec(locator)?.[1]}`);
    expect(pins).toContain(`q/1/f3099 ${second}`);
    expect(pins).toContain(`p/0/f0 ${first}`);
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
