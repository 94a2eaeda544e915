import { type Digest, parseDigest, type SourceRef } from "../core/download.ts";
import { DownloadError } from "../core/errors.ts";
import { parseRepoPath, showName } from "../core/paths.ts";
import type {
  Clock,
  Http,
  Manifest,
  RemoteListing,
  Source,
  SourceContext,
  StartRequest,
} from "../core/ports.ts";
import { quantizationOf, shardOf } from "./gguf-names.ts";
import { credentialsFor, requestSecret } from "./headers.ts";
import { type Call, createHubClient, type HubEntry } from "./huggingface/client.ts";
import { hubErrorByHeaders } from "./huggingface/errors.ts";
import {
  DEFAULT_REVISION,
  encodePath,
  type HubReference,
  parseRepoId,
  parseRevision,
  readHubUrl,
} from "./huggingface/reference.ts";
import { checkPatterns, compilePatterns, literalPattern } from "./patterns.ts";

export interface HuggingFaceOptions {
  http: Http;
  /** Base URL of the hub or of a mirror of it. */
  endpoint: string;
  /** The operator's token: for requests that bring none, and for this endpoint only. */
  token?: string;
  clock: Clock;
}

const NAMES = new Set(["huggingface", "hf"]);
const PUBLIC_HOSTS = new Set(["huggingface.co", "hf.co"]);

/** Models of the Hugging Face Hub: one file, a selection, or a whole repository, pinned to one commit. */
export function createHuggingFace(options: HuggingFaceOptions): Source {
  const endpoint = new URL(options.endpoint);
  const base = `${endpoint.origin}${endpoint.pathname.replace(/\/+$/, "")}`;
  const basePath = base.slice(endpoint.origin.length);
  const client = createHubClient(options.http, base, options.clock);

  /** The hub URL of a request, if it is one: of our endpoint, or of the public hub, which then means our endpoint. */
  const readUrl = (text: string): HubReference | undefined => {
    // What the URL parser would silently drop or turn is left to the plain URL source, which refuses it (F158).
    const url = text.length > 8192 || /[\x00-\x20\x7f\\]/.test(text) ? null : URL.parse(text);
    if (url === null || !/^https?:$/.test(url.protocol)) return undefined;
    if (url.origin === endpoint.origin) return readHubUrl(url, basePath);
    return PUBLIC_HOSTS.has(url.hostname) && url.port === "" ? readHubUrl(url, "") : undefined;
  };

  const call = (ref: SourceRef, context: SourceContext, repo?: string): Call => ({
    subject: subjectOf(ref, repo),
    credentials: credentialsFor(endpoint.origin, context.secret, options.token),
    signal: context.signal,
  });
  const subjectOf = (ref: SourceRef, repo = ref.repo ?? "") => ({
    host: endpoint.host,
    repo,
    revision: ref.revision ?? DEFAULT_REVISION,
    ...(ref.files?.length === 1 ? { path: ref.files[0] as string } : {}),
  });

  return {
    name: "huggingface",
    description: "Hugging Face Hub: one file, a selection by patterns, or a whole repository",

    accepts: (request) =>
      request.provider === undefined
        ? request.repoId !== undefined || (request.url !== undefined && readUrl(request.url) !== undefined)
        : NAMES.has(request.provider.toLowerCase()),

    parse: (request) => parse(request, base, readUrl),
    secretOf: requestSecret,

    defaultModelId: (ref) =>
      ref.files?.length === 1 ? `${ref.repo}/${ref.files[0]}` : (ref.repo ?? ref.url),

    async resolve(ref, context) {
      const info = await client.info(call(ref, context));
      const pinned = call(ref, context, info.id);
      const chosen = ref.files
        ? inOrder(ref, await client.paths(pinned, info.commit, ref.files))
        : select(ref, await client.tree(pinned, info.commit));
      if (info.gated && chosen.some((entry) => entry.masked)) await client.checkAccess(pinned);
      return manifest(ref, info.id, info.commit, chosen);
    },

    async locate(_ref, file, context) {
      const credentials = credentialsFor(endpoint.origin, context.secret, options.token);
      return { url: `${base}/${file.locator}`, operator: true, ...(credentials ? { credentials } : {}) };
    },

    explain: (ref, status, headers) =>
      hubErrorByHeaders(subjectOf(ref), status, headers, options.clock.now()),

    async list(repo, revision, context): Promise<RemoteListing> {
      const ref = {
        provider: "huggingface",
        key: "",
        url: base,
        repo: parseRepoId(repo, "repo"),
        revision: parseRevision(revision ?? DEFAULT_REVISION),
      };
      const info = await client.info(call(ref, context));
      const entries = await client.tree(call(ref, context, info.id), info.commit);
      return {
        repo: info.id,
        commit: info.commit,
        gated: info.gated,
        files: entries.filter(isSafe).map(remoteFile),
      };
    },
  };
}

/** Request -> reference. Throws `invalid_request`, `invalid_url`, `invalid_path`. */
function parse(
  request: StartRequest,
  base: string,
  readUrl: (text: string) => HubReference | undefined,
): SourceRef {
  requestSecret(request);
  const named = namedBy(request, readUrl);
  const repo = parseRepoId(named.repo, named.param);
  if (request.revision !== undefined && named.revision !== undefined && request.revision !== named.revision)
    refuse("The URL names another revision than the field revision; give one of them.", "revision");
  const revision = parseRevision(
    request.revision ?? named.revision ?? DEFAULT_REVISION,
    named.revision ? "url" : "revision",
  );
  const selection = selectionOf(request, named);
  const { files } = selection;
  const digest = digestOf(request, files);
  const path = files
    ? `/resolve/${encodeURIComponent(revision)}/${encodePath(files[0]!)}`
    : `/tree/${encodeURIComponent(revision)}`;
  const url =
    request.url === undefined
      ? `${base}/${repo}${files || revision !== DEFAULT_REVISION ? path : ""}`
      : bare(request.url);
  const key = `huggingface:${JSON.stringify([repo, revision, files, selection.include, selection.exclude, digest?.hex])}`;
  return { provider: "huggingface", key, url, repo, revision, ...selection, ...(digest ? { digest } : {}) };
}

function namedBy(
  request: StartRequest,
  readUrl: (text: string) => HubReference | undefined,
): HubReference & { param: string } {
  const repo = request.repoId ?? request.model;
  if (request.repoId !== undefined && request.model !== undefined && request.repoId !== request.model)
    refuse("repo_id and model name different repositories; give one of them.", "model");
  if (request.url === undefined) {
    if (repo === undefined) refuse("Give repo_id, the repository on the hub.", "repo_id");
    return { repo, param: request.repoId === undefined ? "model" : "repo_id" };
  }
  if (repo !== undefined) refuse("Give either url or a repository, not both.", "url");
  const named = readUrl(request.url);
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

/** The files asked for by name, in that order. Throws `entry_not_found` for one that is not there. */
function inOrder(ref: SourceRef, entries: readonly HubEntry[]): HubEntry[] {
  return (ref.files ?? []).map((path) => {
    const found = entries.find((entry) => entry.path === path);
    if (found) return found;
    throw new DownloadError(
      "entry_not_found",
      `${ref.repo} at revision ${ref.revision} has no file ${showName(path)}: check its name and its folder.`,
    );
  });
}

/** The files that the patterns choose. Throws `entry_not_found` when there are none, `invalid_path` for unsafe names. */
function select(ref: SourceRef, entries: readonly HubEntry[]): HubEntry[] {
  const wanted = ref.include ? compilePatterns(ref.include, "include") : () => true;
  const unwanted = ref.exclude ? compilePatterns(ref.exclude, "exclude") : () => false;
  const chosen = entries.filter(({ path }) => wanted(path) && !unwanted(path));
  if (chosen.length === 0) {
    const patterns = ref.include || ref.exclude ? " that the patterns choose" : "";
    throw new DownloadError(
      "entry_not_found",
      `${ref.repo} at revision ${ref.revision} has no files${patterns}.`,
    );
  }
  return chosen;
}

function manifest(ref: SourceRef, repo: string, commit: string, chosen: readonly HubEntry[]): Manifest {
  const warnings: string[] = [];
  const files = chosen.map((entry) => {
    const path = parseRepoPath(entry.path);
    const locator = `${repo}/resolve/${commit}/${encodePath(path)}`;
    return { path, size: entry.size, digest: promised(ref, entry), locator };
  });
  const shard = ref.files?.length === 1 ? shardOf(ref.files[0]!) : undefined;
  if (shard && shard.count > 1)
    warnings.push(
      `This is part ${shard.number} of ${shard.count}; the model needs all of them: include ${shard.set}`,
    );
  return { repo, commit, files, ...(warnings.length > 0 ? { warnings } : {}) };
}

/** The client's own digest counts first; where hub and client promise different content nothing could ever fit. */
function promised(ref: SourceRef, entry: HubEntry): Digest | null {
  if (!ref.digest) return entry.digest;
  if (entry.digest?.algorithm === "sha256" && entry.digest.hex !== ref.digest.hex)
    throw new DownloadError(
      "checksum",
      `${entry.path}: the hub has content with SHA-256 ${entry.digest.hex}, not ${ref.digest.hex} as asked for.`,
    );
  return ref.digest;
}

function isSafe(entry: HubEntry): boolean {
  try {
    return parseRepoPath(entry.path) === entry.path;
  } catch {
    return false;
  }
}

function remoteFile({ path, size, digest }: HubEntry) {
  const shard = shardOf(path);
  return {
    path,
    size,
    digest,
    quantization: quantizationOf(path),
    shardSet: shard?.set ?? null,
    shard: shard ? { number: shard.number, count: shard.count } : null,
  };
}
