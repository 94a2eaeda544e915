import { DownloadError } from "../core/errors.ts";
import { publicUrl } from "../core/redact.ts";
import { isHttp, MAX_URL, remoteUrlOf } from "../core/remote-url.ts";

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
  try {
    remoteUrlOf(to);
  } catch (cause) {
    throw new DownloadError("protocol", `${where} redirects to a URL with a login or an impossible port.`, {
      cause,
    });
  }
  return to;
}
