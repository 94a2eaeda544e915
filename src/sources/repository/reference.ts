import { DownloadError } from "../../core/errors.ts";
import { parseRepoPath, showName } from "../../core/paths.ts";

/** What a hub URL names: a file, a folder, or (neither given) the whole repository. Text as written, not yet judged. */
export interface HubReference {
  repo: string;
  revision?: string;
  file?: string;
  folder?: string;
  /** Base URL of the site it is on, where that is another one than the source's own. */
  site?: string;
}

/** Branch, tag, commit or `refs/pr/1`: git's rules for names, and safe as a path below `refs/`. Throws `invalid_request` (F136). */
export function parseRevision(text: string, param = "revision"): string {
  const forbidden = /[\s~^:?*[\\]|\.\.|@\{|\/\/|^[/-]|\/$|(?:^|\/)\.|\.lock(?:\/|$)/;
  if (text.length <= 255 && !forbidden.test(text) && isPath(text)) return text;
  throw new DownloadError(
    "invalid_request",
    `${showName(text)} is not a revision: give a branch, a tag, a commit or refs/pr/N.`,
    { param },
  );
}

function isPath(text: string): boolean {
  try {
    parseRepoPath(text);
    return true;
  } catch {
    return false;
  }
}

/** `host/model/file.gguf` is a file on some server's own tree, not a repository named like a file (seed 001). */
export const FILE_NAME =
  /\.(?:gguf|ggml|safetensors|bin|pt|pth|ckpt|onnx|h5|npz|tflite|zip|gz|tgz|tar|zst|7z|json|txt|html?)$/i;

/** URL of text that means what it says: what the parser would silently drop or turn is left to others (F158). */
export function parseHubUrl(text: string): URL | null {
  const url = text.length > 8192 || /[\x00-\x20\x7f\\]/.test(text) ? null : URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) ? url : null;
}

/**
 * The components of a URL's path below `basePath`, decoded, without the empty one behind a slash at the end; undefined
 * when there are none, or an empty one in between. A component stays as written when it cannot be decoded.
 */
export function pathComponents(url: URL, basePath: string): string[] | undefined {
  if (!url.pathname.startsWith(`${basePath}/`)) return undefined;
  const raw = url.pathname.slice(basePath.length + 1).split("/");
  if (raw.at(-1) === "") raw.pop();
  const parts = raw.map(decode);
  return parts.length === 0 || parts.some((part) => part === "") ? undefined : parts;
}

/** What cannot be decoded is refused by the validators. */
function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** A slash that only appears by decoding is no separator: kept encoded, so that the path is refused (F127). */
export const joinComponents = (parts: readonly string[]): string =>
  parts.map((part) => part.replaceAll("/", "%2F")).join("/");

/** Path of a file for a URL: every component encoded, the slashes kept. */
export function encodePath(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}
