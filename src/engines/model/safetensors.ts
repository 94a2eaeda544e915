/** The header of a safetensors file: the length of a JSON object, the object, the data. */
import { BadHeader, HeaderReader } from "./reader.ts";

/** The format allows 100 MB; the largest known have a few. It is parsed in one piece, so it is bounded closer here. */
const LONGEST_HEADER = 32 * 1024 * 1024;
const WINDOW = 128 * 1024;
const DTYPE_BITS: Readonly<Record<string, number>> = {
  BOOL: 8,
  U8: 8,
  I8: 8,
  F8_E4M3: 8,
  F8_E5M2: 8,
  F8_E8M0: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  I64: 64,
  U64: 64,
  F64: 64,
};

export interface SafetensorsHeader {
  parameterCount: number;
  tensorBytes: number;
  /** The type that most bytes are of. */
  mainType: string | null;
}

/** Throws {@link BadHeader} for what is not a whole safetensors file. */
export async function readSafetensors(path: string, signal?: AbortSignal): Promise<SafetensorsHeader> {
  const reader = await HeaderReader.open(path, signal);
  try {
    return judge(await readJson(reader), reader.size - reader.position);
  } finally {
    await reader.close();
  }
}

async function readJson(reader: HeaderReader): Promise<unknown> {
  if (reader.size < 10) throw new BadHeader("is too short for a safetensors file");
  await reader.fill(8);
  const length = reader.u64();
  if (length > LONGEST_HEADER || length < 2)
    throw new BadHeader("has a header that is not that of a safetensors file");
  if (8 + length > reader.size) throw new BadHeader("is truncated: its header goes on behind its end");
  const decoder = new TextDecoder();
  const parts: string[] = [];
  for (let left = length; left > 0; ) {
    const piece = await reader.peek(Math.min(left, WINDOW));
    reader.position += piece.length;
    left -= piece.length;
    parts.push(decoder.decode(piece, { stream: left > 0 }));
    if (parts.length === 1 && !parts[0]?.startsWith("{"))
      throw new BadHeader("has a header that is not that of a safetensors file");
  }
  try {
    return JSON.parse(parts.join(""));
  } catch {
    throw new BadHeader("has a safetensors header that is no JSON");
  }
}

function judge(header: unknown, dataBytes: number): SafetensorsHeader {
  if (!isObject(header)) throw new BadHeader("has a safetensors header that is no JSON object");
  let parameterCount = 0;
  let tensorBytes = 0;
  let end = 0;
  const byType = new Map<string, number>();
  for (const [name, value] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const { dtype, elements, from, to } = tensor(name, value);
    parameterCount += elements;
    tensorBytes += to - from;
    end = Math.max(end, to);
    byType.set(dtype, (byType.get(dtype) ?? 0) + to - from);
  }
  if (end > dataBytes)
    throw new BadHeader(`is truncated: ${end - dataBytes} bytes of its tensors are missing`);
  const [mainType = null] = [...byType].sort((a, b) => b[1] - a[1]).map(([type]) => type);
  return { parameterCount, tensorBytes, mainType };
}

function tensor(name: string, value: unknown): { dtype: string; elements: number; from: number; to: number } {
  const bad = new BadHeader(`has a tensor that contradicts itself ('${name.slice(0, 80)}')`);
  if (!isObject(value)) throw bad;
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== "string" || !isSizes(shape) || !isSizes(offsets) || offsets.length !== 2) throw bad;
  const [from = 0, to = 0] = offsets;
  const elements = shape.reduce((product, length) => product * length, 1);
  const bits = DTYPE_BITS[dtype];
  if (to < from || !Number.isSafeInteger(elements)) throw bad;
  if (bits !== undefined && Math.ceil((elements * bits) / 8) !== to - from) throw bad;
  return { dtype, elements, from, to };
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isSizes = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && (n as number) >= 0);
