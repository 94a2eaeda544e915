import { encodePath, type HubReference, parseHubUrl } from "../repository/reference.ts";
import type { Dialect } from "../repository/request.ts";
import { DEFAULT_REVISION, parseRepoId, readSiteUrl } from "./reference.ts";

/** The two sites by their host names; they have different models and different accounts. */
const CHINA = "https://modelscope.cn";
const INTERNATIONAL = "https://www.modelscope.ai";
const SITES: ReadonlyMap<string, string> = new Map([
  ["modelscope.cn", CHINA],
  ["www.modelscope.cn", CHINA],
  ["modelscope.ai", INTERNATIONAL],
  ["www.modelscope.ai", INTERNATIONAL],
]);

/** Where a reference is asked for. */
export interface Site {
  /** Without a slash at its end. */
  base: string;
  origin: string;
  host: string;
  /** The operator's own endpoint: only it gets the operator's token, and it may be a private address (A26). */
  own: boolean;
}

export interface SiteAddress extends Dialect {
  /** The site of a reference: its own, where it names one, else the endpoint. */
  siteOf(ref: { baseUrl?: string }): Site;
}

/** `endpoint` is a public site or a mirror; a mirror stands for the Chinese site, the default one. */
export function siteAddress(endpoint: string): SiteAddress {
  const { origin, host, hostname, pathname } = new URL(endpoint);
  const path = pathname.replace(/\/+$/, "");
  const own: Site = { base: `${origin}${path}`, origin, host, own: true };
  const represented = SITES.get(hostname) ?? CHINA;
  const readUrl = (text: string): HubReference | undefined => {
    const url = parseHubUrl(text);
    if (url === null) return undefined;
    if (url.origin === origin) return readSiteUrl(url, path);
    const site = url.port === "" ? SITES.get(url.hostname) : undefined;
    const named = site === undefined ? undefined : readSiteUrl(url, "");
    return site === undefined || named === undefined || site === represented ? named : { ...named, site };
  };
  return {
    provider: "modelscope",
    defaultRevision: DEFAULT_REVISION,
    readUrl,
    parseRepo: parseRepoId,
    pageOf({ repo, revision, file, site }) {
      const page = `${site ?? own.base}/models/${repo}`;
      const at = encodeURIComponent(revision);
      if (file !== undefined) return `${page}/resolve/${at}/${encodePath(file)}`;
      return revision === DEFAULT_REVISION ? page : `${page}/tree/${at}`;
    },
    siteOf({ baseUrl }) {
      if (baseUrl === undefined) return own;
      const { origin, host } = new URL(baseUrl);
      return { base: baseUrl, origin, host, own: false };
    },
  };
}
