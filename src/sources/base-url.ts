import { DownloadError } from "../core/errors.ts";
import type { Http } from "../core/ports.ts";

/** Base URL of a server that a request names in the field `param`, without a slash at its end. Throws `invalid_url`, `forbidden_address`. */
export function parseBase(http: Http, text: string, param: string): string {
  const { origin, pathname, search, hash } = speaking(param, () => http.check(text));
  if (search !== "" || hash !== "")
    throw new DownloadError("invalid_url", `${param}: This must be an address without query and fragment.`, {
      param,
    });
  return `${origin}${pathname.replace(/\/+$/, "")}`;
}

/** What `check` refuses is said of this field of the request, by name too: a stream shows the words alone. */
export function speaking<T>(param: string, check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof DownloadError)) throw error;
    throw new DownloadError(error.code, `${param}: ${error.message}`, { param });
  }
}
