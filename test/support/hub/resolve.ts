import { gzipSync } from "node:zlib";
import { type Content, readAll } from "../bytes.ts";
import type { Reply, WireRequest } from "../origin.ts";
import { ENTRY_NOT_FOUND, refuseContent, revisionNotFound } from "./access.ts";
import { contentDisposition } from "./cdn.ts";
import type { Entry } from "./entry.ts";
import { type Headers, plain, refuse } from "./reply.ts";
import type { Commit, Repo } from "./repo.ts";
import { encodePath, plural } from "./route.ts";
import type { HubState } from "./state.ts";
import type { Caller } from "./users.ts";

/** Smaller bodies are not worth compressing. */
const GZIP_FROM = 1_000;
const XET_FILE_INFO = "application/vnd.xet-fileinfo+json";

/** One request for a file of a repository that the caller may know of. */
export interface FileRequest {
  hub: HubState;
  request: WireRequest;
  caller: Caller;
  repo: Repo;
  revision: string;
  path: string;
}

/** What `/resolve/` and `/raw/` have in common: the gate, then the revision, then the file. */
function found(it: FileRequest, answer: (commit: Commit, entry: Entry) => Reply): Reply {
  const refusal = refuseContent(it.repo, it.caller, it.path);
  if (refusal) return refuse(refusal, "file");
  const commit = it.repo.resolve(it.revision);
  if (!commit) return refuse(revisionNotFound(it.revision), "file");
  const entry = commit.files.get(it.path);
  return entry ? answer(commit, entry) : refuse(ENTRY_NOT_FOUND, "file", [["X-Repo-Commit", commit.id]]);
}

/** `/{id}/resolve/{revision}/{path}`: protocols/huggingface.md §4. */
export function resolveFile(it: FileRequest): Reply {
  return found(it, (commit, entry) => {
    if (entry.isLfs) return wantsXet(it) ? xetFileInfo(it, commit, entry) : toCdn(it, commit, entry);
    const open = !it.repo.spec.gated && !it.repo.spec.private;
    return open ? toCache(it, commit, entry) : content(it.request, commit, entry, entry.content);
  });
}

/** `/{id}/raw/{revision}/{path}`: what git holds, so the pointer of a large file. */
export function rawFile(it: FileRequest): Reply {
  return found(it, (commit, entry) => content(it.request, commit, entry, entry.blobContent));
}

/** Where small files of open repositories are redirected to; without a gate, hence without a token. */
export function cachedFile(it: FileRequest): Reply {
  return found(it, (commit, entry) => content(it.request, commit, entry, entry.content));
}

const wantsXet = ({ hub, request }: FileRequest): boolean =>
  hub.settings.xet && (request.headers.accept ?? "").includes(XET_FILE_INFO);

/** The headers that only the first hop has. */
function linkedHeaders({ hub, repo }: FileRequest, commit: Commit, entry: Entry): Headers {
  const headers: Headers = [
    ["X-Repo-Commit", commit.id],
    ["X-Linked-Size", String(entry.size)],
    ["X-Linked-Etag", `"${entry.sha256}"`],
    ["Accept-Ranges", "bytes"],
    ["Vary", "Origin"],
  ];
  if (!hub.settings.xet) return headers;
  const token = `<${hub.endpoint()}/api/${plural(repo.type)}/${repo.id}/xet-read-token/${commit.id}>; rel="xet-auth"`;
  const plan = `<${hub.cdn.origin.base}/v1/reconstructions/${entry.xetHash}>; rel="xet-reconstruction-info"`;
  return [...headers, ["X-Xet-Hash", entry.xetHash], ["Link", `${token}, ${plan}`]];
}

function toCdn(it: FileRequest, commit: Commit, entry: Entry): Reply {
  const download = new URLSearchParams(it.request.query).get("download") === "true";
  const location = it.hub.cdn.link(it.repo, entry, download ? "attachment" : "inline");
  const headers: Headers = [["Location", location], ...linkedHeaders(it, commit, entry)];
  return plain(302, `Found. Redirecting to ${location}`, headers);
}

function xetFileInfo(it: FileRequest, commit: Commit, entry: Entry): Reply {
  const body = JSON.stringify({ hash: entry.xetHash, size: entry.size });
  return {
    status: 200,
    headers: [["Content-Type", XET_FILE_INFO], ...linkedHeaders(it, commit, entry)],
    body,
  };
}

function toCache({ repo, request }: FileRequest, commit: Commit, entry: Entry): Reply {
  const target = `/api/resolve-cache/${plural(repo.type)}/${repo.id}/${commit.id}/${encodePath(entry.path)}`;
  const asked = encodeURIComponent(request.target.split("?")[0] ?? "");
  const location = `${target}?${asked}=&etag=${encodeURIComponent(`"${entry.oid}"`)}`;
  return plain(307, `Temporary Redirect. Redirecting to ${location}`, [
    ["Location", location],
    ["X-Repo-Commit", commit.id],
  ]);
}

/** 200 or 206 with the bytes; compressed and chunked for whoever accepts that and asks for no range (§4.2). */
function content(request: WireRequest, commit: Commit, entry: Entry, body: Content): Reply {
  const headers = {
    "X-Repo-Commit": commit.id,
    "Content-Disposition": contentDisposition(entry.name, "inline"),
    Vary: "Accept-Encoding",
  };
  const contentType = "text/plain; charset=utf-8";
  const accepts = /\bgzip\b/.test(request.headers["accept-encoding"] ?? "");
  if (accepts && request.headers.range === undefined && body.size >= GZIP_FROM) {
    const encoded: Headers = [
      ["Content-Type", contentType],
      ["Content-Encoding", "gzip"],
      ["ETag", `W/"${entry.oid}"`],
    ];
    return {
      status: 200,
      headers: [...encoded, ...Object.entries(headers)],
      body: gzipSync(readAll(body)),
      chunked: true,
    };
  }
  return { resource: { path: request.path, content: body, etag: `"${entry.oid}"`, contentType, headers } };
}
