import { DownloadError } from "../../core/errors.ts";
import { parseRepoPath, showName } from "../../core/paths.ts";
import { FILE_NAME, type HubReference, joinComponents, pathComponents } from "../repository/reference.ts";

export const DEFAULT_REVISION = "main";

/** Whether this is the id of a model repository: protocols/huggingface.md §1. */
export function isRepoId(text: unknown): text is string {
  if (typeof text !== "string" || text.length > 96 || /--|\.\.|\.git$/.test(text)) return false;
  const parts = text.split("/");
  return (
    parts.length <= 2 && parts.every((part) => /^[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?$/.test(part))
  );
}

/** Throws `invalid_request` for what is no repository id (F136), `invalid_path` for one that is no folder everywhere (F129). */
export function parseRepoId(text: string, param: string): string {
  if (isRepoId(text)) return parseRepoPath(text, param);
  throw new DownloadError(
    "invalid_request",
    `${showName(text)} is not a repository id of the hub: write organisation/name with letters, digits, "-", "_" and ".".`,
    { param },
  );
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

/**
 * Reads a hub URL (protocols/huggingface.md §1). `basePath` is the path of the endpoint itself, without a slash at
 * its end. Undefined when the path has none of the hub's forms: then it is a plain URL.
 */
export function readHubUrl(url: URL, basePath: string): HubReference | undefined {
  const parts = pathComponents(url, basePath);
  if (parts === undefined || PAGES.has(parts[0]!)) return undefined;
  const at = [2, 1].find((i) => VERBS.has(parts[i] ?? "") && parts.length > i + 1);
  if (at !== undefined) return readRest(parts.slice(0, at).join("/"), parts[at]!, parts.slice(at + 1));
  if (parts.length > 2 || FILE_NAME.test(parts.at(-1)!)) return undefined;
  return { repo: parts.join("/") };
}

function readRest(repo: string, verb: string, rest: readonly string[]): HubReference | undefined {
  // The hub also understands refs/pr/1 with plain slashes.
  const isRef = rest[0] === "refs" && /^(?:pr|convert)$/.test(rest[1] ?? "") && rest.length > 2;
  const revision = rest.slice(0, isRef ? 3 : 1).join("/");
  const path = joinComponents(rest.slice(isRef ? 3 : 1));
  if (verb === "tree") return path === "" ? { repo, revision } : { repo, revision, folder: path };
  return path === "" ? undefined : { repo, revision, file: path };
}
