import type { Repo } from "./repo.ts";

/** What a gated or private repository thinks of a user. */
export type Access = "granted" | "pending" | "rejected" | "none";

export interface User {
  name: string;
  token: string;
  /** By repository id. The owner of a repository, the user of the same name, always has access. */
  access?: Record<string, Access>;
  /** False: the token may be valid, but lacks the scope to read content. Default true. */
  mayRead?: boolean;
}

/** Who sends a request: nobody, a known user, a token nobody has, or something that is no token at all. */
export type Caller = { kind: "anonymous" | "unknown" | "malformed" } | { kind: "user"; user: User };

/** A token that has the form that clients check: `hf_` and letters and digits. */
export function tokenFor(name: string): string {
  return `hf_${name.replace(/[^A-Za-z0-9]/g, "")}${"0".repeat(40)}`.slice(0, 37);
}

export function callerOf(authorization: string | undefined, users: readonly User[]): Caller {
  if (authorization === undefined) return { kind: "anonymous" };
  const token = /^Bearer (hf_\w+)$/.exec(authorization)?.[1];
  if (token === undefined) return { kind: "malformed" };
  const user = users.find((it) => it.token === token);
  return user ? { kind: "user", user } : { kind: "unknown" };
}

export function accessOf(caller: Caller, repo: Repo): Access {
  if (caller.kind !== "user") return "none";
  if (caller.user.name === repo.author) return "granted";
  return caller.user.access?.[repo.id] ?? "none";
}
