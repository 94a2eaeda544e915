import { describe, expect, test } from "bun:test";
import { parseRef, toBody } from "../../src/cli/ref.ts";
import type { DownloadError } from "../../src/core/errors.ts";
import type { StartRequest } from "../../src/core/ports.ts";

const REFS: [string, StartRequest][] = [
  ["hf:org/name", { repoId: "org/name" }],
  ["HF:org/name", { repoId: "org/name" }],
  ["org/name", { repoId: "org/name" }],
  ["hf:gpt2", { repoId: "gpt2" }],
  ["hf:org/name@v1.0", { repoId: "org/name", revision: "v1.0" }],
  ["hf:org/name@refs%2Fpr%2F1", { repoId: "org/name", revision: "refs/pr/1" }],
  ["hf:org/name/sub/file.gguf", { repoId: "org/name", filename: "sub/file.gguf" }],
  ["hf:org/name@main/a b@c.bin", { repoId: "org/name", revision: "main", filename: "a b@c.bin" }],
  ["hf:org/name/*Q4_K_M*.gguf", { repoId: "org/name", include: ["*Q4_K_M*.gguf"] }],
  ["mlx:mlx-community/Llama-4bit", { provider: "mlx", model: "mlx-community/Llama-4bit" }],
  [
    "mlx:org/name@v2/config.json",
    { provider: "mlx", model: "org/name", revision: "v2", filename: "config.json" },
  ],
  ["mlx:org/name/*.safetensors", { provider: "mlx", model: "org/name", include: ["*.safetensors"] }],
  ["modelscope:Qwen/Qwen3-0.6B", { provider: "modelscope", model: "Qwen/Qwen3-0.6B" }],
  [
    "ms:org/name@v1.0/sub/m.gguf",
    { provider: "modelscope", model: "org/name", revision: "v1.0", filename: "sub/m.gguf" },
  ],
  ["https://modelscope.cn/models/org/name", { url: "https://modelscope.cn/models/org/name" }],
  ["ollama:llama3.2:1b", { provider: "ollama", model: "llama3.2:1b" }],
  ["ollama:me/model", { provider: "ollama", model: "me/model" }],
  ["ollama-registry:llama3.2:1b", { provider: "ollama-registry", model: "llama3.2:1b" }],
  ["ollama-registry:localhost:5000/a/b", { provider: "ollama-registry", model: "localhost:5000/a/b" }],
  ["hf.co/org/name", { url: "https://hf.co/org/name" }],
  ["huggingface.co/org/name/blob/main/a.gguf", { url: "https://huggingface.co/org/name/blob/main/a.gguf" }],
  ["www.modelscope.cn/models/org/name", { url: "https://www.modelscope.cn/models/org/name" }],
  ["hf.company/name", { repoId: "hf.company/name" }],
  ["https://h/f.bin?sig=1", { url: "https://h/f.bin?sig=1" }],
  ["http://127.0.0.1:1/f", { url: "http://127.0.0.1:1/f" }],
];

describe("parseRef", () => {
  test.each(REFS)("%s", (ref, expected) => {
    expect(parseRef(ref)).toEqual(expected);
  });

  test.each([
    "",
    "name",
    "hf:",
    "ollama:",
    "ollama-registry:",
    "ollama-registry:a b",
    "mlx:",
    "modelscope:",
    "ollama:a b",
    "s3:bucket/x",
    "ftp://h/f",
    "hf:org/name@%zz",
    "a b/c",
  ])("refuses %p and says what can be written", (ref) => {
    expect(() => parseRef(ref)).toThrow(/write hf:org\/name/);
    try {
      parseRef(ref);
    } catch (error) {
      expect((error as DownloadError).code).toBe("invalid_request");
    }
  });

  test("F194 a refused reference is shown without its query", () => {
    expect(() => parseRef("s3://bucket/x?X-Amz-Signature=secret")).toThrow(/^(?!.*secret)/);
    expect(() => parseRef("ftp://ada:secret@h/x")).toThrow(/^(?!.*secret)/);
  });
});

test("toBody speaks the native API and leaves out what was not given", () => {
  expect(toBody({ repoId: "a/b", rateLimit: 0, include: ["*"], layout: "flat", token: "t" })).toEqual({
    repo_id: "a/b",
    rate_limit_bps: 0,
    include: ["*"],
    layout: "flat",
    token: "t",
  });
});
