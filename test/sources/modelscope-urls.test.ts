import { describe, expect, test } from "bun:test";
import type { StartRequest } from "../../src/core/ports.ts";
import { createModelScope } from "../../src/sources/modelscope.ts";
import { client, clock } from "../http/client.ts";
import { context } from "./support.ts";

const http = client();
const ask = (model: string, more: StartRequest = {}): StartRequest => ({
  provider: "modelscope",
  model,
  ...more,
});

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
    ["https://constructor/models/a/b", undefined],
    ["https://__proto__/models/a/b", undefined],
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
    expect([url, operator]).toEqual<unknown[]>(["http://10.1.2.3:8000/ms/api/v1/x", true]);
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
