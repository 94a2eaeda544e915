import type { RepoType } from "./repo.ts";

/** What a request target asks the hub for (protocols/huggingface.md §1, §3, §4). */
export type Route =
  | { kind: "list"; type: RepoType }
  | { kind: "repo"; type: RepoType; id: string; verb: RepoVerb; rest: string[] }
  | { kind: "cache"; type: RepoType; id: string; revision: string; path: string }
  | { kind: "file"; type: RepoType; id: string; verb: "resolve" | "raw"; revision: string; path: string }
  | { kind: "whoami" }
  | { kind: "unknown"; api: boolean };

export type RepoVerb = "info" | "revision" | "tree" | "paths-info" | "refs" | "auth-check" | "xet-read-token";

const TYPES: Record<string, RepoType> = { models: "model", datasets: "dataset", spaces: "space" };
const VERBS = new Set<string>(["revision", "tree", "paths-info", "refs", "auth-check", "xet-read-token"]);

/** A revision and a sub-folder of the tree are one component each, so the path is cut before it is decoded. */
export function routeOf(target: string): Route {
  const raw = (target.split("?")[0] ?? "").replace(/^\//, "").split("/");
  let parts: string[];
  try {
    parts = raw.map(decodeURIComponent);
  } catch {
    return { kind: "unknown", api: raw[0] === "api" };
  }
  return parts[0] === "api" ? apiRoute(parts.slice(1)) : fileRoute(parts);
}

function apiRoute([area = "", ...parts]: string[]): Route {
  if (area === "whoami-v2" && parts.length === 0) return { kind: "whoami" };
  if (area === "resolve-cache") return cacheRoute(parts);
  const type = TYPES[area];
  if (!type) return { kind: "unknown", api: true };
  if (parts.length === 0) return { kind: "list", type };
  const slash = parts.length === 2 ? !VERBS.has(parts[1]!) : VERBS.has(parts[2] ?? "");
  const words = slash ? 2 : 1;
  const verb = (parts[words] ?? "info") as RepoVerb;
  if (verb !== "info" && !VERBS.has(verb)) return { kind: "unknown", api: true };
  return { kind: "repo", type, id: parts.slice(0, words).join("/"), verb, rest: parts.slice(words + 1) };
}

/** `{type}s/{id}/{commit}/{path}`; the commit is the first part that can be one. */
function cacheRoute([area = "", ...parts]: string[]): Route {
  const type = TYPES[area];
  const at = parts.findIndex((part, i) => i > 0 && /^[0-9a-f]{40}$/.test(part));
  if (!type || at < 0) return { kind: "unknown", api: true };
  const [id, path] = [parts.slice(0, at).join("/"), parts.slice(at + 1).join("/")];
  return { kind: "cache", type, id, revision: parts[at]!, path };
}

function fileRoute(parts: string[]): Route {
  const type = TYPES[parts[0] ?? ""];
  const rest = type && type !== "model" ? parts.slice(1) : parts;
  const at = [1, 2].find((i) => rest[i] === "resolve" || rest[i] === "raw");
  if (at === undefined || rest.length < at + 3) return { kind: "unknown", api: false };
  return {
    kind: "file",
    type: rest === parts ? "model" : type!,
    id: rest.slice(0, at).join("/"),
    verb: rest[at] as "resolve" | "raw",
    revision: rest[at + 1]!,
    path: rest.slice(at + 2).join("/"),
  };
}

/** The part of a URL path that names a type: `models`, `datasets`, `spaces`. */
export function plural(type: RepoType): string {
  return `${type}s`;
}

/** Each segment encoded, slashes kept. */
export function encodePath(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}
