import { DownloadError, type ErrorCode } from "../../core/errors.ts";
import { statusError } from "../status.ts";

/** What a hub request was about, for messages. */
export interface Subject {
  host: string;
  repo: string;
  revision: string;
  path?: string;
}

/** The hub's own words beside the status, from headers or body (protocols/huggingface.md §6). */
interface Said {
  code: string | null;
  message: string;
}

/**
 * What an error answer of the hub means, in the order in which the hub's own clients test (§6): the gate stands before
 * revision and file, and a bare 401 says "missing or private", not "bad token". `now` is epoch milliseconds.
 * The hub's text decides but is not repeated: it is not ours to vouch for.
 */
export function hubError(
  subject: Subject,
  status: number,
  headers: Headers,
  body: string,
  now: number,
): DownloadError {
  const said: Said = {
    code: headers.get("x-error-code"),
    message: headers.get("x-error-message") ?? body.slice(0, 2000),
  };
  const known = named(subject, status, said) ?? unnamed(subject, status, said);
  if (known === undefined) return statusError(status, headers, `${subject.repo} on ${subject.host}`, now);
  return new DownloadError(known[0], known[1], { status });
}

/** The same for an answer of which only status and headers are known; undefined when the hub did not mark it as its own. */
export function hubErrorByHeaders(
  subject: Subject,
  status: number,
  headers: Headers,
  now: number,
): DownloadError | undefined {
  const marked =
    headers.has("x-error-code") ||
    headers.has("x-error-message") ||
    (status === 401 && /^bearer\b.*authentication required/i.test(headers.get("www-authenticate") ?? ""));
  return marked ? hubError(subject, status, headers, "", now) : undefined;
}

/** Answers with an X-Error-Code. */
function named(
  { host, repo, revision, path }: Subject,
  status: number,
  said: Said,
): [ErrorCode, string] | undefined {
  switch (said.code) {
    case "RevisionNotFound":
      return [
        "revision_not_found",
        `${repo} on ${host} has no revision "${revision}": check branch, tag or commit.`,
      ];
    case "EntryNotFound":
      return [
        "entry_not_found",
        `${repo} at revision ${revision} on ${host} has no file ${path ? `"${path}"` : "like that"}: check its name.`,
      ];
    case "GatedRepo":
      return ["gated", gateMessage(repo, status, said.message)];
    case "RepoNotFound":
      return [
        "not_found",
        `${repo} was not found on ${host}, or the token given may not read it: check the name and the token.`,
      ];
    default:
      return undefined;
  }
}

/** Where to accept terms or ask for access, whatever mirror is in use. */
function gateMessage(repo: string, status: number, message: string): string {
  const page = `https://huggingface.co/${repo}`;
  if (status === 401)
    return `${repo} is gated: accept its conditions at ${page}, then give a token of that account.`;
  if (/awaiting|pending|review/i.test(message))
    return `${repo} is gated and your request for access is still waiting for its authors: try again once they have granted it (${page}).`;
  if (/reject|denied|refused/i.test(message))
    return `${repo} is gated and its authors have rejected your request for access (${page}).`;
  return `${repo} is gated and the account of this token has no access yet: ask for it at ${page}.`;
}

/** Answers that only their status and text tell apart. */
function unnamed({ host, repo }: Subject, status: number, said: Said): [ErrorCode, string] | undefined {
  if (status === 403 && /is disabled/i.test(said.message))
    return ["disabled", `${host} has disabled access to ${repo}.`];
  if (status === 401 && /invalid credentials/i.test(said.message))
    return [
      "auth_required",
      `${host} does not accept the token: check that it is complete and has not been revoked.`,
    ];
  if (status === 401)
    return [
      "not_found",
      `${repo} on ${host} was not found or is private: check the name, or give a token that may read it.`,
    ];
  if (status === 403)
    return ["forbidden", `${host} refuses access to ${repo}: the token lacks the permission to read it.`];
  return undefined;
}
