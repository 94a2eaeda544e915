import { DownloadError } from "../../core/errors.ts";
import { parseRepoPath, showName } from "../../core/paths.ts";

export const DEFAULT_REVISION = "main";

/** What a hub URL names: a file, a folder, or (neither given) the whole repository. Text as written, not yet judged. */
export interface HubReference {
  repo: string;
  revision?: string;
  file?: string;
  folder?: string;
}

/** Whether this is the id of a model repository: protocols/huggingface.md §1. */
export function isRepoId(text: unknown): text is string {
  if (typeof text !== "string" || text.length > 96 || /--|\.\.|\.git$/.test(text)) return false;
  const parts = text.split("/");
  return (
    parts.length <= 2 && parts.every((part) => /^[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?$/.test(part))
  );
}

/** Throws `invalid_request` for what is no repository id (F136). */
export function parseRepoId(text: string, param: string): string {
  if (isRepoId(text)) return text;
  throw new DownloadError(
    "invalid_request",
    `${showName(text)} is not a repository id of the hub: write organisation/name with letters, digits, "-", "_" and ".".`,
    { param },
  );
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

/** First path components of the hub's own pages and of other kinds of repositories. */
const PAGES = new Set(
  (
    "about api blog brand buckets chat collections datasets docs enterprise inference join kernels languages learn login " +
    "logout metrics models new notifications oauth organizations papers posts pricing privacy search settings spaces " +
    "storage support tasks terms-of-service users"
  ).split(" "),
);
const VERBS = new Set(["resolve", "blob", "raw", "tree"]);
/** `host/model/file.gguf` is a file on some server's own tree, not a repository named like a file (seed 001). */
const FILE_NAME =
  /\.(?:gguf|ggml|safetensors|bin|pt|pth|ckpt|onnx|h5|npz|tflite|zip|gz|tgz|tar|zst|7z|json|txt|html?)$/i;

/**
 * Reads a hub URL (protocols/huggingface.md §1). `basePath` is the path of the endpoint itself, without a slash at
 * its end. Undefined when the path has none of the hub's forms: then it is a plain URL.
 */
export function readHubUrl(url: URL, basePath: string): HubReference | undefined {
  if (!url.pathname.startsWith(`${basePath}/`)) return undefined;
  const raw = url.pathname.slice(basePath.length + 1).split("/");
  if (raw.at(-1) === "") raw.pop();
  const parts = raw.map(decode);
  if (parts.length === 0 || parts.some((part) => part === "") || PAGES.has(parts[0]!)) return undefined;
  const at = [2, 1].find((i) => VERBS.has(parts[i] ?? "") && parts.length > i + 1);
  if (at !== undefined) return readRest(parts.slice(0, at).join("/"), parts[at]!, parts.slice(at + 1));
  if (parts.length > 2 || FILE_NAME.test(parts.at(-1)!)) return undefined;
  return { repo: parts.join("/") };
}

/** Components stay as written when they cannot be decoded; the validators refuse them then. */
function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function readRest(repo: string, verb: string, rest: readonly string[]): HubReference | undefined {
  // The hub also understands refs/pr/1 with plain slashes.
  const isRef = rest[0] === "refs" && /^(?:pr|convert)$/.test(rest[1] ?? "") && rest.length > 2;
  const revision = rest.slice(0, isRef ? 3 : 1).join("/");
  const below = rest.slice(isRef ? 3 : 1);
  // A slash that only appears by decoding is no separator: kept encoded, so that the path is refused (F127).
  const path = below.map((part) => part.replaceAll("/", "%2F")).join("/");
  if (verb === "tree") return path === "" ? { repo, revision } : { repo, revision, folder: path };
  return path === "" ? undefined : { repo, revision, file: path };
}

/** Path of a file for a URL: every component encoded, the slashes kept. */
export function encodePath(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}
