import { expect, test } from "bun:test";
import { quantizationOf, shardOf } from "../../src/sources/gguf-names.ts";

const QUANTIZATIONS: [string, string | null][] = [
  ["llama-2-7b.Q4_K_M.gguf", "Q4_K_M"],
  ["qwen2.5-0.5b-instruct-q4_k_m.gguf", "Q4_K_M"],
  ["tiny-Q4_K_M.gguf", "Q4_K_M"],
  ["m-IQ2_XXS.gguf", "IQ2_XXS"],
  ["m-IQ4_NL.gguf", "IQ4_NL"],
  ["m-i1-Q5_K_S.gguf", "Q5_K_S"],
  ["m-UD-Q4_K_XL.gguf", "Q4_K_XL"],
  ["m.Q8_0.gguf", "Q8_0"],
  ["m-Q4_0_4_4.gguf", "Q4_0_4_4"],
  ["m.Q6_K.gguf", "Q6_K"],
  ["m-TQ1_0.gguf", "TQ1_0"],
  ["m-BF16.gguf", "BF16"],
  ["m-f16.gguf", "F16"],
  ["mmproj-model-f32.gguf", "F32"],
  ["gpt-oss-20b-MXFP4.gguf", "MXFP4"],
  ["model_Q4_K_M.gguf", "Q4_K_M"],
  ["m-Q4_K_M-00001-of-00003.gguf", "Q4_K_M"],
  ["Q4_K_M/model-00001-of-00002.gguf", "Q4_K_M"],
  ["model.gguf", null],
  ["Q4_K_M.safetensors", null],
  ["seQ8.gguf", null],
];
for (const [path, wanted] of QUANTIZATIONS)
  test(`${path} is ${wanted ?? "not said"}`, () => {
    expect(quantizationOf(path)).toBe(wanted);
  });

test("all shards of a set share one pattern that takes exactly them, folder included", () => {
  expect(shardOf("q/m-00002-of-00003.gguf")).toEqual({ set: "q/m-*-of-00003.gguf", number: 2, count: 3 });
  expect(shardOf("model-00001-of-00004.safetensors")?.set).toBe("model-*-of-00004.safetensors");
  expect(shardOf("pytorch_model-00001-of-00002.bin")?.count).toBe(2);
  for (const alone of [
    "m.gguf",
    "m-00004-of-00003.gguf",
    "m-00000-of-00003.gguf",
    "m-1-of-3.gguf",
    "m-00001-of-00003.txt",
  ])
    expect(shardOf(alone)).toBeUndefined();
});
