import type { User } from "../hub/users.ts";
import type { Reply, WireRequest } from "../origin.ts";
import { giveFile, listFiles } from "./files.ts";
import { NO_ACCESS, NOT_FOUND, ok, TROUBLE, tooMany } from "./reply.ts";
import type { SiteRepo } from "./repo.ts";
import type { SiteState } from "./state.ts";

/** The site's answer to any request. */
export function answer(state: SiteState, request: WireRequest): Reply {
  const parts = (request.target.split("?")[0] ?? "").slice(1).split("/").map(decode);
  const wait = state.limits.closedUntil - Date.now();
  if (wait > 0) return tooMany(Math.ceil(wait / 1000));
  if (parts[0] === "api") return api(state, request, parts.slice(1));
  const page = parts[0] === "models" ? parts.slice(1) : parts;
  const [owner, name, verb, revision, ...path] = page;
  if (verb !== "resolve" || revision === undefined) return shell();
  return withRepo(state, request, `${owner}/${name}`, (repo) =>
    giveFile(state, repo, request, { revision, path: path.join("/") }),
  );
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Every other address is the same page, which finds out in the browser whether there is anything. */
const shell = (): Reply => ({
  status: 200,
  headers: [["Content-Type", "text/html; charset=utf-8"]],
  body: '<!doctype html><title>ModelScope</title><div id="root"></div>\n',
});

function api(state: SiteState, request: WireRequest, [version, area, owner, name, ...rest]: string[]): Reply {
  const query = new URLSearchParams(request.query);
  if (version !== "v1" || area !== "models" || name === undefined) return unknownRoute();
  return withRepo(state, request, `${owner}/${name}`, (repo) => {
    switch (rest.join("/")) {
      case "":
        return ok(infoOf(repo));
      case "revisions":
        return ok({ RevisionMap: { Branches: refs(repo.branches), Tags: refs(repo.tags) } });
      case "repo/files":
        return listFiles(state, repo, query);
      case "repo": {
        const [revision, path] = [query.get("Revision") ?? "master", query.get("FilePath") ?? ""];
        return giveFile(state, repo, request, { revision, path });
      }
      default:
        return unknownRoute();
    }
  });
}

const unknownRoute = (): Reply => ({
  status: 404,
  headers: [["Content-Type", "text/plain"]],
  body: "404 page not found",
});

const refs = (names: ReadonlyMap<string, string>): object[] =>
  [...names.keys()].map((Revision) => ({ Revision, CreatedAt: 1_735_689_600 }));

function infoOf({ owner, name, spec }: SiteRepo): object {
  const { library_name, tags = [] } = spec.info ?? {};
  return {
    Id: 1,
    Path: owner,
    Name: name,
    Revision: "master",
    Visibility: spec.private || spec.gated ? 1 : 5,
    ProtectedMode: spec.gated ? 1 : 2,
    Libraries: library_name === undefined ? [] : [library_name],
    Tags: tags,
    Downloads: 12,
  };
}

/** Private and gated are told apart for nobody who may not read: both are 404 with one code. */
function withRepo(
  state: SiteState,
  request: WireRequest,
  id: string,
  reply: (repo: SiteRepo) => Reply,
): Reply {
  if (state.limits.troubles > 0) {
    state.limits.troubles--;
    return TROUBLE;
  }
  const repo = state.find(id);
  if (!repo) return NOT_FOUND;
  const open = !repo.spec.private && !repo.spec.gated;
  return open || mayRead(repo, userOf(request, state.users)) ? reply(repo) : NO_ACCESS;
}

const mayRead = (repo: SiteRepo, user: User | undefined): boolean =>
  user !== undefined && (user.name === repo.owner || user.access?.[repo.id] === "granted");

/** By the session cookie or the header; a token that nobody has is as good as none. */
function userOf({ headers }: WireRequest, users: readonly User[]): User | undefined {
  const cookie = /(?:^|;\s*)m_session_id=([^;]+)/.exec(headers.cookie ?? "")?.[1];
  const bearer = /^Bearer (.+)$/.exec(headers.authorization ?? "")?.[1];
  return users.find(({ token }) => token === cookie || token === bearer);
}
