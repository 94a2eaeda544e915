/** Codes of `general.file_type` for the usual quantizations. */
export const FILE_TYPES: Readonly<Record<string, number>> = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q8_0: 7,
  Q2_K: 10,
  Q3_K_M: 12,
  Q4_K_S: 14,
  Q4_K_M: 15,
  Q5_K_M: 17,
  Q6_K: 18,
};

const VERSION = 3;
const ALIGNMENT = 32;
const TYPE_UINT16 = 2;
const TYPE_UINT32 = 4;
const TYPE_INT32 = 5;
const TYPE_STRING = 8;
const TENSOR_F32 = 0;

export interface GgufOptions {
  name: string;
  /** A key of {@link FILE_TYPES}. */
  quantization: string;
  /** Of the whole file. */
  size: number;
  architecture?: string;
  contextLength?: number;
  /** `number` from 0, as in the file; names count from 1. */
  split?: { number: number; count: number };
}

const u16 = (value: number): Buffer => Buffer.from(Uint16Array.of(value).buffer);
const u32 = (value: number): Buffer => Buffer.from(Uint32Array.of(value).buffer);
const u64 = (value: number): Buffer => Buffer.from(BigUint64Array.of(BigInt(value)).buffer);
const text = (value: string): Buffer => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);

function pairs({
  name,
  quantization,
  architecture = "llama",
  contextLength = 2048,
  split,
}: GgufOptions): Buffer[] {
  const entry = (key: string, type: number, value: Buffer): Buffer =>
    Buffer.concat([text(key), u32(type), value]);
  const shared = [
    entry("general.architecture", TYPE_STRING, text(architecture)),
    entry("general.name", TYPE_STRING, text(name)),
    entry("general.alignment", TYPE_UINT32, u32(ALIGNMENT)),
    entry("general.file_type", TYPE_UINT32, u32(FILE_TYPES[quantization] ?? 0)),
    entry(`${architecture}.context_length`, TYPE_UINT32, u32(contextLength)),
    entry(`${architecture}.block_count`, TYPE_UINT32, u32(1)),
    entry(`${architecture}.embedding_length`, TYPE_UINT32, u32(64)),
  ];
  if (!split) return shared;
  return [
    ...shared,
    entry("split.no", TYPE_UINT16, u16(split.number)),
    entry("split.count", TYPE_UINT16, u16(split.count)),
    entry("split.tensors.count", TYPE_INT32, u32(split.count)),
  ];
}

/** The header of a GGUF file, version 3, whose single tensor takes up the rest of the file. */
export function ggufHeader(options: GgufOptions): Uint8Array {
  const metadata = pairs(options);
  const tensorName = text(`blk.${options.split?.number ?? 0}.weight`);
  const fixed = Buffer.concat([Buffer.from("GGUF"), u32(VERSION), u64(1), u64(metadata.length), ...metadata]);
  const tensorInfo = tensorName.length + 4 + 8 + 4 + 8;
  const length = Math.ceil((fixed.length + tensorInfo) / ALIGNMENT) * ALIGNMENT;
  const elements = Math.floor((options.size - length) / 4);
  if (elements < 1) throw new Error(`a GGUF file needs more than ${length} bytes`);
  const tensor = Buffer.concat([tensorName, u32(1), u64(elements), u32(TENSOR_F32), u64(0)]);
  const header = Buffer.alloc(length);
  Buffer.concat([fixed, tensor]).copy(header);
  return header;
}
