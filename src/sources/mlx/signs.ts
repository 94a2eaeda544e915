/** What marks a repository as made for MLX (protocols/others.md §5): a label for people and tools, never a refusal. */

/** Longest safetensors header that is looked through for its metadata, which stands in front. */
export const HEADER_BYTES = 64 * 1024;

/** By its organisation, or by library and tags of its card as the hub tells them. */
export function isMlxCard(repo: string, library: unknown, tags: unknown): boolean {
  const listed = Array.isArray(tags) ? tags : [];
  return [library, ...listed].some(isMlx) || /^mlx-community\//i.test(repo);
}

const isMlx = (word: unknown): boolean => typeof word === "string" && word.toLowerCase() === "mlx";

/**
 * By `config.json`: `quantization` with a group size and bits. `quantization_config` alone is no sign, GPTQ and AWQ
 * write it too; with a `quant_method` it is theirs.
 */
export function isMlxConfig(text: string): boolean {
  const config = parsed(text);
  const quantization = config.quantization;
  if (!isRecord(quantization) || "quant_method" in quantization) return false;
  return [quantization.group_size, quantization.bits].every((value) => Number.isSafeInteger(value));
}

/** By the first bytes of a safetensors file: `format` in its metadata is `mlx` (§4). */
export function isMlxWeights(head: Uint8Array): boolean {
  if (head.length < 9 || head[8] !== 0x7b) return false;
  const length = new DataView(head.buffer, head.byteOffset, 8).getBigUint64(0, true);
  const whole = length <= BigInt(head.length - 8);
  const text = new TextDecoder().decode(head.subarray(8, whole ? 8 + Number(length) : head.length));
  // A header that goes on behind these bytes is no JSON yet; writers put the metadata, a flat map of texts, first.
  const metadata = whole
    ? parsed(text).__metadata__
    : parsed(/"__metadata__"\s*:\s*(\{[^{}]*\})/.exec(text)?.[1] ?? "");
  return isRecord(metadata) && isMlx(metadata.format);
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : {};
  } catch {
    return {};
  }
}
