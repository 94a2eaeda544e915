import { describe, expect, test } from "bun:test";
import { mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DownloadError } from "../../src/core/errors.ts";
import { createRuntimes } from "../../src/engines/index.ts";
import { register } from "../../src/engines/register.ts";
import { tempDir } from "../support/temp.ts";
import { engineSpec, type Gguf, gguf, LLAMA, pair, text, u32, u64, writeModel } from "./support.ts";

const never = new AbortController().signal;
const look = (path: string, more = {}) => register.create(engineSpec("e", more), path, never);

async function refusal(path: string): Promise<string> {
  const error = await look(path).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(DownloadError);
  expect((error as DownloadError).code).toBe("engine_failed");
  return (error as DownloadError).message;
}

/** A GGUF header out of raw parts. */
const raw = (tensors: number | bigint, pairs: number | bigint, ...parts: Buffer[]): Buffer =>
  Buffer.concat([Buffer.from("GGUF"), u32(3), u64(tensors), u64(pairs), ...parts]);

function safetensors(header: object | string, data: number): Buffer {
  const json = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  return Buffer.concat([u64(json.length), json, Buffer.alloc(data)]);
}

/** One pair and one tensor of four F32, as a machine of the other byte order writes them. */
function bigEndian(): Buffer {
  const swapped = (...parts: Buffer[]): Buffer => Buffer.concat(parts.map((part) => part.reverse()));
  const string = (value: string): Buffer => Buffer.concat([swapped(u64(value.length)), Buffer.from(value)]);
  const counts = swapped(u32(3), u64(1), u64(1));
  const entry = Buffer.concat([string("general.architecture"), swapped(u32(8)), string("llama")]);
  const tensor = Buffer.concat([string("w"), swapped(u32(1), u64(4), u32(0), u64(0))]);
  return Buffer.concat([Buffer.from("GGUF"), counts, entry, tensor, Buffer.alloc(31 + 16)]);
}

const TENSOR = { dtype: "BF16", shape: [4, 8], data_offsets: [0, 64] };

describe("A16 register reads GGUF", () => {
  test("R83 architecture, quantization, context, parameters and memory are kept", async () => {
    using dir = tempDir("model");
    const path = writeModel(dir.at("m.gguf"), { pairs: LLAMA, tensors: [{ shape: [64, 32] }] });
    const { state, details, modelType, warnings, endpoint } = await look(path);
    expect({ state, modelType, warnings, endpoint }).toEqual({
      state: "loaded",
      modelType: "llm",
      warnings: [],
      endpoint: null,
    });
    // 64x32 weights of 4 bytes; 4 layers x 2 heads x (8 + 8) x 2 bytes x 4096 tokens.
    expect(details).toEqual({
      format: "gguf",
      architecture: "llama",
      quantization: "Q4_K_M",
      contextLength: 8192,
      parameterCount: 2048,
      memoryBytes: 8192 + 4 * 2 * 16 * 2 * 4096,
    });
  });

  test("the context asked for counts, not beyond what the model was made for", async () => {
    using dir = tempDir("model");
    const path = writeModel(dir.at("m.gguf"), { pairs: LLAMA, tensors: [{ shape: [64, 32] }] });
    const memory = async (n_ctx: number) =>
      (await look(path, { parameters: { n_ctx } })).details?.memoryBytes;
    expect(await memory(100)).toBe(8192 + 4 * 2 * 16 * 2 * 100);
    expect(await memory(1_000_000)).toBe(8192 + 4 * 2 * 16 * 2 * 8192);
  });

  test("load_immediately:false keeps the record only, with every runtime", async () => {
    using dir = tempDir("model");
    const path = writeModel(dir.at("m.gguf"));
    const http = { request: () => Promise.reject(new Error("asked")), check: (url: string) => new URL(url) };
    const digests = { file: () => Promise.reject(new Error("hashed")) };
    const clock = { now: () => 0, monotonic: () => 0, sleep: async () => {} };
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const runtimes = createRuntimes({ http, digests, clock, log });
    for (const runtime of runtimes) {
      const { state, endpoint } = await runtime.create(
        engineSpec("e", { loadImmediately: false }),
        path,
        never,
      );
      expect([runtime.name, state, endpoint]).toEqual([runtime.name, "created", null]);
    }
  });

  const kinds: [string, Gguf["pairs"], "llm" | "embedding"][] = [
    ["bert", { "general.architecture": "bert" }, "embedding"],
    ["nomic-bert", { "general.architecture": "nomic-bert" }, "embedding"],
    ["a decoder made to pool", { "general.architecture": "qwen3", "qwen3.pooling_type": 3 }, "embedding"],
    ["no pooling", { "general.architecture": "qwen3", "qwen3.pooling_type": 0 }, "llm"],
    [
      "no causal attention",
      { "general.architecture": "llama", "llama.attention.causal": false },
      "embedding",
    ],
    [
      "tags",
      { "general.architecture": "llama", "general.tags": ["x", "sentence-transformers"] },
      "embedding",
    ],
    ["its own name", { "general.architecture": "llama", "general.name": "E5 Mistral" }, "embedding"],
    ["llama", { "general.architecture": "llama", "general.name": "Tiny" }, "llm"],
  ];
  for (const [what, pairs = {}, kind] of kinds)
    test(`A23 R83 ${what} means ${kind}, whatever was guessed by name`, async () => {
      using dir = tempDir("model");
      const path = writeModel(dir.at("m.gguf"), { pairs });
      expect((await look(path, { modelType: "llm" })).modelType).toBe(kind);
      expect((await look(path, { modelType: "embedding" })).modelType).toBe(kind);
    });

  test("A23 a header that says nothing leaves the guess", async () => {
    using dir = tempDir("model");
    const path = dir.at("m.safetensors");
    writeFileSync(path, safetensors({ w: TENSOR }, 64));
    expect((await look(path, { modelType: "embedding" })).modelType).toBe("embedding");
    expect((await look(path, { modelType: "llm" })).modelType).toBe("llm");
  });

  test("an encoder has no KV cache; without a file type the weights tell the quantization", async () => {
    using dir = tempDir("model");
    const pairs = { "general.architecture": "bert", "bert.block_count": 9, "bert.embedding_length": 64 };
    const tensors = [{ shape: [8, 32], type: 8 }];
    const path = writeModel(dir.at("m.gguf"), { pairs, tensors, data: 8 * 34 });
    expect((await look(path)).details).toMatchObject({ quantization: "Q8_0", memoryBytes: 8 * 34 });
  });

  test("a vocabulary longer than any window is passed over", async () => {
    using dir = tempDir("model");
    const tokens = Array.from({ length: 60_000 }, (_, i) => `token ${i} of a large vocabulary`);
    const scores = Array.from({ length: 60_000 }, (_, i) => i);
    const template = "{% for m in messages %}".repeat(30_000);
    const vocabulary = {
      "tokenizer.ggml.tokens": tokens,
      "tokenizer.ggml.scores": scores,
      "tokenizer.chat_template": template,
    };
    const path = writeModel(dir.at("m.gguf"), { pairs: { ...vocabulary, ...LLAMA } });
    expect((await look(path)).details).toMatchObject({
      architecture: "llama",
      contextLength: 8192,
      parameterCount: 32,
    });
  });

  test("a big-endian file and one of version 2 are read, version 4 is refused", async () => {
    using dir = tempDir("model");
    expect(
      (await look(writeModel(dir.at("2.gguf"), { pairs: LLAMA, version: 2 }))).details?.architecture,
    ).toBe("llama");
    expect(await refusal(writeModel(dir.at("4.gguf"), { version: 4 }))).toContain("unknown GGUF version (4)");
    writeFileSync(dir.at("be.gguf"), bigEndian());
    expect((await look(dir.at("be.gguf"))).details).toMatchObject({
      architecture: "llama",
      parameterCount: 4,
    });
  });

  test("A17 the shards of a set are one model; a missing one is told", async () => {
    using dir = tempDir("model");
    for (const n of [1, 2])
      writeModel(dir.at(`m-0000${n}-of-00003.gguf`), { pairs: LLAMA, tensors: [{ shape: [16] }] });
    const { details, warnings } = await look(dir.at("m-00001-of-00003.gguf"));
    expect(details?.parameterCount).toBe(32);
    expect(warnings).toEqual([
      expect.stringContaining("Only 2 of the 3 files of 'm-00001-of-00003.gguf'") as unknown as string,
    ]);
    expect((await look(dir.path)).details?.parameterCount).toBe(32);
  });

  test("of a folder the model is taken, not its projector", async () => {
    using dir = tempDir("model");
    mkdirSync(dir.at("UD-Q4"));
    writeModel(dir.at("mmproj-model.gguf"), { pairs: { "general.architecture": "clip" } });
    writeModel(dir.at("UD-Q4", "m.gguf"));
    writeFileSync(dir.at("README.md"), "#");
    expect((await look(dir.path)).details?.architecture).toBe("llama");
  });
});

describe("A16 F208 register refuses what is no model, whatever its header claims", () => {
  const cases: [string, string, string | Buffer, string][] = [
    ["an empty file", "m.gguf", "", "is empty"],
    ["an empty .bin", "m.bin", "", "is empty"],
    ["a page", "m.gguf", "<!DOCTYPE html><html>", "is an HTML page"],
    ["a page called .bin", "m.bin", "\n  <html><body>Sign in", "is an HTML page"],
    ["a pointer", "m.gguf", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"],
    ["a pointer called .pt", "m.pt", "version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer"],
    ["another format", "m.gguf", "PK\u0003\u0004 something else", "does not begin like a GGUF file"],
    ["a magic alone", "m.gguf", "GGUF", "is truncated"],
    ["an end within the pairs", "m.gguf", raw(1, 50, pair("general.architecture", "llama")), "is truncated"],
    ["an end within a string", "m.gguf", raw(0, 1, u64(5000), Buffer.from("abc")), "is truncated"],
    ["a string of 2^60 bytes", "m.gguf", raw(0, 1, u64(2n ** 60n), Buffer.alloc(99)), "is truncated"],
    [
      "an array of 2^62 numbers",
      "m.gguf",
      raw(0, 1, text("k"), u32(9), u32(4), u64(2n ** 62n)),
      "is truncated",
    ],
    [
      "an array of 2^62 strings",
      "m.gguf",
      raw(0, 1, text("k"), u32(9), u32(8), u64(2n ** 62n)),
      "is truncated",
    ],
    [
      "arrays in arrays",
      "m.gguf",
      raw(
        0,
        1,
        text("k"),
        ...Array(99)
          .fill(Buffer.concat([u32(9), u64(1)]))
          .map((b: Buffer) => b.subarray(0, 4)),
      ),
      "arrays too deep",
    ],
    ["2^63 pairs", "m.gguf", raw(0, 2n ** 63n), "more entries than any model"],
    ["2^40 tensors", "m.gguf", raw(2n ** 40n, 0), "more entries than any model"],
    ["an unknown type", "m.gguf", raw(0, 1, text("k"), u32(77)), "unknown type of value (77)"],
    [
      "a tensor of 2^70 elements",
      "m.gguf",
      gguf({ tensors: [{ shape: [2n ** 40n, 2n ** 30n] }], data: 64 }),
      "larger than any file",
    ],
    ["a tensor of 99 dimensions", "m.gguf", raw(1, 0, text("w"), u32(99)), "too many dimensions"],
    [
      "tensors behind the end",
      "m.gguf",
      gguf({ tensors: [{ shape: [64] }], data: 255 }),
      "is truncated: its tensors need",
    ],
    ["no header", "m.safetensors", "hello, this is text", "not that of a safetensors file"],
    ["too short a file", "m.safetensors", "12345678", "too short"],
    [
      "a header of 2^60 bytes",
      "m.safetensors",
      Buffer.concat([u64(2n ** 60n), Buffer.from("{}")]),
      "not that of a safetensors file",
    ],
    ["no JSON", "m.safetensors", safetensors("{ no json", 8), "no JSON"],
    ["JSON that is no object", "m.safetensors", safetensors("[1, 2]", 8), "not that of a safetensors file"],
    ["a cut header", "m.safetensors", Buffer.concat([u64(5000), Buffer.from('{"a":')]), "is truncated"],
    ["missing data", "m.safetensors", safetensors({ w: TENSOR }, 60), "is truncated: 4 bytes"],
    [
      "a shape that contradicts",
      "m.safetensors",
      safetensors({ w: { ...TENSOR, shape: [4, 9] } }, 64),
      "contradicts itself ('w')",
    ],
    [
      "a negative offset",
      "m.safetensors",
      safetensors({ w: { ...TENSOR, data_offsets: [-1, 63] } }, 64),
      "contradicts itself",
    ],
    ["a tensor that is none", "m.safetensors", safetensors({ w: null }, 64), "contradicts itself"],
  ];
  for (const [what, name, content, message] of cases)
    test(`${name}: ${what}`, async () => {
      using dir = tempDir("model");
      writeFileSync(dir.at(name), content);
      const said = await refusal(dir.at(name));
      expect(said).toContain(message);
      expect(said).toContain("The file stays.");
    });

  test("a file that is not there, and a folder without a model", async () => {
    using dir = tempDir("model");
    expect(await refusal(dir.at("none.gguf"))).toContain("cannot be read");
    writeFileSync(dir.at("README.md"), "#");
    expect(await refusal(dir.path)).toContain("holds no model file");
  });

  test("F208 a header that goes on and on through a huge file is given up, in bounded memory", async () => {
    using dir = tempDir("model");
    const path = dir.at("m.gguf");
    // Sparse: 2^32 empty strings, as many as the file has room for.
    writeFileSync(path, raw(0, 1, text("k"), u32(9), u32(8), u64(2n ** 32n)));
    truncateSync(path, 40 * 2 ** 30);
    const before = process.memoryUsage().rss;
    expect(await refusal(path)).toContain("larger than that of any model");
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * 2 ** 20);
  });

  test("cancelling ends a long look", async () => {
    using dir = tempDir("model");
    const path = writeModel(dir.at("m.gguf"));
    const signal = AbortSignal.abort(new Error("cancelled"));
    expect(register.create(engineSpec("e"), path, signal)).rejects.toThrow("cancelled");
  });
});

describe("A16 register reads safetensors and others", () => {
  const config = {
    model_type: "qwen2",
    max_position_embeddings: 1000,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    hidden_size: 32,
  };
  const world = (files: Record<string, string | Buffer>) => {
    const dir = tempDir("model");
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(join(dir.at(name), ".."), { recursive: true });
      writeFileSync(dir.at(name), content);
    }
    return dir;
  };

  test("the header and config.json beside it", async () => {
    using dir = world({
      "model.safetensors": safetensors({ __metadata__: {}, w: TENSOR }, 64),
      "config.json": JSON.stringify(config),
    });
    const { details, modelType } = await look(dir.path, { modelType: "embedding" });
    expect(modelType).toBe("llm");
    expect(details).toEqual({
      format: "safetensors",
      file: dir.at("model.safetensors"),
      architecture: "qwen2",
      quantization: "BF16",
      contextLength: 1000,
      parameterCount: 32,
      memoryBytes: 64 + 2 * (2 * 2 * 8) * 2 * 1000,
    });
  });

  test("R83 sentence-transformers' marks, and families of encoders, mean embedding", async () => {
    const weights = safetensors({ w: TENSOR }, 64);
    using marked = world({
      "model.safetensors": weights,
      "config.json": JSON.stringify(config),
      "1_Pooling/config.json": "{}",
    });
    expect((await look(marked.at("model.safetensors"))).modelType).toBe("embedding");
    using bert = world({ "model.safetensors": weights, "config.json": '{"model_type":"xlm-roberta"}' });
    expect((await look(bert.path)).modelType).toBe("embedding");
    using alone = world({ "model.safetensors": weights });
    expect((await look(alone.path, { modelType: "embedding" })).modelType).toBe("embedding");
  });

  test("MLX and AWQ quantizations, sets of shards, a broken config", async () => {
    const weights = safetensors({ w: TENSOR }, 64);
    const mlx = { ...config, quantization: { bits: 4, group_size: 64 } };
    using one = world({ "model.safetensors": weights, "config.json": JSON.stringify(mlx) });
    expect((await look(one.path)).details?.quantization).toBe("4bit");
    const awq = { ...config, quantization_config: { quant_method: "awq", bits: 4 } };
    using two = world({
      "model-00001-of-00002.safetensors": weights,
      "model-00002-of-00002.safetensors": weights,
      "config.json": JSON.stringify(awq),
    });
    expect((await look(two.path)).details).toMatchObject({ quantization: "awq-4bit", parameterCount: 64 });
    using broken = world({ "model.safetensors": weights, "config.json": "{" });
    expect((await look(broken.path)).details).toMatchObject({ architecture: null, quantization: "BF16" });
  });

  test("R39 a .bin or .pt is taken as it is, with its size as its memory", async () => {
    using dir = world({ "pytorch_model.bin": Buffer.alloc(500, 7) });
    const { state, details } = await look(dir.at("pytorch_model.bin"));
    expect([state, details?.format, details?.memoryBytes, details?.architecture]).toEqual([
      "loaded",
      "other",
      500,
      null,
    ]);
  });

  test("a blob without a suffix is known by its first bytes", async () => {
    using dir = world({ "sha256-0123": gguf({ pairs: LLAMA }) });
    expect((await look(dir.at("sha256-0123"))).details).toMatchObject({
      format: "gguf",
      architecture: "llama",
    });
  });
});
