/** Repositories of the kinds that clients meet. */
import { generated, seedOf, withHead } from "../bytes.ts";
import type { FileSpec } from "./entry.ts";
import { ggufHeader } from "./gguf.ts";
import type { RepoSpec } from "./repo.ts";
import { safetensorsHeader } from "./safetensors.ts";

const pad = (number: number): string => String(number).padStart(5, "0");
const stem = (id: string): string => id.slice(id.indexOf("/") + 1).replace(/-(gguf|safetensors|mlx)$/i, "");

/** A GGUF file whose bytes depend on its repository and path. */
export function ggufFile(
  id: string,
  path: string,
  size: number,
  quantization: string,
  split?: { number: number; count: number },
): FileSpec {
  const head = ggufHeader({ name: stem(id), quantization, size, split });
  return { path, content: withHead(head, seedOf(`${id}/${path}`), size) };
}

/** `name-Q4_K_M-00001-of-00003.gguf` and its sisters, each with a header of its own. */
export function splitGguf(id: string, quantization: string, count: number, sizeOfEach: number): FileSpec[] {
  return Array.from({ length: count }, (_, number) => {
    const path = `${stem(id)}-${quantization}-${pad(number + 1)}-of-${pad(count)}.gguf`;
    return ggufFile(id, path, sizeOfEach, quantization, { number, count });
  });
}

function readme(id: string, library: string): FileSpec {
  const card = `---\nlicense: mit\nlibrary_name: ${library}\n---\n\n# ${stem(id)}\n\nGenerated for tests.\n`;
  return { path: "README.md", content: card };
}

const gitattributes: FileSpec = {
  path: ".gitattributes",
  content: ["*.gguf", "*.safetensors", "*.bin"]
    .map((it) => `${it} filter=lfs diff=lfs merge=lfs -text\n`)
    .join(""),
};

const config = (architecture: string): FileSpec => ({
  path: "config.json",
  content: `${JSON.stringify({ architectures: [architecture], hidden_size: 64, model_type: "llama" }, null, 2)}\n`,
});

export interface GgufRepoOptions {
  /** Size by quantization. */
  quantizations?: Readonly<Record<string, number>>;
  split?: { quantization: string; count: number; sizeOfEach: number };
}

/** One GGUF file per quantization, optionally a split set, a model card and a configuration. */
export function ggufRepo(
  id: string,
  { quantizations = { Q4_K_M: 1 << 20 }, split }: GgufRepoOptions = {},
): RepoSpec {
  const single = Object.entries(quantizations).map(([quantization, size]) =>
    ggufFile(id, `${stem(id)}-${quantization}.gguf`, size, quantization),
  );
  const parts = split ? splitGguf(id, split.quantization, split.count, split.sizeOfEach) : [];
  const sizes = Object.values(quantizations);
  return {
    id,
    files: [gitattributes, readme(id, "gguf"), config("LlamaForCausalLM"), ...single, ...parts],
    info: {
      pipeline_tag: "text-generation",
      library_name: "gguf",
      tags: ["gguf", "en", "license:mit", "region:us"],
      cardData: { license: "mit" },
      gguf: { total: Math.floor(Math.max(0, ...sizes) / 4), architecture: "llama", context_length: 2048 },
    },
  };
}

/** `model-00001-of-00002.safetensors` …, their index, tokenizer and configuration. */
export function safetensorsRepo(id: string, { shards = 2, sizeOfEach = 1 << 20 } = {}): RepoSpec {
  const names = Array.from({ length: shards }, (_, i) => `model-${pad(i + 1)}-of-${pad(shards)}.safetensors`);
  const tensor = (i: number): string => `model.layers.${i}.weight`;
  const files = names.map((path, i): FileSpec => {
    const content = withHead(safetensorsHeader(tensor(i), sizeOfEach), seedOf(`${id}/${path}`), sizeOfEach);
    return { path, content };
  });
  const index = {
    metadata: { total_size: shards * sizeOfEach },
    weight_map: Object.fromEntries(names.map((path, i) => [tensor(i), path])),
  };
  return {
    id,
    files: [
      gitattributes,
      readme(id, "transformers"),
      config("LlamaForCausalLM"),
      { path: "generation_config.json", content: '{\n  "temperature": 0.7\n}\n' },
      { path: "model.safetensors.index.json", content: `${JSON.stringify(index, null, 2)}\n` },
      {
        path: "tokenizer.json",
        content: `${JSON.stringify({ version: "1.0", model: { type: "BPE", vocab: {} } })}\n`,
      },
      { path: "tokenizer_config.json", content: '{\n  "model_max_length": 2048\n}\n' },
      ...files,
    ],
    info: {
      pipeline_tag: "text-generation",
      library_name: "transformers",
      tags: ["safetensors", "transformers", "license:mit", "region:us"],
      cardData: { license: "mit" },
      safetensors: { parameters: { U8: shards * sizeOfEach }, total: shards * sizeOfEach },
    },
  };
}

export interface MlxRepoOptions {
  size?: number;
  /** Which of the signs it has (protocols/others.md §5); default all. */
  signs?: readonly ("card" | "config" | "weights")[];
}

/** What mlx-lm's converter uploads: weights with an index even where they are one file, and a quantized configuration. */
export function mlxRepo(id: string, { size = 1 << 20, signs }: MlxRepoOptions = {}): RepoSpec {
  const has = (sign: "card" | "config" | "weights") =>
    (signs ?? ["card", "config", "weights"]).includes(sign);
  const path = "model.safetensors";
  const tensor = "model.embed_tokens.weight";
  const quantization = { group_size: 64, bits: 4, mode: "affine" };
  // GPTQ and AWQ write this member too: no sign of MLX.
  const foreign = { quantization_config: { quant_method: "gptq", bits: 4, group_size: 128 } };
  const quantized = has("config") ? { quantization, quantization_config: quantization } : foreign;
  const header = safetensorsHeader(tensor, size, has("weights") ? "mlx" : "pt");
  const index = { metadata: { total_size: size, total_parameters: size }, weight_map: { [tensor]: path } };
  const text = (value: unknown) => `${JSON.stringify(value, null, 4)}\n`;
  return {
    id,
    files: [
      gitattributes,
      readme(id, has("card") ? "mlx" : "transformers"),
      { path: "config.json", content: text({ model_type: "llama", hidden_size: 64, ...quantized }) },
      { path: "model.safetensors.index.json", content: text(index) },
      { path: "tokenizer.json", content: text({ version: "1.0", model: { type: "BPE", vocab: {} } }) },
      { path: "chat_template.jinja", content: "{{ messages }}\n" },
      { path, content: withHead(header, seedOf(`${id}/${path}`), size) },
    ],
    info: {
      pipeline_tag: "text-generation",
      library_name: has("card") ? "mlx" : "transformers",
      tags: [...(has("card") ? ["mlx"] : []), "safetensors", "license:mit", "region:us"],
      cardData: { license: "mit" },
    },
  };
}

/** Many small git files of 200 to 4 000 bytes in folders of a hundred. */
export function smallFilesRepo(id: string, count = 2_000): RepoSpec {
  const files = Array.from({ length: count }, (_, i): FileSpec => {
    const path = `part-${String(Math.floor(i / 100)).padStart(3, "0")}/item-${pad(i)}.json`;
    return { path, content: generated(seedOf(`${id}/${path}`), 200 + ((i * 7919) % 3_801)), lfs: false };
  });
  return { id, files: [readme(id, "transformers"), ...files], info: { tags: ["region:us"] } };
}

/** Names that are allowed and break careless clients (protocols/huggingface.md §9.9). Two are large files. */
export const AWKWARD_NAMES = [
  "sub/dir/file name (1).gguf",
  "a#b?.txt",
  "ümlaut.json",
  "100%.txt",
  "a+b&c=d.bin",
];

export function awkwardRepo(id: string): RepoSpec {
  const files = AWKWARD_NAMES.map((path): FileSpec => {
    if (path.endsWith(".gguf")) return ggufFile(id, path, 40_000, "Q8_0");
    return { path, content: generated(seedOf(`${id}/${path}`), 3_000) };
  });
  return { id, files: [readme(id, "gguf"), ...files] };
}

/** Names that a client must refuse. The hub lists them as they are, and serves them. */
export const UNSAFE_NAMES = [
  "../evil.txt",
  "a/../../evil.txt",
  "/etc/evil.txt",
  "C:\\evil.txt",
  "a\\..\\evil.txt",
];

export function unsafeRepo(id: string, names: readonly string[] = UNSAFE_NAMES): RepoSpec {
  return { id, files: [readme(id, "gguf"), ...names.map((path): FileSpec => ({ path, content: "evil\n" }))] };
}
