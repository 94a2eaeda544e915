import { describe, expect, test } from "bun:test";
import { sources } from "./support.ts";

describe("which URLs are the hub's", () => {
  const HUB: [string, string | undefined][] = [
    [
      "https://huggingface.co/Qwen/Qwen2.5-0.5B-Instruct-GGUF/resolve/main/qwen2.5-0.5b-instruct-q4_k_m.gguf",
      "huggingface",
    ],
    ["https://huggingface.co/microsoft/DialoGPT-medium/resolve/main/pytorch_model.bin", "huggingface"],
    ["https://hf.co/org/name", "huggingface"],
    ["https://huggingface.co/gpt2/resolve/main/config.json", "huggingface"],
    ["https://huggingface.co/org/name/tree/main/sub", "huggingface"],
    ["https://huggingface.co/model/file.gguf", "url"],
    ["https://huggingface.co/datasets/org/name/resolve/main/x.gguf", "url"],
    ["https://huggingface.co/docs/hub", "url"],
    ["https://huggingface.co/api/models/org/name", "url"],
    ["https://huggingface.co/org/name/discussions/1", "url"],
    ["https://huggingface.co:8443/org/name/resolve/main/x", "url"],
    ["https://example.com/org/name/resolve/main/x.gguf", "url"],
    ["https://huggingface.co.evil.example/org/name", "url"],
    ["ftp://huggingface.co/org/name", "url"],
  ];
  for (const [url, name] of HUB)
    test(`${url} goes to ${name}`, () => {
      expect(sources().find((s) => s.accepts({ url }))?.name).toBe(name);
    });

  test("other providers are nobody's, an endpoint below a path is understood", () => {
    expect(sources().find((s) => s.accepts({ provider: "openai", model: "x" }))).toBeUndefined();
    const [hf] = sources("https://mirror.example/hf/");
    expect(hf!.parse({ url: "https://mirror.example/hf/a/b/resolve/main/x.gguf" })).toMatchObject({
      repo: "a/b",
      files: ["x.gguf"],
    });
    expect(hf!.parse({ provider: "HF", model: "a/b" }).url).toBe("https://mirror.example/hf/a/b");
  });

  test("a server of one's own is refused, not passed over: another one would get the token", () => {
    const baseUrl = "https://mirror.example";
    const named = (provider: string) => ({ provider, model: "a/b", baseUrl });
    for (const request of [named("huggingface"), named("mlx"), named("modelscope")]) {
      const source = sources().find((one) => one.accepts(request));
      expect(() => source?.parse(request)).toThrow(/^base_url does not go with/);
    }
    const url = { url: "https://example.com/m.gguf", baseUrl };
    expect(() =>
      sources()
        .find((one) => one.accepts(url))
        ?.parse(url),
    ).toThrow(/^base_url does not go with/);
  });

  test("model ids, URLs and keys that people see", () => {
    const [hf] = sources();
    const one = hf!.parse({ repoId: "a/b", filename: "sub/x y.gguf", revision: "refs/pr/2" });
    expect(one.url).toBe("https://huggingface.co/a/b/resolve/refs%2Fpr%2F2/sub/x%20y.gguf");
    expect(hf!.defaultModelId(one)).toBe("a/b/sub/x y.gguf");
    expect(hf!.defaultModelId(hf!.parse({ repoId: "a/b" }))).toBe("a/b");
    const typed = "https://huggingface.co/a/b/blob/main/x.gguf";
    expect(hf!.parse({ url: `${typed}?download=true` }).url).toBe(typed);
    const key = (include: string[]) => hf!.parse({ repoId: "a/b", include }).key;
    expect(key(["b", "a", "b"])).toBe(key(["a", "b"]));
    expect(key(["a"])).not.toBe(key(["b"]));
  });
});
