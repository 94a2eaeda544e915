/** What the files beside a safetensors model say of it: `config.json` and the marks of sentence-transformers. */
import { open, stat } from "node:fs/promises";
import { join } from "node:path";
import { EMBEDDING_FAMILIES } from "./families.ts";

const LONGEST_CONFIG = 4 * 1024 * 1024;
const MARKS = [
  "config_sentence_transformers.json",
  "sentence_bert_config.json",
  "modules.json",
  join("1_Pooling", "config.json"),
];

export interface ModelConfig {
  architecture: string | null;
  contextLength: number | null;
  quantization: string | null;
  layers: number | null;
  /** Elements of key and value that one layer keeps per token. */
  cachedPerLayer: number | null;
  isEmbedding: boolean;
}

/** Undefined when there is no readable `config.json` in the folder. */
export async function readConfig(folder: string): Promise<ModelConfig | undefined> {
  const json = await readJson(join(folder, "config.json"));
  const marked = (await Promise.all(MARKS.map((mark) => exists(join(folder, mark))))).some(Boolean);
  if (!json) return marked ? { ...NOTHING, isEmbedding: true } : undefined;
  // Models of several senses keep the text part apart.
  const text = isObject(json.text_config) ? { ...json, ...json.text_config } : json;
  const family = string(json.model_type);
  const [named] = Array.isArray(json.architectures) ? json.architectures : [];
  const heads = number(text.num_attention_heads);
  const keyHeads = number(text.num_key_value_heads) ?? heads;
  const width = number(text.hidden_size);
  const headWidth = number(text.head_dim) ?? (width !== null && heads ? width / heads : null);
  return {
    architecture: family ?? string(named),
    contextLength: number(text.max_position_embeddings) ?? number(text.n_positions),
    quantization: quantization(json),
    layers: number(text.num_hidden_layers) ?? number(text.n_layer),
    cachedPerLayer: keyHeads !== null && headWidth !== null ? 2 * keyHeads * headWidth : null,
    isEmbedding: marked || (family !== null && EMBEDDING_FAMILIES.has(family.replaceAll("_", "-"))),
  };
}

const NOTHING = {
  architecture: null,
  contextLength: null,
  quantization: null,
  layers: null,
  cachedPerLayer: null,
};

/** `awq-4bit`, `gptq`, and MLX's `4bit`. */
function quantization(json: Record<string, unknown>): string | null {
  const given = json.quantization_config ?? json.quantization;
  if (!isObject(given)) return null;
  const method = string(given.quant_method);
  const bits = number(given.bits);
  return [method, bits && `${bits}bit`].filter(Boolean).join("-") || null;
}

async function readJson(path: string): Promise<Record<string, unknown> | undefined> {
  try {
    const handle = await open(path, "r");
    try {
      const { size } = await handle.stat();
      if (size > LONGEST_CONFIG) return undefined;
      const json: unknown = JSON.parse(await handle.readFile("utf8"));
      return isObject(json) ? json : undefined;
    } finally {
      await handle.close();
    }
  } catch {
    return undefined;
  }
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const string = (value: unknown): string | null =>
  typeof value === "string" && value !== "" && value.length <= 200 ? value : null;
const number = (value: unknown): number | null =>
  typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : null;
