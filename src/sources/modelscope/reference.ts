import { DownloadError } from "../../core/errors.ts";
import { parseRepoPath, showName } from "../../core/paths.ts";
import { type HubReference, joinComponents, pathComponents } from "../repository/reference.ts";

export const DEFAULT_REVISION = "master";

/** Whether this is `owner/name`; there are no names of one word. */
export function isRepoId(text: unknown): text is string {
  if (typeof text !== "string" || text.length > 128 || /\.\.|\.git$/.test(text)) return false;
  const parts = text.split("/");
  return (
    parts.length === 2 && parts.every((part) => /^[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?$/.test(part))
  );
}

/** Throws `invalid_request` for what is no repository id (F136), `invalid_path` for one that is no folder everywhere (F129). */
export function parseRepoId(text: string, param: string): string {
  if (isRepoId(text)) return parseRepoPath(text, param);
  throw new DownloadError(
    "invalid_request",
    `${showName(text)} is not a model of ModelScope: write owner/name with letters, digits, "-", "_" and ".".`,
    { param },
  );
}

/**
 * Reads a URL of the site: pages of a model (`/models/owner/name`, its tabs, `/file/view/…`, `/tree/…`), addresses of
 * files (`/resolve/…`, with or without `/models`) and the download route of the API. `basePath` is the path of the
 * endpoint itself. Undefined for everything else, data sets and studios included: then it is a plain URL.
 */
export function readSiteUrl(url: URL, basePath: string): HubReference | undefined {
  const parts = pathComponents(url, basePath);
  if (parts === undefined) return undefined;
  const [first, second, third] = parts;
  if (first === "models") return readModel(parts.slice(1));
  if (first === "api")
    return second === "v1" && third === "models" ? readApi(url, parts.slice(3)) : undefined;
  return third === "resolve" ? readModel(parts) : undefined;
}

function readModel([owner, name, verb, ...rest]: string[]): HubReference | undefined {
  if (owner === undefined || name === undefined) return undefined;
  const repo = `${owner}/${name}`;
  // Only a tab of the model's page: summary, files, feedback, …
  if (verb === undefined || (rest.length === 0 && /^[a-z-]+$/.test(verb))) return { repo };
  if (verb === "file" && rest[0] === "view")
    // The page has the whole path in one component, its slashes encoded.
    return file(repo, rest[1], rest.slice(2).join("/"));
  if (verb === "resolve") return file(repo, rest[0], joinComponents(rest.slice(1)));
  if (verb !== "tree") return undefined;
  const [revision = "", ...folder] = rest;
  return folder.length === 0 ? { repo, revision } : { repo, revision, folder: joinComponents(folder) };
}

/** `GET /api/v1/models/{owner}/{name}/repo?Revision=&FilePath=`. */
function readApi(url: URL, [owner, name, verb, ...rest]: string[]): HubReference | undefined {
  if (verb !== "repo" || rest.length > 0) return undefined;
  const revision = url.searchParams.get("Revision") ?? DEFAULT_REVISION;
  return file(`${owner}/${name}`, revision, url.searchParams.get("FilePath") ?? "");
}

function file(repo: string, revision: string | undefined, path: string): HubReference | undefined {
  return revision === undefined || path === "" ? undefined : { repo, revision, file: path };
}
