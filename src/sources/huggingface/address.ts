import { encodePath, type HubReference, parseHubUrl } from "../repository/reference.ts";
import type { Dialect } from "../repository/request.ts";
import { DEFAULT_REVISION, parseRepoId, readHubUrl } from "./reference.ts";

const PUBLIC_HOSTS = new Set(["huggingface.co", "hf.co"]);

/** Where the hub is, and which URLs are its own: those of the endpoint, and of the public hub, which then mean it. */
export interface HubAddress extends Dialect {
  /** Without a slash at its end. */
  base: string;
  origin: string;
  host: string;
}

export function hubAddress(endpoint: string): HubAddress {
  const { origin, host, pathname } = new URL(endpoint);
  const path = pathname.replace(/\/+$/, "");
  const base = `${origin}${path}`;
  const readUrl = (text: string): HubReference | undefined => {
    const url = parseHubUrl(text);
    if (url === null) return undefined;
    if (url.origin === origin) return readHubUrl(url, path);
    return PUBLIC_HOSTS.has(url.hostname) && url.port === "" ? readHubUrl(url, "") : undefined;
  };
  return {
    provider: "huggingface",
    defaultRevision: DEFAULT_REVISION,
    base,
    origin,
    host,
    readUrl,
    parseRepo: parseRepoId,
    pageOf({ repo, revision, file, typed }) {
      if (typed !== undefined) return typed;
      const at = encodeURIComponent(revision);
      if (file !== undefined) return `${base}/${repo}/resolve/${at}/${encodePath(file)}`;
      return revision === DEFAULT_REVISION ? `${base}/${repo}` : `${base}/${repo}/tree/${at}`;
    },
  };
}
