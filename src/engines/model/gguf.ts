/**
 * The header of a GGUF file. The npm package `@huggingface/gguf` was tried first: it runs compiled, but on a local file
 * it reads behind the end as zeros (a header cut after its first pair passes as complete) and keeps every array of the
 * file in memory, on the event loop (a 45 MB header took 650 MB and 3.6 s). Hence this reader with a fixed window.
 */
import { TENSOR_TYPES } from "./ggml.ts";
import { BadHeader, HeaderReader } from "./reader.ts";

const MAGIC = "GGUF";
const MOST_PAIRS = 100_000;
const MOST_TENSORS = 1_000_000;
/** Bytes: longer strings (chat templates) are passed over. */
const LONGEST_KEPT = 1024;
/** Elements: per-layer values and tags are kept, vocabularies are not. */
const LONGEST_ARRAY_KEPT = 1024;
const MOST_DIMENSIONS = 8;
const DEEPEST_ARRAY = 4;

export type Scalar = number | boolean | string;
/** Pairs of the header: scalars, and short arrays of them; anything longer is not kept. */
export type Pairs = ReadonlyMap<string, Scalar | readonly Scalar[]>;

export interface GgufHeader {
  version: number;
  pairs: Pairs;
  tensorCount: number;
  parameterCount: number;
  /** Of all tensors; null when one has a type that this build does not know. */
  tensorBytes: number | null;
  /** Name of the type that most bytes are of. */
  mainType: string | null;
}

const STRING = 8;
const ARRAY = 9;

interface ValueType {
  bytes: number;
  read(reader: HeaderReader): Scalar;
}

/** ggml `gguf_type`, the fixed ones. */
const VALUES: Readonly<Record<number, ValueType>> = {
  0: { bytes: 1, read: (r) => r.u8() },
  1: { bytes: 1, read: (r) => r.i8() },
  2: { bytes: 2, read: (r) => r.u16() },
  3: { bytes: 2, read: (r) => r.i16() },
  4: { bytes: 4, read: (r) => r.u32() },
  5: { bytes: 4, read: (r) => r.i32() },
  6: { bytes: 4, read: (r) => r.f32() },
  7: { bytes: 1, read: (r) => r.u8() !== 0 },
  10: { bytes: 8, read: (r) => r.u64() },
  11: { bytes: 8, read: (r) => r.i64() },
  12: { bytes: 8, read: (r) => r.f64() },
};

/** Throws {@link BadHeader} for what is not a whole GGUF file. */
export async function readGguf(path: string, signal?: AbortSignal): Promise<GgufHeader> {
  const reader = await HeaderReader.open(path, signal);
  try {
    return await new Gguf(reader).read();
  } finally {
    await reader.close();
  }
}

class Gguf {
  readonly #reader: HeaderReader;
  /** Counts and lengths have 32 bits in version 1. */
  #wide = true;

  constructor(reader: HeaderReader) {
    this.#reader = reader;
  }

  async read(): Promise<GgufHeader> {
    const reader = this.#reader;
    await reader.fill(8);
    if (reader.text(4) !== MAGIC) throw new BadHeader("does not begin like a GGUF file");
    const version = this.#version();
    this.#wide = version > 1;
    const tensorCount = await this.#count();
    const pairCount = await this.#count();
    if (tensorCount > MOST_TENSORS || pairCount > MOST_PAIRS)
      throw new BadHeader("has a GGUF header with more entries than any model");
    const pairs = new Map<string, Scalar | readonly Scalar[]>();
    for (let i = 0; i < pairCount; i++) {
      const key = (await this.#string(true)) ?? "";
      const value = await this.#value(await this.#u32(), 0, true);
      if (value !== undefined) pairs.set(key, value);
    }
    return { version, pairs, tensorCount, ...(await this.#tensors(tensorCount, pairs)) };
  }

  /** A number that is small one way round and huge the other tells the byte order. */
  #version(): number {
    const reader = this.#reader;
    const version = reader.u32();
    if (version >= 1 && version <= 3) return version;
    reader.littleEndian = false;
    reader.position -= 4;
    const swapped = reader.u32();
    if (swapped >= 1 && swapped <= 3) return swapped;
    throw new BadHeader(`has an unknown GGUF version (${Math.min(version, swapped)})`);
  }

  async #tensors(
    count: number,
    pairs: Pairs,
  ): Promise<Pick<GgufHeader, "parameterCount" | "tensorBytes" | "mainType">> {
    let parameterCount = 0;
    let tensorBytes: number | null = 0;
    let end = 0;
    const byType = new Map<string, number>();
    for (let i = 0; i < count; i++) {
      const { elements, type, offset } = await this.#tensor();
      parameterCount += elements;
      const known = TENSOR_TYPES[type];
      const bytes = known && Math.ceil(elements / known[1]) * known[2];
      if (bytes === undefined) tensorBytes = null;
      else if (tensorBytes !== null) tensorBytes += bytes;
      if (known && bytes !== undefined) byType.set(known[0], (byType.get(known[0]) ?? 0) + bytes);
      end = Math.max(end, offset + (bytes ?? 0));
    }
    this.#checkEnd(end, pairs, count);
    const [mainType = null] = [...byType].sort((a, b) => b[1] - a[1]).map(([name]) => name);
    return { parameterCount, tensorBytes, mainType };
  }

  async #tensor(): Promise<{ elements: number; type: number; offset: number }> {
    const reader = this.#reader;
    await this.#string(false);
    const dimensions = await this.#u32();
    if (dimensions > MOST_DIMENSIONS) throw new BadHeader("has a tensor with too many dimensions");
    let elements = 1;
    for (let d = 0; d < dimensions; d++) elements *= await this.#count();
    if (!Number.isSafeInteger(elements)) throw new BadHeader("has a tensor larger than any file");
    if (!reader.has(12)) await reader.fill(12);
    return { elements, type: reader.u32(), offset: reader.u64() };
  }

  /** The weights have to be in the file as well: tensor data begins at the next multiple of the alignment. */
  #checkEnd(end: number, pairs: Pairs, count: number): void {
    if (count === 0) return;
    const { position, size } = this.#reader;
    const given = pairs.get("general.alignment");
    const alignment = typeof given === "number" && given >= 1 && given <= 1 << 20 ? given : 32;
    const needed = Math.ceil(position / alignment) * alignment + end;
    if (needed > size)
      throw new BadHeader(`is truncated: its tensors need ${needed} bytes, the file has ${size}`);
  }

  /** Undefined for what is too long to be kept. */
  async #value(type: number, depth: number, keep: boolean): Promise<Scalar | readonly Scalar[] | undefined> {
    if (type === STRING) return this.#string(keep);
    if (type === ARRAY) return this.#array(depth, keep);
    const fixed = VALUES[type];
    if (!fixed) throw new BadHeader(`has a GGUF header with an unknown type of value (${type})`);
    if (!this.#reader.has(fixed.bytes)) await this.#reader.fill(fixed.bytes);
    return fixed.read(this.#reader);
  }

  async #array(depth: number, keep: boolean): Promise<readonly Scalar[] | undefined> {
    if (depth >= DEEPEST_ARRAY) throw new BadHeader("has a GGUF header with arrays too deep");
    const type = await this.#u32();
    const length = await this.#count();
    const fixed = VALUES[type];
    const kept: Scalar[] | undefined = keep && length <= LONGEST_ARRAY_KEPT ? [] : undefined;
    if (fixed && !kept) {
      this.#reader.skip(length * fixed.bytes);
      return undefined;
    }
    if (type === STRING && !kept) return this.#skipStrings(length);
    for (let i = 0; i < length; i++) {
      const value = await this.#value(type, depth + 1, kept !== undefined);
      if (typeof value !== "object" && value !== undefined) kept?.push(value);
    }
    return kept;
  }

  /** A vocabulary: hundreds of thousands of them, so waiting only where the window ends. */
  async #skipStrings(length: number): Promise<undefined> {
    const reader = this.#reader;
    for (let i = 0; i < length; i++) {
      if (!reader.has(8)) await reader.fill(8);
      reader.skip(this.#wide ? reader.u64() : reader.u32());
    }
  }

  async #string(keep: boolean): Promise<string | undefined> {
    const reader = this.#reader;
    const length = await this.#count();
    if (!keep || length > LONGEST_KEPT) {
      reader.skip(length);
      return undefined;
    }
    if (!reader.has(length)) await reader.fill(length);
    return reader.text(length);
  }

  async #u32(): Promise<number> {
    if (!this.#reader.has(4)) await this.#reader.fill(4);
    return this.#reader.u32();
  }

  async #count(): Promise<number> {
    if (!this.#wide) return this.#u32();
    if (!this.#reader.has(8)) await this.#reader.fill(8);
    return this.#reader.u64();
  }
}
