import type { SourceRef } from "../../core/download.ts";
import { parseRemoteUrl, type RemoteUrl } from "../../core/remote-url.ts";
import { DEFAULT_HOST, type ModelName, parseModelName, shortName } from "./name.ts";

/** A model, and the server that is asked for it. */
export interface Place {
  name: ModelName;
  /** The name without tag and defaults, for people. */
  shown: string;
  /** Base URL of the registry, without a slash at its end. */
  base: string;
  /** Host and port of it, for messages. */
  server: string;
  /** The operator named this server (A26). */
  operator: boolean;
}

/** `registry` is the operator's own address of Ollama's registry, or of a mirror of it. */
export function placeOf(ref: Pick<SourceRef, "repo" | "revision" | "baseUrl">, registry: string): Place {
  const { scheme: _, ...name } = parseModelName(`${ref.repo}:${ref.revision}`, "model");
  // The operator's server is reached as the operator says, also when a name spells it out.
  const isOwn = name.host === DEFAULT_HOST || name.host === new URL(registry).host;
  const own = isOwn ? registry : `https://${name.host}`;
  const base = ref.baseUrl ?? own;
  const { host, origin } = new URL(base);
  const operator = origin === new URL(registry).origin;
  return { name, shown: shortName(name), base, server: host, operator };
}

/** Address below the model's own path, as the registry protocol has it (protocols/ollama.md §5.1, §5.2). */
export const urlOf = ({ base, name }: Place, kind: "manifests" | "blobs", what: string): RemoteUrl =>
  parseRemoteUrl(`${base}/v2/${name.namespace}/${name.model}/${kind}/${what}`);
