import { parse } from "content-disposition";
import { type RepoPath, sanitizeFileName } from "../../core/paths.ts";

/** The name for a download that nothing names. */
export const NAMELESS = "download";

/** The last component of a URL's path as a safe file name, or null. */
export function nameFromUrl(url: URL): RepoPath | null {
  const last = url.pathname.split("/").at(-1) ?? "";
  try {
    return sanitizeFileName(decodeURIComponent(last));
  } catch {
    return sanitizeFileName(last);
  }
}

/** `filename*`, else `filename`, as a safe file name, or null (RFC 6266 §4.3). */
export function nameFromDisposition(header: string | null): RepoPath | null {
  if (header === null || header.length > 8192) return null;
  const name = parse(header).parameters.filename;
  return name === undefined ? null : sanitizeFileName(name);
}

/** Whether a name looks like one of a file and not like a route (`/download`, `/v1/latest`). */
export const isFileName = (name: string): boolean => /[^.]\.[A-Za-z0-9_-]{1,16}$/.test(name);

const TEXT =
  /\.(?:html?|xhtml|shtml|php|aspx?|jsp|txt|md|rst|json|jsonl|ya?ml|xml|csv|tsv|css|m?js|svg|log)$/i;

/** Whether a web page under this name can only be an error or login page (F54). */
export const looksBinary = (name: string): boolean => isFileName(name) && !TEXT.test(name);
