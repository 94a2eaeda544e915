import type { Entry } from "../hub/entry.ts";
import { askedRange } from "../origin/request.ts";
import type { Reply, WireRequest } from "../origin.ts";
import { type Headers, NO_TREE, noFile, ok } from "./reply.ts";
import type { SiteCommit, SiteRepo, Versioned } from "./repo.ts";
import type { SiteState } from "./state.ts";

/** The listing: everything below `Root`, folders included, cut off without a word at the limit, whatever is asked. */
export function listFiles(state: SiteState, repo: SiteRepo, query: URLSearchParams): Reply {
  const commit = repo.resolve(query.get("Revision") ?? "master");
  const { unknownRevision, listLimit, fullCommit } = state.settings;
  if (!commit)
    return unknownRevision === 404 ? NO_TREE : ok({ Files: null, IsVisual: 0, LatestCommitter: null });
  const root = (query.get("Root") ?? "").replace(/^\/|\/$/g, "");
  const items = itemsBelow(commit, root, /^true$/i.test(query.get("Recursive") ?? ""));
  if (root !== "" && items.length === 0) return NO_TREE;
  // Of a folder, the page of the site shows who changed it last.
  const latest = root === "" ? commit.id : repo.lastChange(commit, root);
  const LatestCommitter = { Id: fullCommit ? latest : "", ShortId: latest.slice(0, 8), Name: repo.owner };
  return ok({ Files: items.slice(0, listLimit), IsVisual: 0, LatestCommitter });
}

function itemsBelow(commit: SiteCommit, root: string, recursive: boolean): object[] {
  const prefix = root === "" ? "" : `${root}/`;
  const isHere = (path: string): boolean =>
    path.startsWith(prefix) && path !== root && (recursive || !path.slice(prefix.length).includes("/"));
  const folders = new Set<string>();
  for (const path of commit.files.keys()) {
    const parts = path.split("/");
    if (parts.includes("..") || parts[0] === "") continue;
    for (let depth = 1; depth < parts.length; depth++) folders.add(parts.slice(0, depth).join("/"));
  }
  const isOutward = (path: string): boolean => root === "" && (path.startsWith("/") || path.includes(".."));
  return [
    ...[...folders].filter(isHere).map(folderItem),
    ...[...commit.files]
      .filter(([path]) => isHere(path) || isOutward(path))
      .map(([, file]) => fileItem(file)),
  ];
}

function folderItem(path: string): object {
  const Name = path.split("/").at(-1);
  return { Name, Path: path, Type: "tree", Size: 0, Sha256: "", IsLFS: false, Mode: "16384" };
}

/** Every file has a SHA-256; `Revision` is the commit that last changed it. */
function fileItem({ entry, changedAt }: Versioned): object {
  return {
    Name: entry.name,
    Path: entry.path,
    Type: "blob",
    Size: entry.size,
    Sha256: entry.sha256,
    IsLFS: entry.isLfs,
    Mode: "33188",
    Revision: changedAt,
    CommitMessage: "update",
    CommittedDate: 1_735_689_600,
    CommitterName: "x",
    InCheck: false,
  };
}

/** A file, by the API or by `/resolve/`. */
export function giveFile(
  state: SiteState,
  repo: SiteRepo,
  request: WireRequest,
  { revision, path }: { revision: string; path: string },
): Reply {
  const found = repo.resolve(revision)?.files.get(path);
  if (!found) return noFile(state.settings.missingFile);
  // HEAD is answered 200 even for what GET redirects.
  if (found.entry.isLfs && request.method !== "HEAD") return toCdn(state, found.entry);
  return small(found.entry, request);
}

function toCdn({ cdn }: SiteState, entry: Entry): Reply {
  const location = cdn.link(entry);
  return {
    status: 302,
    headers: [
      ["Location", location],
      ["Content-Type", "text/html"],
    ],
    body: "Found",
  };
}

/** 200 whatever is asked: with a bounded range its bytes and a Content-Range, with an open one the whole file. */
function small(entry: Entry, request: WireRequest): Reply {
  const headers: Headers = [
    ["Content-Type", "application/octet-stream"],
    ["Accept-Ranges", "bytes"],
  ];
  const range = askedRange(request);
  const { size, content } = entry;
  if (!range || !("start" in range) || range.end === undefined || range.start >= size)
    return { status: 200, headers, body: content.read(0, size) };
  const end = Math.min(range.end, size - 1);
  headers.push(["Content-Range", `bytes ${range.start}-${end}/${size}`]);
  return { status: 200, headers, body: content.read(range.start, end - range.start + 1) };
}
