import type { Reply, WireRequest } from "../origin.ts";
import { ENTRY_NOT_FOUND, isMasked, refuseContent, revisionNotFound } from "./access.ts";
import { expanded, infoOf, listItem } from "./info.ts";
import { fileItem, folderItem, foldersOf, type ListingOptions, page, treeOf } from "./listing.ts";
import { type Headers, json, plain, refuse } from "./reply.ts";
import type { Commit, Repo, RepoType } from "./repo.ts";
import { plural, type RepoVerb } from "./route.ts";
import type { HubState } from "./state.ts";
import { accessOf, type Caller } from "./users.ts";

const EXPANDED_PAGE = 50;

/** One request about a repository that the caller may know of. */
export interface RepoRequest {
  hub: HubState;
  request: WireRequest;
  query: URLSearchParams;
  caller: Caller;
  repo: Repo;
  /** The path behind the verb, decoded. */
  rest: readonly string[];
}

const isTrue = (value: string | null): boolean => value !== null && /^(true|1)$/i.test(value);

/** The routes below `/api/models/{id}` (and datasets, spaces): protocols/huggingface.md §3. */
export const REPO_ROUTES: Record<RepoVerb, (it: RepoRequest) => Reply> = {
  info: (it) => atRevision(it, "main", info),
  revision: (it) => atRevision(it, it.rest[0] ?? "main", info),
  tree: (it) => atRevision(it, it.rest[0] ?? "main", tree),
  "paths-info": (it) => atRevision(it, it.rest[0] ?? "main", pathsInfo),
  refs,
  "auth-check": ({ repo, caller }) => {
    const refusal = refuseContent(repo, caller);
    return refusal ? refuse(refusal, "api") : plain(200, "OK");
  },
  // Without a CAS behind it the fixture has no tokens for one; clients fall back to the link.
  "xet-read-token": () => refuse({ status: 404, message: "Xet is not served here" }, "api"),
};

function atRevision(
  it: RepoRequest,
  revision: string,
  answer: (it: RepoRequest, commit: Commit) => Reply,
): Reply {
  const commit = it.repo.resolve(revision);
  return commit ? answer(it, commit) : refuse(revisionNotFound(revision), "api");
}

function info({ query, repo, caller }: RepoRequest, commit: Commit): Reply {
  const expand = query.getAll("expand").flatMap((value) => value.split(","));
  const full = infoOf(repo, commit, { blobs: isTrue(query.get("blobs")), masked: isMasked(repo, caller) });
  return json(expand.length > 0 ? expanded(full, expand) : full);
}

function listingOptions({ hub, repo, caller }: RepoRequest, expand: boolean): ListingOptions {
  return { masked: isMasked(repo, caller), expand, xet: hub.settings.xet };
}

function tree(it: RepoRequest, commit: Commit): Reply {
  const { hub, query, repo } = it;
  const expand = isTrue(query.get("expand"));
  const folder = it.rest.slice(1).join("/").replace(/\/$/, "");
  const items = treeOf(repo, commit, folder, isTrue(query.get("recursive")), listingOptions(it, expand));
  if (!items) return refuse(ENTRY_NOT_FOUND, "api");
  const size = Math.min(
    Number(query.get("limit")) || Number.POSITIVE_INFINITY,
    expand ? EXPANDED_PAGE : hub.settings.pageSize,
  );
  return paged(it.hub, it.request, items, size);
}

/** With more to come, `Link` holds the absolute address of the next page, on this very origin. */
function paged(hub: HubState, request: WireRequest, items: readonly object[], size: number): Reply {
  const query = new URLSearchParams(request.query);
  const { items: shown, next } = page(items, query.get("cursor"), size);
  if (next === undefined) return json(shown);
  query.set("cursor", next);
  const path = request.target.split("?")[0];
  const link: Headers = [["Link", `<${hub.endpoint()}${path}?${query}>; rel="next"`]];
  return json(shown, link);
}

/** Paths that are not there are left out without a word. */
function pathsInfo(it: RepoRequest, commit: Commit): Reply {
  const asked = parsePaths(it.request);
  if (!asked) return refuse({ status: 400, message: "The body must hold paths as a form or as JSON" }, "api");
  const options = listingOptions(it, asked.expand);
  const folders = foldersOf(commit);
  return json(
    asked.paths.flatMap((path) => {
      const entry = commit.files.get(path);
      if (entry) return [fileItem(entry, commit, options)];
      return folders.has(path) ? [folderItem(it.repo, path, commit, options)] : [];
    }),
  );
}

function parsePaths(request: WireRequest): { paths: string[]; expand: boolean } | undefined {
  if (request.method !== "POST") return undefined;
  if (!(request.headers["content-type"] ?? "").includes("json")) {
    const form = new URLSearchParams(request.body);
    return { paths: form.getAll("paths"), expand: isTrue(form.get("expand")) };
  }
  try {
    const body = JSON.parse(request.body) as { paths?: string | string[]; expand?: boolean };
    return { paths: [body.paths ?? []].flat(), expand: body.expand === true };
  } catch {
    return undefined;
  }
}

function refs({ repo, query }: RepoRequest): Reply {
  const list = (prefix: string, names: Iterable<[string | number, string]>): object[] =>
    [...names].map(([name, targetCommit]) => ({ name: String(name), ref: `${prefix}${name}`, targetCommit }));
  return json({
    branches: list("refs/heads/", repo.branches),
    converts: [],
    tags: list("refs/tags/", repo.tags),
    ...(isTrue(query.get("include_prs")) ? { pullRequests: list("refs/pr/", repo.pullRequests) } : {}),
  });
}

/** `GET /api/models?search=&author=&filter=&limit=&full=`. */
export function listRepos(hub: HubState, request: WireRequest, caller: Caller, type: RepoType): Reply {
  const query = new URLSearchParams(request.query);
  const search = (query.get("search") ?? "").toLowerCase();
  const filters = query.getAll("filter").flatMap((value) => value.split(","));
  const matching = hub.repos().filter((repo) => {
    const tags = (repo.spec.info?.tags ?? []) as string[];
    if (
      repo.type !== type ||
      repo.spec.renamedTo ||
      (repo.spec.private && accessOf(caller, repo) !== "granted")
    )
      return false;
    if (query.has("author") && query.get("author") !== repo.author) return false;
    return repo.id.toLowerCase().includes(search) && filters.every((it) => tags.includes(it));
  });
  const items = matching.map((repo) => listItem(repo, repo.resolve("main")!, isTrue(query.get("full"))));
  return paged(hub, request, items, Number(query.get("limit")) || hub.settings.pageSize);
}

export function whoami(caller: Caller): Reply {
  if (caller.kind !== "user") {
    const message = "Invalid credentials in Authorization header";
    return refuse(
      { status: 401, message: caller.kind === "anonymous" ? "Invalid username or password." : message },
      "api",
    );
  }
  const { name } = caller.user;
  return json({
    type: "user",
    id: name,
    name,
    fullname: name,
    isPro: false,
    orgs: [],
    auth: { type: "access_token", accessToken: { displayName: `${name}'s token`, role: "read" } },
  });
}

/** `/api/models/{id}` of the same thing elsewhere. */
export function apiPath(type: RepoType, id: string): string {
  return `/api/${plural(type)}/${id}`;
}
