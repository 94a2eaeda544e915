import type { Repo } from "./repo.ts";
import { accessOf, type Caller } from "./users.ts";

/** An answer of the error matrix, protocols/huggingface.md §6. */
export interface Refusal {
  status: number;
  code?: string;
  message: string;
}

const INVALID_LOGIN: Refusal = { status: 401, message: "Invalid username or password." };
const INVALID_CREDENTIALS: Refusal = { status: 401, message: "Invalid credentials in Authorization header" };
const REPO_NOT_FOUND: Refusal = { status: 404, code: "RepoNotFound", message: "Repository not found" };
const DISABLED: Refusal = { status: 403, message: "Access to this resource is disabled." };
const NO_SCOPE: Refusal = {
  status: 403,
  message: "You have read access but not the required permissions for this operation",
};

export const ENTRY_NOT_FOUND: Refusal = { status: 404, code: "EntryNotFound", message: "Entry not found" };

export function revisionNotFound(revision: string): Refusal {
  return { status: 404, code: "RevisionNotFound", message: `Invalid rev id: ${revision}` };
}

/** Whether the caller may know of the repository at all; an unknown token is as good as none for what is hidden. */
export function refuseRepo(repo: Repo | undefined, caller: Caller): Refusal | undefined {
  if (caller.kind === "malformed") return INVALID_CREDENTIALS;
  const hidden = !repo || (repo.spec.private === true && accessOf(caller, repo) !== "granted");
  if (hidden) return caller.kind === "user" ? REPO_NOT_FOUND : INVALID_LOGIN;
  if (caller.kind === "unknown") return INVALID_CREDENTIALS;
  return repo.spec.disabled ? DISABLED : undefined;
}

/** Files at the root that stay readable in a gated repository, in exactly this spelling. */
const OPEN_FILES = new Set(["README.md", "LICENSE", "LICENSE.md", "LICENSE.txt"]);

/** Whether the caller may read that file, decided before revision and file are looked for. */
export function refuseContent(repo: Repo, caller: Caller, path?: string): Refusal | undefined {
  if (caller.kind === "user" && caller.user.mayRead === false) return NO_SCOPE;
  if (!repo.spec.gated || (path !== undefined && OPEN_FILES.has(path))) return undefined;
  return gate(repo, caller);
}

/** True when listings show stars in place of the digests. */
export function isMasked(repo: Repo, caller: Caller): boolean {
  return Boolean(repo.spec.gated) && accessOf(caller, repo) !== "granted";
}

function gate(repo: Repo, caller: Caller): Refusal | undefined {
  const restricted = `Access to ${repo.type} ${repo.id} is restricted`;
  const refusal = (status: number, message: string): Refusal => ({ status, code: "GatedRepo", message });
  if (caller.kind !== "user") {
    return refusal(
      401,
      `${restricted}. You must have access to it and be authenticated to access it. Please log in.`,
    );
  }
  switch (accessOf(caller, repo)) {
    case "granted":
      return undefined;
    case "pending":
      return refusal(
        403,
        `Your request to access ${repo.type} ${repo.id} is awaiting a review from the repo authors.`,
      );
    case "rejected":
      return refusal(
        403,
        `Your request to access ${repo.type} ${repo.id} has been rejected by the repo's authors.`,
      );
    case "none":
      return refusal(
        403,
        `${restricted} and you are not in the authorized list. Visit https://huggingface.co/${repo.id} to ask for access.`,
      );
  }
}
