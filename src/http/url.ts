import { DownloadError } from "../core/errors.ts";
import { publicUrl } from "../core/redact.ts";

/** Signed links are the longest we meet, about 4 KiB. */
const MAX_URL = 16 * 1024;

/** Space and control characters, which the URL parser would drop or trim silently; a backslash, which it would turn. */
const FORBIDDEN = /[\x00-\x20\x7f\\]/;

const invalid = (message: string): DownloadError =>
  new DownloadError("invalid_url", message, { param: "url" });

/** Parses a URL somebody gave us, once and for all (F171). Throws `invalid_url`; never echoes what it refuses. */
export function parseUrl(text: string): URL {
  if (text.length > MAX_URL) throw invalid(`The URL is longer than ${MAX_URL} characters.`);
  if (FORBIDDEN.test(text)) throw invalid("The URL contains a space, a control character or a backslash.");
  const url = URL.parse(text);
  if (url === null) throw invalid("This is not a complete URL; it should look like https://host/path.");
  const problem = unfit(url);
  if (problem !== undefined) throw invalid(problem);
  return url;
}

/** Why a parsed URL cannot be asked, or undefined (F34, F158, F174). */
function unfit(url: URL): string | undefined {
  if (!isHttp(url))
    return `URLs with the scheme "${url.protocol.slice(0, 16)}" are not supported, only http: and https:.`;
  if (url.username !== "" || url.password !== "")
    return "The URL contains a user name or password; pass them as a token or header.";
  if (url.port === "0") return "Port 0 cannot be connected to.";
  return undefined;
}

const isHttp = (url: URL): boolean => url.protocol === "http:" || url.protocol === "https:";

/** Where a redirect leads (F33, F34, F37). Throws `protocol` for a broken Location, `redirects` for one we do not follow. */
export function redirectTarget(from: URL, location: string | null): URL {
  const where = publicUrl(from.href);
  if (!location) throw new DownloadError("protocol", `${where} redirects without saying where to.`);
  const to = location.length > MAX_URL ? null : URL.parse(location, from);
  if (to === null) throw new DownloadError("protocol", `${where} redirects to something that is no URL.`);
  if (!isHttp(to))
    throw new DownloadError(
      "redirects",
      `${where} redirects to a "${to.protocol.slice(0, 16)}" URL, which is not followed.`,
    );
  if (from.protocol === "https:" && to.protocol === "http:")
    throw new DownloadError(
      "redirects",
      `${where} redirects from https to plain http (${to.host}), which is not followed.`,
    );
  if (unfit(to) !== undefined)
    throw new DownloadError("protocol", `${where} redirects to a URL with a login or an impossible port.`);
  return to;
}
