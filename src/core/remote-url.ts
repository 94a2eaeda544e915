import { DownloadError } from "./errors.ts";

/** Signed links are the longest we meet, about 4 KiB. */
export const MAX_URL = 16 * 1024;

/** Space and control characters, which the URL parser would drop or trim silently; a backslash, which it would turn. */
const FORBIDDEN = /[\x00-\x20\x7f\\]/;

declare const remoteUrl: unique symbol;
/**
 * An http or https URL as it is asked, in the parser's own spelling: no login, no impossible port. The HTTP client takes
 * nothing else. Text becomes one through {@link parseRemoteUrl} only (F34, F158, F171, F174); whether its address may be
 * asked is judged with each connection (F166-F170).
 */
export type RemoteUrl = string & { readonly [remoteUrl]: true };

const invalid = (message: string, param: string): DownloadError =>
  new DownloadError("invalid_url", message, { param });

/**
 * The constructor for text, wherever it comes from; `param` names the field it stood in. Throws `invalid_url`; never
 * echoes what it refuses.
 */
export function parseRemoteUrl(text: string, param = "url"): RemoteUrl {
  if (text.length > MAX_URL) throw invalid(`The URL is longer than ${MAX_URL} characters.`, param);
  if (FORBIDDEN.test(text))
    throw invalid("The URL contains a space, a control character or a backslash.", param);
  const url = URL.parse(text);
  if (url === null)
    throw invalid("This is not a complete URL; it should look like https://host/path.", param);
  return remoteUrlOf(url, param);
}

/** The constructor for what is parsed already, such as where a redirect leads. Throws `invalid_url`. */
export function remoteUrlOf(url: URL, param = "url"): RemoteUrl {
  const problem = unfit(url);
  if (problem !== undefined) throw invalid(problem, param);
  return url.href as RemoteUrl;
}

export const isHttp = (url: URL): boolean => url.protocol === "http:" || url.protocol === "https:";

/** Why a parsed URL cannot be asked, or undefined (F34, F158, F174). */
function unfit(url: URL): string | undefined {
  if (!isHttp(url))
    return `URLs with the scheme "${url.protocol.slice(0, 16)}" are not supported, only http: and https:.`;
  if (url.username !== "" || url.password !== "")
    return "The URL contains a user name or password; pass them as a token or header.";
  if (url.port === "0") return "Port 0 cannot be connected to.";
  return undefined;
}
