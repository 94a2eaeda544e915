import { type Content, literal, sha256 } from "../bytes.ts";
import type { ModelSpec } from "../ollama-registry.ts";

/** A model as the registry keeps it. */
export interface StoredModel {
  /** As it was given. */
  name: string;
  /** `library/llama3.2` */
  repo: string;
  tag: string;
  private: boolean;
  /** Exactly what is sent, and its hash in hex. */
  manifest: string;
  hex: string;
  /** Layers, then the config. */
  blobs: { mediaType: string; digest: string; content: Content }[];
}

/** Of the kind that `ollama create` writes (protocols/ollama.md §5.1). */
const CONFIG = JSON.stringify({
  model_format: "gguf",
  model_family: "llama",
  model_families: ["llama"],
  model_type: "1.2B",
  file_type: "Q4_K_M",
  architecture: "amd64",
  os: "linux",
  rootfs: { type: "layers", diff_ids: [] },
});

export function manifestOf(spec: ModelSpec): StoredModel {
  const [path = "", tag = "latest"] = spec.name.split(":");
  const repo = path.includes("/") ? path : `library/${path}`;
  const layers = spec.layers.map(({ type, content }) =>
    blobOf(type.includes("/") ? type : `application/vnd.ollama.image.${type}`, content),
  );
  const text = spec.config === undefined ? CONFIG : spec.config;
  const config = text === null ? undefined : blobOf("application/vnd.docker.container.image.v1+json", text);
  const entry = ({ mediaType, digest, content }: ReturnType<typeof blobOf>) => ({
    mediaType,
    digest,
    size: content.size,
  });
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: "application/vnd.docker.distribution.manifest.v2+json",
    ...(config && { config: entry(config) }),
    layers: layers.map(entry),
  });
  return {
    name: spec.name,
    repo,
    tag,
    private: spec.private ?? false,
    manifest,
    hex: sha256(literal(manifest)),
    blobs: config ? [...layers, config] : layers,
  };
}

function blobOf(mediaType: string, given: string | Content) {
  const content = typeof given === "string" ? literal(given) : given;
  return { mediaType, content, digest: `sha256:${sha256(content)}` };
}
