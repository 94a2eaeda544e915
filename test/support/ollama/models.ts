import { createHash } from "node:crypto";
import type { OllamaLayer } from "./pull.ts";

/** A model of the registry behind the daemon. */
export interface OllamaModelSpec {
  /** `tiny`, `tiny:q4`, `me/tiny`, `hf.co/me/tiny:Q4_K_M`. */
  name: string;
  /** Sizes in bytes, in the order in which they are pulled. */
  layers: readonly number[];
}

/** The name as the daemon lists it: tag filled in, default host and namespace left out. */
export function fullName(name: string): string {
  const short = name.replace(/^registry\.ollama\.ai\//, "").replace(/^library\//, "");
  return /:[^/]*$/.test(short) ? short : `${short}:latest`;
}

export const layersOf = ({ name, layers }: OllamaModelSpec): OllamaLayer[] =>
  layers.map((size, i) => ({ digest: `sha256:${sha256(`${fullName(name)} layer ${i}`)}`, size }));

export const sha256 = (data: string | Uint8Array): string => createHash("sha256").update(data).digest("hex");

/** A model on the daemon's disk. */
export interface InstalledModel {
  layers: OllamaLayer[];
  /** What it was made of, when it came by `/api/create`. */
  created?: Record<string, unknown>;
  modifiedAt: string;
}

/** An item of `GET /api/tags` (protocols/ollama.md §3). */
export function tagOf(name: string, { layers, modifiedAt }: InstalledModel) {
  return {
    name,
    model: name,
    modified_at: modifiedAt,
    size: layers.reduce((sum, layer) => sum + layer.size, 0),
    digest: sha256(JSON.stringify([name, layers])),
    details: {
      parent_model: "",
      format: "gguf",
      family: "llama",
      families: ["llama"],
      parameter_size: "1.2B",
      quantization_level: "Q8_0",
    },
    capabilities: ["completion"],
  };
}
