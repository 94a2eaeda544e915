import { type Digest, parseNamedDigest } from "../../core/download.ts";
import { DownloadError } from "../../core/errors.ts";

/** One blob of a model: a layer, or the config. */
export interface Layer {
  mediaType: string;
  digest: Digest;
  size: number;
}

export interface ModelManifest {
  /** Exactly as it came: its hash is the model's version, and it is kept byte for byte (protocols/ollama.md §5.1). */
  text: string;
  /** The model's weights first, the config last; no digest twice. */
  layers: Layer[];
  config: Layer | undefined;
}

/** Media types of everything that Ollama itself stores. */
const OLLAMA = "application/vnd.ollama.image.";
export const WEIGHTS = `${OLLAMA}model`;
/** Models of single tensors have thousands of layers. */
const MOST_LAYERS = 20_000;

/** Throws `protocol` for an answer that is no manifest, `unexpected_content` for one of something that is no model. */
export function parseManifest(text: string, what: string): ModelManifest {
  const value = parsed(text);
  const list: unknown = value?.layers ?? [];
  if (!value || !Array.isArray(list) || list.length > MOST_LAYERS || "errors" in value)
    throw noManifest(what);
  const [config] = value.config === undefined || value.config === null ? [] : [value.config];
  const layers = list.map((layer) => toLayer(layer, what));
  const known = config === undefined ? undefined : toLayer(config, what);
  if (layers.length > 0 ? !layers.some((it) => it.mediaType.startsWith(OLLAMA)) : known === undefined)
    throw new DownloadError(
      "unexpected_content",
      `${what} is not a model for Ollama but something else that this registry keeps: check the name.`,
    );
  const isWeights = (it: Layer) => it.mediaType === WEIGHTS;
  const all = [...layers.filter(isWeights), ...layers.filter((it) => !isWeights(it))];
  if (known) all.push(known);
  const unique = new Map(all.map((it) => [it.digest.hex, it] as const).reverse());
  const ordered = all.filter((it) => unique.get(it.digest.hex) === it);
  return { text, layers: ordered, config: known };
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function toLayer(value: unknown, what: string): Layer {
  const { mediaType, digest, size } = (value ?? {}) as Record<string, unknown>;
  // The daemon makes a file name of the digest as it is written, and that in lower case only.
  const isWritten =
    typeof digest === "string" && digest.startsWith("sha256:") && digest === digest.toLowerCase();
  const sha256 = isWritten ? parseNamedDigest(digest) : undefined;
  const isSize = typeof size === "number" && Number.isSafeInteger(size) && size >= 0;
  if (typeof mediaType !== "string" || !sha256 || !isSize) throw noManifest(what);
  return { mediaType, digest: sha256, size };
}

function noManifest(what: string): DownloadError {
  return new DownloadError(
    "protocol",
    `The answer for ${what} is no manifest of a model: check the address of the registry.`,
  );
}
