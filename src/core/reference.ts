/** References as people write them: `hf:org/name[@revision][/path]`, `mlx:…`, `modelscope:…`, `ollama:name[:tag]`, `ollama-registry:…`, `https://…`. */
import { DownloadError } from "./errors.ts";
import type { StartRequest } from "./ports.ts";
import { withoutSecrets } from "./redact.ts";

const HUB = /^(?<repo>[^/@\s]+(?:\/[^/@\s]+)?)(?:@(?<revision>[^/\s]+))?(?:\/(?<path>.+))?$/;
/** Pages of hubs are pasted without their scheme, too: `hf.co/org/name`. */
const PAGE = /^(?:www\.)?(?:hf\.co|huggingface\.co|modelscope\.cn|modelscope\.ai)\//i;
const GLOB = /[*?[\]{}]/;
const HELP =
  "write hf:org/name[@revision][/path], mlx:org/name, modelscope:org/name, ollama:name[:tag], ollama-registry:name[:tag] or a URL that starts with https://";

/** What to ask for. Throws `invalid_request`. A revision with a slash is written percent-encoded (`refs%2Fpr%2F1`). */
export function parseRef(ref: string): StartRequest {
  if (/^https?:\/\//i.test(ref)) return { url: ref };
  const [, scheme, rest = ""] = /^([a-z][a-z0-9+-]*):(.*)$/i.exec(ref) ?? [];
  switch (scheme?.toLowerCase()) {
    case "hf":
      return hubRef(ref, rest);
    case "mlx":
      return providerRef("mlx", ref, rest);
    case "modelscope":
    case "ms":
      return providerRef("modelscope", ref, rest);
    case "ollama":
      if (rest === "" || /\s/.test(rest)) throw unreadable(ref);
      return { provider: "ollama", model: rest };
    case "ollama-registry":
      if (rest === "" || /\s/.test(rest)) throw unreadable(ref);
      return { provider: "ollama-registry", model: rest };
    case undefined:
      if (PAGE.test(ref)) return { url: `https://${ref}` };
      if (!ref.includes("/")) throw unreadable(ref);
      return hubRef(ref, ref);
    default:
      throw unreadable(ref);
  }
}

function providerRef(provider: string, ref: string, text: string): StartRequest {
  const { repoId, ...request } = hubRef(ref, text);
  return { ...request, provider, ...(repoId === undefined ? {} : { model: repoId }) };
}

function hubRef(ref: string, text: string): StartRequest {
  const { repo, revision, path } = HUB.exec(text)?.groups ?? {};
  if (repo === undefined) throw unreadable(ref);
  return {
    repoId: repo,
    ...(revision === undefined ? {} : { revision: decoded(ref, revision) }),
    ...(path === undefined ? {} : GLOB.test(path) ? { include: [path] } : { filename: path }),
  };
}

function decoded(ref: string, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw unreadable(ref);
  }
}

function unreadable(ref: string): DownloadError {
  return new DownloadError(
    "invalid_request",
    `Cannot read '${withoutSecrets(ref).split("?")[0]}': ${HELP}.`,
    {
      param: "ref",
    },
  );
}
