/**
 * Content that nobody stores: any range of a file of any size is computed from its seed and the offset.
 *
 * One random megabyte is XORed with a word that depends on the seed and on the number of the megabyte, so that
 * no two offsets of a file, and no two files, share a run of more than a few bytes: a splice, a shift, a repeated
 * or a skipped block always changes the digest and can be located with {@link firstDifference}.
 */

const BLOCK = 1 << 20;
const BLOCK_WORDS = BLOCK / 4;
const HASH_STEP = 1 << 20;

/** Bytes that can be read at any offset. `size` may be `Infinity`. */
export interface Content {
  readonly size: number;
  /** The bytes from `offset` on, exactly `length` of them; the caller stays inside `size`. */
  read(offset: number, length: number): Uint8Array;
}

/** The finaliser of MurmurHash3: every bit of the input reaches every bit of the output, one to one. */
function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

const base = (() => {
  const words = new Uint32Array(BLOCK_WORDS);
  for (let i = 0; i < BLOCK_WORDS; i++) words[i] = mix(Math.imul(i + 1, 0x9e3779b9));
  return words;
})();

/** The word of one megabyte. For one seed it is different for each of the first 2^32 megabytes. */
function wordOf(seed: number, block: number): number {
  return mix((block + mix(seed)) | 0);
}

function xorInto(out: Uint32Array, source: Uint32Array, word: number): void {
  const count = out.length;
  for (let i = 0; i < count; i++) out[i] = source[i]! ^ word;
}

/** The bytes `offset … offset + length` of the endless stream that belongs to `seed` (any 32-bit integer). */
export function bytesAt(seed: number, offset: number, length: number): Uint8Array {
  const skip = offset % 4;
  const words = new Uint32Array(Buffer.allocUnsafeSlow(Math.ceil((skip + length) / 4) * 4).buffer);
  let word = (offset - skip) / 4;
  for (let done = 0; done < words.length; ) {
    const from = word % BLOCK_WORDS;
    const count = Math.min(BLOCK_WORDS - from, words.length - done);
    const key = wordOf(seed, (word - from) / BLOCK_WORDS);
    xorInto(words.subarray(done, done + count), base.subarray(from, from + count), key);
    done += count;
    word += count;
  }
  return new Uint8Array(words.buffer, skip, length);
}

/** A file of `size` bytes that belongs to `seed`. */
export function generated(seed: number, size: number): Content {
  return { size, read: (offset, length) => bytesAt(seed, offset, length) };
}

/** A small file whose bytes are given. */
export function literal(bytes: string | Uint8Array): Content {
  const data = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
  return { size: data.length, read: (offset, length) => data.subarray(offset, offset + length) };
}

/** `length` bytes of `content` from `start` on. */
export function slice(content: Content, start: number, length: number): Content {
  return { size: length, read: (offset, count) => content.read(start + offset, count) };
}

/** The contents one after the other. */
export function concat(...contents: Content[]): Content {
  const size = contents.reduce((sum, content) => sum + content.size, 0);
  const read = (offset: number, length: number): Uint8Array => {
    const out = new Uint8Array(length);
    let start = 0;
    for (const content of contents) {
      const from = Math.max(offset, start);
      const to = Math.min(offset + length, start + content.size);
      if (from < to) out.set(content.read(from - start, to - from), from - offset);
      start += content.size;
    }
    return out;
  };
  return { size, read };
}

/** The same content with `count` bytes inverted from `at` on. */
export function corrupted(content: Content, at: number, count = 1): Content {
  const read = (offset: number, length: number): Uint8Array => {
    const bytes = content.read(offset, length).slice();
    const to = Math.min(at + count, offset + length);
    for (let i = Math.max(at, offset); i < to; i++) bytes[i - offset]! ^= 0xff;
    return bytes;
  };
  return { size: content.size, read };
}

/** A file of `size` bytes that begins with `head` (a GGUF or safetensors header, say). */
export function withHead(head: Uint8Array, seed: number, size: number): Content {
  return concat(literal(head), slice(generated(seed, size), head.length, size - head.length));
}

/** All bytes; only for content that fits into memory with ease. */
export function readAll(content: Content): Uint8Array {
  return content.read(0, content.size);
}

function hashInto(hasher: Bun.CryptoHasher, content: Content): string {
  for (let at = 0; at < content.size; at += HASH_STEP) {
    hasher.update(content.read(at, Math.min(HASH_STEP, content.size - at)));
  }
  return hasher.digest("hex");
}

/** SHA-256, 64 lower-case hex digits. */
export function sha256(content: Content): string {
  return hashInto(new Bun.CryptoHasher("sha256"), content);
}

const known = new Map<string, string>();

/** SHA-256 of {@link generated} content; remembered, because big ones cost seconds. */
export function sha256Of(seed: number, size: number): string {
  const key = `${seed}:${size}`;
  const digest = known.get(key) ?? sha256(generated(seed, size));
  known.set(key, digest);
  return digest;
}

/** The git blob id: SHA-1 of `blob <length>\0` and the content (protocols/huggingface.md §4.6). */
export function gitSha1Of(content: string | Uint8Array | Content): string {
  const body = typeof content === "string" || content instanceof Uint8Array ? literal(content) : content;
  return hashInto(new Bun.CryptoHasher("sha1").update(`blob ${body.size}\0`), body);
}

/** A seed for a name, the same in every run. */
export function seedOf(name: string): number {
  return Bun.hash.crc32(name) | 0;
}

/** Where two byte arrays begin to differ, or -1. For messages that say which part of a file is wrong. */
export function firstDifference(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return i;
  return a.length === b.length ? -1 : length;
}
