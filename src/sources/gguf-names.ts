/** What the name of a model file says of it (protocols/others.md §3.4). */

const QUANTIZATION =
  /(?:^|_)(I?Q[1-8](?:_(?:[01K]|XXS|XS|S|M|L|XL|NL))?(?:_(?:XXS|XS|S|M|L|XL|P|[48]_[48]))?|TQ[12]_0|BF16|F16|F32|FP16|FP32|MXFP4(?:_MOE)?|NVFP4)$/i;
const SHARD = /^(.+)-(\d{5})-of-(\d{5})(\.(?:gguf|safetensors|bin))$/i;

/** A shard's place in its set; `set` is a pattern that all shards of the set match, folder included. */
export interface Shard {
  set: string;
  /** From 1. */
  number: number;
  count: number;
}

/** Reads `…-00001-of-00003.gguf` (also safetensors and bin); undefined for a file that stands alone. */
export function shardOf(path: string): Shard | undefined {
  const match = SHARD.exec(path);
  if (!match) return undefined;
  const [, prefix, number, count, extension] = match;
  const shard = { set: `${prefix}-*-of-${count}${extension}`, number: Number(number), count: Number(count) };
  return shard.number >= 1 && shard.number <= shard.count ? shard : undefined;
}

/** `Q4_K_M`, `IQ2_XXS`, `BF16`, … of a GGUF file, from the end of its name or else from its folder; null when neither says. */
export function quantizationOf(path: string): string | null {
  if (!path.toLowerCase().endsWith(".gguf")) return null;
  const components = path.slice(0, -".gguf".length).split("/");
  for (const component of components.reverse()) {
    const stem = component.replace(/-\d{5}-of-\d{5}$/, "");
    const found = stem.split(/[-. ]/).findLast((word) => QUANTIZATION.test(word));
    const match = found === undefined ? undefined : QUANTIZATION.exec(found)?.[1];
    if (match) return match.toUpperCase();
  }
  return null;
}
