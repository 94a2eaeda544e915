import { DownloadError, type ErrorCode } from "../../core/errors.ts";
import { statusError } from "../status.ts";

/** What a request was about, for messages. */
export interface Subject {
  host: string;
  repo: string;
  revision: string;
  path?: string;
  /** The model's page, where access is asked for. */
  page: string;
  /** Whether a token went with it. */
  known: boolean;
}

/** The two fields that tell what an envelope means; `Code` is not the HTTP status (protocols/others.md §1). */
interface Said {
  code: number | null;
  message: string;
}

const NOT_FOUND = 10010205001;
const NO_ACCESS = 10010200001;
const NO_TREE = 10990101004;
const NO_FILE = 10990101007;

/** Reads `Code` and `Message` of an envelope that may be none. */
export function readSaid({ Code, Message }: Record<string, unknown>): Said {
  const code = typeof Code === "number" || typeof Code === "string" ? Number(Code) : null;
  return { code, message: typeof Message === "string" ? Message.slice(0, 2000) : "" };
}

/**
 * What an answer without the data asked for means. The site answers 404 to nearly everything, so that its own code says
 * more than the status, and at times 200 with an error in it. `now` is epoch milliseconds. Its text decides but is not
 * repeated: it is not ours to vouch for.
 */
export function siteError(
  subject: Subject,
  status: number,
  headers: Headers,
  said: Said,
  now: number,
): DownloadError {
  if (isTrouble(said.message))
    return new DownloadError("server_error", `${subject.host} has trouble with itself: it may answer soon.`, {
      status,
    });
  const meant = status === 200 && isStatus(said.code) ? said.code : status;
  const known = named(subject, said.code) ?? unnamed(subject, meant);
  if (known) return new DownloadError(known[0], known[1], { status });
  return meant === 200
    ? malformed(subject)
    : statusError(meant, headers, `${subject.repo} on ${subject.host}`, now);
}

/** Faults of the site's own database arrive as "not found" (MySQL server errors have numbers from 1000 on). */
const isTrouble = (message: string): boolean => /\bError 1\d{3}\b|max_prepared_stmt|deadlock/i.test(message);

const isStatus = (code: number | null): code is number => code !== null && code >= 400 && code <= 599;

/** An answer that is none of this API. */
export function malformed({ host, repo }: Subject, cause?: unknown): DownloadError {
  return new DownloadError(
    "protocol",
    `${host} answered the question about ${repo} with something that is no answer of ModelScope: check the endpoint.`,
    { cause },
  );
}

export const noRevision = ({ repo, revision, host }: Subject): DownloadError =>
  new DownloadError("revision_not_found", `${repo} on ${host} has no revision "${revision}": ${WHICH}`);
const WHICH = 'check branch, tag or commit; the usual branch is "master".';

/** Codes that the site has been seen to give. */
function named(subject: Subject, code: number | null): [ErrorCode, string] | undefined {
  const { host, repo, revision, path } = subject;
  switch (code) {
    case NOT_FOUND:
      return ["not_found", `${repo} was not found on ${host}: check owner and name.`];
    case NO_ACCESS:
      return noAccess(subject);
    case NO_TREE:
      return ["revision_not_found", noRevision(subject).message];
    case NO_FILE:
      return [
        "entry_not_found",
        `${repo} at revision ${revision} on ${host} has no file ${path ? `"${path}"` : "like that"}: check its name.`,
      ];
    default:
      return undefined;
  }
}

/** Private and gated look the same to whoever may not read. */
function noAccess({ host, repo, known, page }: Subject): [ErrorCode, string] {
  return known
    ? [
        "forbidden",
        `The account of this token may not read ${repo}: it is private, or gated and to be asked for at ${page}.`,
      ]
    : [
        "auth_required",
        `${repo} on ${host} is private or gated: give a token of an account that may read it (${page}).`,
      ];
}

function unnamed(subject: Subject, status: number): [ErrorCode, string] | undefined {
  const { host, repo, known } = subject;
  if (status === 401 && known)
    return [
      "auth_required",
      `${host} does not accept the token: check that it is complete and has not expired.`,
    ];
  if (status === 401 || status === 403) return noAccess(subject);
  if (status === 404)
    return [
      "not_found",
      `${repo} was not found on ${host}, or may not be read: check the name, or give a token that may read it.`,
    ];
  return undefined;
}
