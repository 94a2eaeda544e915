import { type HubReference, readHubUrl } from "./reference.ts";

const PUBLIC_HOSTS = new Set(["huggingface.co", "hf.co"]);

/** Where the hub is, and which URLs are its own. */
export interface HubAddress {
  /** Without a slash at its end. */
  base: string;
  origin: string;
  host: string;
  /** What a URL of our endpoint names, or of the public hub, which then means our endpoint; undefined for others. */
  readUrl(text: string): HubReference | undefined;
}

export function hubAddress(endpoint: string): HubAddress {
  const { origin, host, pathname } = new URL(endpoint);
  const path = pathname.replace(/\/+$/, "");
  const readUrl = (text: string): HubReference | undefined => {
    // What the URL parser would silently drop or turn is left to the plain URL source, which refuses it (F158).
    const url = text.length > 8192 || /[\x00-\x20\x7f\\]/.test(text) ? null : URL.parse(text);
    if (url === null || !/^https?:$/.test(url.protocol)) return undefined;
    if (url.origin === origin) return readHubUrl(url, path);
    return PUBLIC_HOSTS.has(url.hostname) && url.port === "" ? readHubUrl(url, "") : undefined;
  };
  return { base: `${origin}${path}`, origin, host, readUrl };
}
