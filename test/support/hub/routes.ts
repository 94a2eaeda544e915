import type { Reply, WireRequest } from "../origin.ts";
import { refuseRepo } from "./access.ts";
import { apiPath, listRepos, REPO_ROUTES, whoami } from "./api.ts";
import type { RateBucket } from "./rate.ts";
import { plain, refuse, type Surface, withHeaders } from "./reply.ts";
import type { Repo } from "./repo.ts";
import { cachedFile, type FileRequest, rawFile, resolveFile } from "./resolve.ts";
import { plural, type Route, routeOf } from "./route.ts";
import type { HubState } from "./state.ts";
import { callerOf } from "./users.ts";

type RepoRoute = Extract<Route, { id: string }>;

/** The hub's answer to any request, rate limit headers included. */
export function answer(hub: HubState, request: WireRequest): Reply {
  const route = routeOf(request.target);
  const { exceeded, headers } = hub.rates.count(budgetOf(route));
  const reply = exceeded ? tooMany(route) : dispatch(hub, request, route);
  return withHeaders(reply, headers);
}

function budgetOf(route: Route): RateBucket {
  if (route.kind === "file" || route.kind === "cache") return "resolvers";
  return route.kind === "unknown" && !route.api ? "pages" : "api";
}

function surfaceOf(route: Route): Surface {
  if (route.kind === "file") return "file";
  return route.kind === "unknown" && !route.api ? "page" : "api";
}

function tooMany(route: Route): Reply {
  const message = `We had to rate limit you: the quota of '${budgetOf(route)}' requests is used up.`;
  return refuse({ status: 429, message }, surfaceOf(route));
}

function dispatch(hub: HubState, request: WireRequest, route: Route): Reply {
  const caller = callerOf(request.headers.authorization, hub.users);
  switch (route.kind) {
    case "whoami":
      return whoami(caller);
    case "list":
      return listRepos(hub, request, caller, route.type);
    case "unknown":
      return refuse({ status: 404, message: "Not found" }, surfaceOf(route));
  }
  const repo = hub.find(route.type, route.id);
  const refusal = refuseRepo(repo, caller);
  if (refusal || !repo) return refuse(refusal ?? { status: 404, message: "Not found" }, surfaceOf(route));
  const renamed = repo.spec.renamedTo ?? (repo.id === route.id ? undefined : repo.id);
  if (renamed !== undefined) return moved(request, route, renamed);
  return toRepo(hub, request, route, repo);
}

function toRepo(hub: HubState, request: WireRequest, route: RepoRoute, repo: Repo): Reply {
  const caller = callerOf(request.headers.authorization, hub.users);
  if (route.kind === "repo") {
    const query = new URLSearchParams(request.query);
    return REPO_ROUTES[route.verb]({ hub, request, query, caller, repo, rest: route.rest });
  }
  const { revision, path } = route;
  const file: FileRequest = { hub, request, caller, repo, revision, path };
  if (route.kind === "cache") return cachedFile(file);
  return route.verb === "raw" ? rawFile(file) : resolveFile(file);
}

/** The same request under the name that the repository has now (§3.1); relative, so that the token stays. */
function moved(request: WireRequest, route: RepoRoute, id: string): Reply {
  const prefix = (name: string): string => {
    if (route.kind === "repo") return apiPath(route.type, name);
    if (route.kind === "cache") return `/api/resolve-cache/${plural(route.type)}/${name}`;
    return route.type === "model" ? `/${name}` : `/${plural(route.type)}/${name}`;
  };
  const location = prefix(id) + request.target.slice(prefix(route.id).length);
  return plain(307, `Temporary Redirect. Redirecting to ${location}`, [["Location", location]]);
}
