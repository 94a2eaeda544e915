/** Looks at a model file as every runtime does before it makes an engine of it (A16, A23). */
import { open, stat } from "node:fs/promises";
import { basename, dirname, extname } from "node:path";
import { guessModelType } from "../../core/admission.ts";
import type { EngineSpec } from "../../core/download.ts";
import { DownloadError } from "../../core/errors.ts";
import type { ModelDetails } from "../../core/ports.ts";
import { architectureOf, refuseCompanion } from "./companion.ts";
import { type ModelConfig, readConfig } from "./config.ts";
import { EMBEDDING_FAMILIES } from "./families.ts";
import { type ModelFiles, modelFiles } from "./files.ts";
import { FILE_TYPE_GUESSED, FILE_TYPES } from "./ggml.ts";
import { type GgufHeader, readGguf } from "./gguf.ts";
import { BadHeader } from "./reader.ts";
import { readSafetensors } from "./safetensors.ts";

export interface Inspection {
  /** The file a loader opens. */
  file: string;
  /** All files of the set. */
  files: string[];
  details: ModelDetails;
  /** As the header says; as asked for where it says nothing. */
  modelType: EngineSpec["modelType"];
  warnings: string[];
}

/** Enough for every magic number, the pointer's first line and the start of an HTML page. */
const HEAD_BYTES = 512;
const LFS_POINTER = "version https://git-lfs.github.com/spec/";
const HTML = /^(\ufeff)?\s*<(!doctype|html|head|body)/i;
/** What llama.cpp and its kin keep per element of the KV cache: F16. */
const CACHE_BYTES = 2;
const DEFAULT_CONTEXT = 4096;

/** Throws `engine_failed` for what is certainly no model, or the signal's reason. */
export async function inspect(
  spec: EngineSpec,
  path: string,
  signal?: AbortSignal,
  among?: readonly string[],
): Promise<Inspection> {
  const { first, all, expected } = await filesOf(path, among);
  try {
    const { format, bytes } = await judgeHead(first);
    const described = await describe(format, { first, all, expected }, spec, signal);
    const { details, isEmbedding } = described;
    const missing = expected - all.length;
    const set = `Only ${all.length} of the ${expected} files of '${basename(first)}' are there; it cannot be loaded whole.`;
    return {
      file: first,
      files: all,
      details: {
        ...details,
        memoryBytes: details.memoryBytes ?? bytes,
        ...(first !== path && { file: first }),
      },
      modelType: isEmbedding === null ? spec.modelType : isEmbedding ? "embedding" : "llm",
      warnings: missing > 0 ? [set] : [],
    };
  } catch (error) {
    if (error instanceof BadHeader) throw refused(first, error.message);
    if (error instanceof Error && "syscall" in error) throw unreadable(first, error);
    throw error;
  }
}

async function filesOf(path: string, among: readonly string[] | undefined): Promise<ModelFiles> {
  const files = await modelFiles(path, among).catch((cause) => {
    throw unreadable(path, cause);
  });
  if (files) return files;
  throw new DownloadError(
    "engine_failed",
    `The folder '${path}' holds no model file (.gguf, .safetensors, .bin or .pt).`,
  );
}

async function judgeHead(path: string): Promise<{ format: ModelDetails["format"]; bytes: number }> {
  const handle = await open(path, "r");
  try {
    const { size } = await handle.stat();
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    const text = buffer.subarray(0, bytesRead).toString("latin1");
    if (size === 0) throw new BadHeader("is empty");
    if (text.startsWith(LFS_POINTER)) throw new BadHeader("is a Git LFS pointer, not the file it points to");
    if (HTML.test(buffer.subarray(0, bytesRead).toString("utf8"))) throw new BadHeader("is an HTML page");
    // A blob has no suffix; its first bytes tell.
    if (text.startsWith("GGUF")) return { format: "gguf", bytes: size };
    const suffix = extname(path).toLowerCase();
    if (suffix === ".gguf") throw new BadHeader("does not begin like a GGUF file");
    return { format: suffix === ".safetensors" ? "safetensors" : "other", bytes: size };
  } finally {
    await handle.close();
  }
}

interface Description {
  details: ModelDetails;
  /** Null where nothing tells. */
  isEmbedding: boolean | null;
}

async function describe(
  format: ModelDetails["format"],
  files: ModelFiles,
  spec: EngineSpec,
  signal: AbortSignal | undefined,
): Promise<Description> {
  const context = contextOf(spec);
  if (format === "gguf") {
    const headers: GgufHeader[] = [];
    for (const file of files.all) headers.push(await readGguf(file, signal));
    refuseCompanion(headers, files.all.length >= files.expected);
    return describeGguf(headers, await totalSize(files.all), context);
  }
  const config = await readConfig(dirname(files.first));
  if (format === "other") return describeOther(config, files);
  const headers = [];
  for (const file of files.all) headers.push(await readSafetensors(file, signal));
  const weights = sum(headers.map((h) => h.tensorBytes));
  const cache = config?.isEmbedding
    ? 0
    : cacheBytes(config?.layers, config?.cachedPerLayer, context, config?.contextLength);
  const details = {
    format: "safetensors" as const,
    architecture: config?.architecture ?? null,
    quantization: config?.quantization ?? headers[0]?.mainType ?? null,
    contextLength: config?.contextLength ?? null,
    parameterCount: sum(headers.map((h) => h.parameterCount)),
    memoryBytes: weights + cache,
  };
  return { details, isEmbedding: config ? config.isEmbedding : null };
}

function describeGguf(headers: readonly GgufHeader[], size: number, context: number): Description {
  const first = headers[0] as GgufHeader;
  const { pairs } = first;
  const number = (key: string): number | null => {
    const value = pairs.get(key);
    return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : null;
  };
  const architecture = architectureOf(pairs);
  const contextLength = number(`${architecture}.context_length`);
  const type = number("general.file_type");
  const quantization = type === null ? undefined : FILE_TYPES[type & ~FILE_TYPE_GUESSED];
  const isEmbedding = architecture === null ? null : embeds(architecture, pairs);
  const layers = number(`${architecture}.block_count`);
  // An encoder keeps nothing from token to token.
  const isEncoder = architecture !== null && EMBEDDING_FAMILIES.has(architecture);
  const cache = isEncoder
    ? 0
    : cacheBytes(layers, cachedPerLayer(architecture, pairs), context, contextLength);
  const weights = headers.map((h) => h.tensorBytes);
  const known = weights.every((bytes) => bytes !== null);
  const details = {
    format: "gguf" as const,
    architecture,
    quantization: quantization ?? first.mainType,
    contextLength,
    parameterCount: sum(headers.map((h) => h.parameterCount)),
    memoryBytes: (known ? sum(weights as number[]) : size) + cache,
  };
  return { details, isEmbedding };
}

/** Encoders by their kind; others when they were made to pool, or say what they are for. */
function embeds(architecture: string, pairs: GgufHeader["pairs"]): boolean {
  if (EMBEDDING_FAMILIES.has(architecture)) return true;
  const pooling = pairs.get(`${architecture}.pooling_type`);
  if (typeof pooling === "number" && pooling > 0) return true;
  if (pairs.get(`${architecture}.attention.causal`) === false) return true;
  const tags = pairs.get("general.tags");
  if (
    Array.isArray(tags) &&
    tags.some((tag) => tag === "sentence-transformers" || tag === "feature-extraction")
  )
    return true;
  const name = pairs.get("general.name");
  return typeof name === "string" && guessModelType(name) === "embedding";
}

/** Elements of key and value per token of one layer, the mean where layers differ. */
function cachedPerLayer(architecture: string | null, pairs: GgufHeader["pairs"]): number | null {
  const number = (key: string): number | null => {
    const value = pairs.get(`${architecture}.${key}`);
    if (typeof value === "number") return value;
    if (!Array.isArray(value) || value.length === 0) return null;
    return sum(value.map(Number)) / value.length;
  };
  const heads = number("attention.head_count");
  const keyHeads = number("attention.head_count_kv") ?? heads;
  const width = number("embedding_length");
  const headWidth = width !== null && heads ? width / heads : null;
  const keys = number("attention.key_length") ?? headWidth;
  const values = number("attention.value_length") ?? headWidth;
  return keyHeads === null || keys === null || values === null ? null : keyHeads * (keys + values);
}

/** A context longer than the model was made for is not allocated by default. */
function cacheBytes(
  layers: number | null | undefined,
  perLayer: number | null | undefined,
  context: number,
  contextLength: number | null | undefined,
): number {
  const bytes = (layers ?? 0) * (perLayer ?? 0) * Math.min(context, contextLength ?? context) * CACHE_BYTES;
  return Number.isSafeInteger(Math.round(bytes)) ? Math.round(bytes) : 0;
}

async function describeOther(config: ModelConfig | undefined, files: ModelFiles): Promise<Description> {
  const details = {
    format: "other" as const,
    architecture: config?.architecture ?? null,
    quantization: config?.quantization ?? null,
    contextLength: config?.contextLength ?? null,
    parameterCount: null,
    memoryBytes: await totalSize(files.all),
  };
  return { details, isEmbedding: config ? config.isEmbedding : null };
}

function contextOf({ parameters }: EngineSpec): number {
  const given = parameters.n_ctx;
  return typeof given === "number" && given > 0 ? given : DEFAULT_CONTEXT;
}

const totalSize = async (files: readonly string[]): Promise<number> =>
  sum(await Promise.all(files.map(async (file) => (await stat(file)).size)));

const sum = (numbers: readonly number[]): number => numbers.reduce((total, n) => total + n, 0);

const refused = (path: string, why: string): DownloadError =>
  new DownloadError("engine_failed", `No engine was created for '${path}': it ${why}. The file stays.`);

const unreadable = (path: string, cause: unknown): DownloadError =>
  new DownloadError("engine_failed", `The model file '${path}' cannot be read.`, { cause });
