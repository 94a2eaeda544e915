import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { all, query } from "./abstractcore-world.ts";
import { type Served, serve } from "./support.ts";

let served: Served;
beforeAll(async () => {
  served = await serve();
});
afterAll(() => served[Symbol.asyncDispose]());

/** Status, param, code and words of a refusal. */
async function refused(
  path: string,
  body: object,
  method = "POST",
): Promise<[number, string | null, string | null, string]> {
  const { status, body: answer } = await served.call(method, path, body);
  const { param, code, message } = answer.error;
  return [status, param, code, message];
}

const streamed = async (parameters: Record<string, string>): Promise<string> =>
  (await all(served, query(parameters))).at(-1).error;

describe("R186 provider 'url' asked with what is no URL says what it needs", () => {
  for (const model of ["abc", "file:///etc/passwd", "acme/tiny"])
    test(model, async () => {
      const [status, param, code, message] = await refused("/v1/downloads", { provider: "url", model });
      expect([status, param, code]).toEqual([400, "model", "invalid_url"]);
      expect(message).toMatch(/^Provider 'url' .*https:\/\/host\/path/);
      expect(message).not.toContain("not supported");
      expect(await streamed({ provider: "url", model })).toBe(message);
    });

  test("as repo_id, and as a model that is a URL, which is taken", async () => {
    const [, param] = await refused("/v1/downloads", { provider: "url", repo_id: "acme/tiny" });
    expect(param).toBe("repo_id");
    const body = { provider: "url", model: "http://127.0.0.1:9/dir/m.gguf?sig=canary" };
    const taken = await served.call("POST", "/v1/downloads", body);
    expect([taken.status, taken.body.model_id]).toEqual([202, "m.gguf"]);
    expect(JSON.stringify(taken.body)).not.toContain("canary");
    await served.call("DELETE", "/v1/downloads/m.gguf");
  });
});

describe("R183 R186 a provider without downloads is refused with the reason, through every family", () => {
  const reasons = { lmstudio: /LM Studio has no download API/, "LM-Studio": /lms command/, openai: /cloud/ };
  for (const [provider, reason] of Object.entries(reasons))
    test(provider, async () => {
      const [status, param, code, message] = await refused("/v1/downloads", { provider, model: "x" });
      expect([status, param, code]).toEqual([400, "provider", "unsupported_provider"]);
      expect(message).toMatch(reason);
      expect(message).toContain("Supported providers: huggingface");
      expect((await streamed({ provider, model: "x" })).toLowerCase()).toBe(message.toLowerCase());
    });

  test("a provider that nobody knows is refused with those that there are", async () => {
    const [, , , message] = await refused("/v1/downloads", { provider: "nobody", model: "x" });
    expect(message).toMatch(/^Provider 'nobody' does not support model downloads\. Supported providers: /);
  });
});

describe("R186 what an Ollama server keeps is no file for an engine", () => {
  for (const [path, more] of [
    ["/engines", { engine_id: "e" }],
    ["/models", { model_id: "e", model_type: "llm" }],
  ] as const)
    test(`POST ${path} names model_path, and nothing that was not sent`, async () => {
      const [status, param, code, message] = await refused(path, { ...more, model_path: "ollama:three" });
      expect([status, param, code]).toEqual([400, "model_path", "invalid_request"]);
      expect(message).toMatch(/Ollama|'ollama'/);
      expect(message).not.toMatch(/engine'? out/);
    });

  test("POST /v1/downloads names the engine that was sent", async () => {
    const body = { provider: "ollama", model: "three", engine: { engine_id: "e" } };
    expect((await refused("/v1/downloads", body)).slice(0, 2)).toEqual([400, "engine"]);
  });
});

describe("R186 a base_url that is none is named as such", () => {
  for (const provider of ["ollama", "ollama-registry"])
    test(provider, async () => {
      const body = { provider, model: "three", base_url: "http://" };
      const [status, param, code, message] = await refused("/v1/downloads", body);
      expect([status, param, code]).toEqual([400, "base_url", "invalid_url"]);
      expect(message).toStartWith("base_url: ");
      expect(await streamed(body)).toBe(message);
    });

  test("the registry's has no short form", async () => {
    const body = { provider: "ollama-registry", model: "three", base_url: "127.0.0.1:5000" };
    const [, param, , message] = await refused("/v1/downloads", body);
    expect([param, message]).toEqual(["base_url", expect.stringMatching(/^base_url: .*https:\/\/host/)]);
  });
});

describe("F165 a first wait longer than the longest names the value that was given", () => {
  test.each([
    [{ base_ms: 90_000 }, "retry.base_ms", "at most 'retry.max_ms', which is 60000"],
    [{ max_ms: 1 }, "retry.max_ms", "at least 'retry.base_ms', which is 1000"],
    [{ base_ms: 2, max_ms: 1 }, "retry.base_ms", "at most 'retry.max_ms', which is 1"],
  ])("%j", async (retry, name, words) => {
    const before = (await served.call("GET", "/v1/settings")).body;
    const [status, param, code, message] = await refused("/v1/settings", { paused: true, retry }, "PATCH");
    expect([status, param, code]).toEqual([400, name, "invalid_request"]);
    expect(message).toContain(words);
    expect((await served.call("GET", "/v1/settings")).body).toEqual(before);
  });
});
