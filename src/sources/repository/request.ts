import { type Digest, parseDigest, type SourceRef } from "../../core/download.ts";
import { DownloadError } from "../../core/errors.ts";
import { parseRepoPath } from "../../core/paths.ts";
import type { StartRequest } from "../../core/ports.ts";
import { requestSecret } from "../headers.ts";
import { checkPatterns, literalPattern } from "../patterns.ts";
import { type HubReference, parseRevision } from "./reference.ts";

/** What one hub calls things, for {@link parseRequest}. */
export interface Dialect {
  /** Provider name of its references, and what their keys begin with. */
  provider: string;
  defaultRevision: string;
  /** What a URL of this hub names; undefined for other URLs. */
  readUrl(text: string): HubReference | undefined;
  /** Throws `invalid_request` for what is no repository id of this hub. */
  parseRepo(text: string, param: string): string;
  /** The page to show for a reference; `typed` is the URL asked with, without query and fragment. */
  pageOf(page: { repo: string; revision: string; file?: string; site?: string; typed?: string }): string;
}

/**
 * Request -> reference: one file, a selection by patterns, or a whole repository. Equal things have equal keys, however
 * they were named. Throws `invalid_request`, `invalid_url`, `invalid_path`.
 */
export function parseRequest(request: StartRequest, hub: Dialect): SourceRef {
  requestSecret(request);
  if (request.baseUrl !== undefined)
    refuse(
      "base_url does not go with a repository: leave it out; the operator names the hub or a mirror of it at the start.",
      "base_url",
    );
  const named = namedBy(request, hub);
  const repo = hub.parseRepo(named.repo, named.param);
  if (request.revision !== undefined && named.revision !== undefined && request.revision !== named.revision)
    refuse("The URL names another revision than the field revision; give one of them.", "revision");
  const revision = parseRevision(
    request.revision ?? named.revision ?? hub.defaultRevision,
    named.revision ? "url" : "revision",
  );
  const selection = selectionOf(request, named);
  const { files } = selection;
  const digest = digestOf(request, files);
  const { site } = named;
  const url = hub.pageOf({
    repo,
    revision,
    ...(files ? { file: files[0]! } : {}),
    ...(site === undefined ? {} : { site }),
    ...(request.url === undefined ? {} : { typed: bare(request.url) }),
  });
  const { include, exclude } = selection;
  const parts = [repo, revision, files, include, exclude, digest?.hex, ...(site === undefined ? [] : [site])];
  const key = `${hub.provider}:${JSON.stringify(parts)}`;
  return {
    provider: hub.provider,
    key,
    url,
    repo,
    revision,
    ...selection,
    ...(digest ? { digest } : {}),
    ...(site === undefined ? {} : { baseUrl: site }),
  };
}

function namedBy(request: StartRequest, hub: Dialect): HubReference & { param: string } {
  const repo = request.repoId ?? request.model;
  if (request.repoId !== undefined && request.model !== undefined && request.repoId !== request.model)
    refuse("repo_id and model name different repositories; give one of them.", "model");
  if (request.url === undefined) {
    if (repo === undefined) refuse("Give repo_id, the repository on the hub.", "repo_id");
    return { repo, param: request.repoId === undefined ? "model" : "repo_id" };
  }
  if (repo !== undefined) refuse("Give either url or a repository, not both.", "url");
  const named = hub.readUrl(request.url);
  if (named === undefined)
    throw new DownloadError("invalid_url", "The URL names neither a file nor a repository of the hub.", {
      param: "url",
    });
  const { username, password } = new URL(request.url);
  if (username !== "" || password !== "")
    throw new DownloadError("invalid_url", "A URL with a user name or password is not accepted: use token.", {
      param: "url",
    });
  return { ...named, param: "url" };
}

/** Files, or patterns, or neither for the whole repository. */
function selectionOf(
  request: StartRequest,
  named: HubReference,
): Pick<SourceRef, "files" | "include" | "exclude"> {
  const filename = request.filename ?? named.file;
  const include = list(request.include, "include");
  const exclude = list(request.exclude, "exclude");
  if (filename !== undefined) {
    if (named.file !== undefined && named.file !== filename)
      refuse("The URL names another file than filename; give one of them.", "filename");
    if (include || exclude)
      refuse("filename means exactly that file; leave out include and exclude.", "filename");
    return { files: [parseRepoPath(filename, named.file === undefined ? "filename" : "url")] };
  }
  if (named.folder !== undefined) {
    if (include) refuse("The URL names a folder already; leave out include.", "include");
    return {
      include: [`${literalPattern(parseRepoPath(named.folder, "url"))}/`],
      ...(exclude ? { exclude } : {}),
    };
  }
  return { ...(include ? { include } : {}), ...(exclude ? { exclude } : {}) };
}

/** Sorted and without repetitions, so that equal requests have equal keys; undefined when nothing is asked. */
function list(patterns: string[] | undefined, param: string): string[] | undefined {
  if (patterns === undefined || patterns.length === 0) return undefined;
  checkPatterns(patterns, param);
  return [...new Set(patterns)].sort();
}

function digestOf(request: StartRequest, files: string[] | undefined): Digest | undefined {
  if (request.sha256 === undefined) return undefined;
  if (!files) refuse("sha256 is the digest of one file: give filename too.", "sha256");
  const digest = parseDigest("sha256", request.sha256);
  return digest ?? refuse("sha256 must be 64 hexadecimal digits.", "sha256");
}

function refuse(message: string, param: string): never {
  throw new DownloadError("invalid_request", message, { param });
}

/** The URL as typed, without query and fragment. */
function bare(text: string): string {
  const { origin, pathname } = new URL(text);
  return `${origin}${pathname}`;
}
