import { writeFileSync } from "node:fs";
import type { EngineSpec } from "../../src/core/download.ts";

export const u32 = (value: number): Buffer => Buffer.from(Uint32Array.of(value).buffer);
export const u64 = (value: number | bigint): Buffer => Buffer.from(BigUint64Array.of(BigInt(value)).buffer);
export const text = (value: string): Buffer =>
  Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);

export type Value = string | number | boolean | string[] | number[];
export interface Tensor {
  name?: string;
  shape: (number | bigint)[];
  /** ggml's number; 0 is F32. */
  type?: number;
  offset?: number;
}

/** A pair of a GGUF header: numbers as UINT32. */
export function pair(key: string, value: Value): Buffer {
  return Buffer.concat([text(key), typed(value)]);
}

function typed(value: Value): Buffer {
  if (typeof value === "string") return Buffer.concat([u32(8), text(value)]);
  if (typeof value === "boolean") return Buffer.concat([u32(7), Buffer.from([Number(value)])]);
  if (typeof value === "number") return Buffer.concat([u32(4), u32(value)]);
  const parts = value.map((item) => (typeof item === "string" ? text(item) : u32(item)));
  const type = typeof value[0] === "string" ? 8 : 4;
  return Buffer.concat([u32(9), u32(type), u64(value.length), ...parts]);
}

export interface Gguf {
  pairs?: Record<string, Value>;
  tensors?: Tensor[];
  /** Bytes after the header; given none, as many as the tensors of type F32 need. */
  data?: number;
  version?: number;
}

/** A whole GGUF file. */
export function gguf({ pairs = {}, tensors = [{ shape: [8, 4] }], data, version = 3 }: Gguf): Buffer {
  const entries = Object.entries(pairs).map(([key, value]) => pair(key, value));
  const infos = tensors.map(({ name = "w", shape, type = 0, offset = 0 }) =>
    Buffer.concat([text(name), u32(shape.length), ...shape.map(u64), u32(type), u64(offset)]),
  );
  const counts = [u64(tensors.length), u64(entries.length)];
  const header = Buffer.concat([Buffer.from("GGUF"), u32(version), ...counts, ...entries, ...infos]);
  const padding = Buffer.alloc((32 - (header.length % 32)) % 32);
  const needed = tensors.map(
    ({ shape, offset = 0 }) => offset + 4 * shape.map(Number).reduce((a, b) => a * b, 1),
  );
  return Buffer.concat([header, padding, Buffer.alloc(data ?? Math.max(0, ...needed))]);
}

/** The usual pairs of a small language model. */
export const LLAMA: Record<string, Value> = {
  "general.architecture": "llama",
  "general.name": "Tiny",
  "general.file_type": 15,
  "llama.context_length": 8192,
  "llama.block_count": 4,
  "llama.embedding_length": 64,
  "llama.attention.head_count": 8,
  "llama.attention.head_count_kv": 2,
};

export const writeModel = (path: string, model: Gguf = { pairs: LLAMA }): string => {
  writeFileSync(path, gguf(model));
  return path;
};

export function engineSpec(engineId: string, more: Partial<EngineSpec> = {}): EngineSpec {
  const basis = { modelType: "llm" as const, inferenceEngine: "llama-cpu", loadImmediately: true };
  return { engineId, ...basis, mainGpuId: 0, parameters: { n_ctx: 4096 }, ...more };
}
