import { DownloadError } from "../../core/errors.ts";
import { parseRepoPath, showName } from "../../core/paths.ts";

/** A model as Ollama names it (protocols/ollama.md §5). Case is kept. */
export interface ModelName {
  /** With its port, where it has one; in lower case. */
  host: string;
  namespace: string;
  model: string;
  tag: string;
}

export const DEFAULT_HOST = "registry.ollama.ai";
const DEFAULT_NAMESPACE = "library";
export const DEFAULT_TAG = "latest";

const HOST = /^[a-z0-9_][a-z0-9_.:-]{0,349}$/;
const NAMESPACE = /^[A-Za-z0-9_][A-Za-z0-9_-]{0,79}$/;
const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}$/;

/**
 * Reads `[scheme://][host[:port]/][namespace/]model[:tag]`. A scheme says how a named host is reached. Throws
 * `invalid_request`.
 */
export function parseModelName(text: string, param: string): ModelName & { scheme?: "http" | "https" } {
  const [, scheme, rest = ""] = /^(?:(https?):\/\/(?=[^/]+\/[^/]+\/))?(.*)$/s.exec(text) ?? [];
  const parts = rest.split("/");
  const last = parts.pop() ?? "";
  const colon = last.lastIndexOf(":");
  const model = colon < 0 ? last : last.slice(0, colon);
  const tag = colon < 0 ? DEFAULT_TAG : last.slice(colon + 1);
  const namespace = parts.pop() ?? DEFAULT_NAMESPACE;
  const host = (parts.pop() ?? DEFAULT_HOST).toLowerCase();
  const name = { host, namespace, model, tag };
  if (parts.length > 0 || !isName(name))
    throw new DownloadError(
      "invalid_request",
      `${showName(text)} is not a model name: write model, namespace/model or host/namespace/model, each with :tag behind it if wished.`,
      { param },
    );
  return scheme === "http" || scheme === "https" ? { ...name, scheme } : name;
}

/** The characters and lengths that Ollama takes, less what cannot be a file name on every system. */
function isName({ host, namespace, model, tag }: ModelName): boolean {
  if (!HOST.test(host) || !NAMESPACE.test(namespace) || !NAME.test(model) || !NAME.test(tag)) return false;
  if (URL.parse(`https://${host}`)?.host !== host.replace(/:443$/, "")) return false;
  try {
    parseRepoPath([host.replace(":", "_"), namespace, model, tag].join("/"));
    return true;
  } catch {
    return false;
  }
}

/** Without the tag, and without what is understood by itself: `llama3.2`, `me/model`, `host/me/model`. */
export function shortName({ host, namespace, model }: ModelName): string {
  if (host !== DEFAULT_HOST) return `${host}/${namespace}/${model}`;
  return namespace === DEFAULT_NAMESPACE ? model : `${namespace}/${model}`;
}
