/** What an answer to one request for bytes is good for. Pure; the order of the checks is FAULTS §3. */
import type { Validator } from "../core/download.ts";
import { DownloadError, type ErrorCode } from "../core/errors.ts";
import { retryAfterMs } from "../core/wait.ts";
import { isWebPage } from "./content.ts";
import { compare, validatorOf } from "./validator.ts";

/** What was asked: [start, end), [start, …) or, without `ranged`, the whole file. */
export interface Ask {
  start: number;
  end: number | null;
  ranged: boolean;
}

/** What is known of the file by now. */
export interface Known {
  /** File name for messages. */
  label: string;
  size: number | null;
  validator: Validator | null;
  /** A digest has been promised: it proves the whole, so pieces may come from answers with other validators (F28). */
  digest: boolean;
  /** Good answers or kept bytes of this file have been seen before. */
  worked: boolean;
  /** Those answers called it a web page. */
  page: boolean;
}

export interface Answer {
  status: number;
  headers: Headers;
  /** Behind all redirects. */
  url: string;
}

export type Verdict =
  /** Body = bytes [start, end) of the file. `drifted`: accepted on the strength of the digest alone. */
  | { kind: "part"; start: number; end: number; size: number | null; validator: Validator; drifted: boolean }
  /** Body = the whole file; its size is null when the answer does not say. */
  | { kind: "whole"; size: number | null; validator: Validator; same: boolean; drifted: boolean }
  /** Nothing lies at or behind the byte asked for: the file ends at `size` (null: not said). */
  | { kind: "end"; size: number | null }
  /** The remote file is another one than before. */
  | { kind: "changed"; size: number | null; why: string }
  /** This address does not give it (any more); a fresh one might. */
  | { kind: "refused"; error: DownloadError }
  /** The host wants fewer requests. */
  | { kind: "limited"; error: DownloadError }
  /** Worth another try. */
  | { kind: "failed"; error: DownloadError }
  | { kind: "fatal"; error: DownloadError };

export function rangeHeader(ask: Ask): string | undefined {
  return ask.ranged ? `bytes=${ask.start}-${ask.end === null ? "" : ask.end - 1}` : undefined;
}

/** `now` is epoch milliseconds. */
export function judge(ask: Ask, known: Known, answer: Answer, now: number): Verdict {
  const ok = answer.status === 206 || answer.status === 200;
  // A portal that puts itself in between does not change the file behind it.
  if (ok && known.worked && !known.page && isWebPage(known.label, answer.headers.get("content-type")))
    return failed("unexpected_content", known, answer, "sent a web page instead of the file", "retry");
  if (answer.status === 206) return judgePart(ask, known, answer);
  if (answer.status === 200)
    return isUnnamedPart(ask, answer) ? judgePart(ask, known, answer) : judgeWhole(known, answer);
  if (answer.status === 416) return judgeEnd(ask, known, answer);
  return judgeStatus(known, answer, now);
}

const CONTENT_RANGE = /^bytes (\d+)-(\d+)\/(\d+|\*)$/i;

/**
 * ModelScope answers 200 to the bounded range of a small file, with Content-Range and exactly those bytes
 * (protocols/others.md §1). RFC 9110 §14.4 gives the header no meaning there, so the length has to agree with it.
 */
function isUnnamedPart(ask: Ask, { headers }: Answer): boolean {
  const match = CONTENT_RANGE.exec(headers.get("content-range")?.trim() ?? "");
  if (!ask.ranged || !match || match[3] === "*") return false;
  const length = Number(match[2]) - Number(match[1]) + 1;
  return Number(match[1]) === ask.start && length < Number(match[3]) && declaredLength(headers) === length;
}

function judgePart(ask: Ask, known: Known, answer: Answer): Verdict {
  if (!ask.ranged)
    return failed("bad_range", known, answer, "sent a part although the whole file was asked for");
  const match = CONTENT_RANGE.exec(answer.headers.get("content-range")?.trim() ?? "");
  if (!match) return failed("bad_range", known, answer, "sent a part without saying which one");
  const [start, last] = [Number(match[1]), Number(match[2])];
  const size = match[3] === "*" ? null : Number(match[3]);
  if (start !== ask.start || last < start || (size !== null && last >= size))
    return failed(
      "bad_range",
      known,
      answer,
      `sent bytes ${match[1]}-${match[2]} where ${ask.start} was asked for`,
    );
  const identity = identify(known, answer, size);
  if (identity.kind === "changed") return identity;
  const encoded = refuseEncoding(known, answer);
  if (encoded) return encoded;
  const end = Math.min(last + 1, ask.end ?? last + 1);
  return { kind: "part", start, end, size, validator: identity.validator, drifted: identity.drifted };
}

function judgeWhole(known: Known, answer: Answer): Verdict {
  const size = declaredLength(answer.headers);
  if (size === 0 && known.size)
    return failed("size_mismatch", known, answer, "sent nothing instead of the file");
  const identity = identify(known, answer, size);
  const encoded = refuseEncoding(known, answer);
  if (encoded) return encoded;
  if (identity.kind === "changed" && known.size !== null && size !== null && size !== known.size)
    return identity;
  const { validator } = identity;
  const same = identity.kind === "ok" && (known.digest || identity.proven);
  return { kind: "whole", size, validator, same, drifted: identity.kind === "ok" && identity.drifted };
}

/** Content-Length where it counts: beside Transfer-Encoding it does not (RFC 9112 §6.3, F17). */
function declaredLength(headers: Headers): number | null {
  const text = headers.get("content-length");
  if (text === null || headers.has("transfer-encoding") || !/^\d+$/.test(text)) return null;
  const length = Number(text);
  return Number.isSafeInteger(length) ? length : null;
}

type Identity =
  | { kind: "ok"; validator: Validator; proven: boolean; drifted: boolean }
  | { kind: "changed"; validator: Validator; size: number | null; why: string };

function identify(known: Known, answer: Answer, size: number | null): Identity {
  const validator = validatorOf(answer.headers, answer.url, size ?? known.size);
  if (known.size !== null && size !== null && size !== known.size)
    return { kind: "changed", validator, size, why: `its size was ${known.size} and is ${size} bytes` };
  const sameness = known.validator === null ? "unproven" : compare(known.validator, validator);
  const drifted = known.validator !== null && sameness !== "same";
  if (drifted && !known.digest) {
    const why = sameness === "changed" ? "its ETag or date changed" : "its answers cannot be compared";
    return { kind: "changed", validator, size, why };
  }
  return { kind: "ok", validator, proven: sameness === "same", drifted: drifted && sameness === "changed" };
}

/** Asked for identity; whatever else comes is neither decoded nor counted (F30, F31). */
function refuseEncoding(known: Known, answer: Answer): Verdict | undefined {
  const coding = answer.headers.get("content-encoding")?.trim().toLowerCase();
  if (!coding || coding === "identity") return undefined;
  return failed(
    "unexpected_content",
    known,
    answer,
    `sent it compressed (${coding.slice(0, 20)}) although the plain bytes were asked for`,
  );
}

/** 416 names the size behind a `*` (RFC 9110 §15.5.17, F51). */
function judgeEnd(ask: Ask, known: Known, answer: Answer): Verdict {
  const match = /^bytes \*\/(\d+)$/i.exec(answer.headers.get("content-range")?.trim() ?? "");
  const size = match ? Number(match[1]) : null;
  if (!ask.ranged || (size !== null && ask.start < size))
    return failed("bad_range", known, answer, "calls a range that it has not satisfiable");
  return { kind: "end", size };
}

const REFUSED: Record<number, ErrorCode> = {
  401: "auth_required",
  403: "forbidden",
  404: "not_found",
  410: "gone",
};
/** Final by F48, but the storage services behind hubs answer 400 to a link that has expired (F40). */
const REJECTED = new Set([400, 405, 406, 409, 411, 412, 413, 414, 415, 417, 422, 431, 451, 501, 505]);

function judgeStatus(known: Known, answer: Answer, now: number): Verdict {
  const { status, headers } = answer;
  const refused = REFUSED[status];
  if (refused) return { kind: "refused", error: error(refused, known, answer, `answered ${status}`) };
  if (status === 400) return { kind: "refused", error: error("rejected", known, answer, "answered 400") };
  if (status === 429 || status === 503) {
    const code = status === 429 ? "rate_limited" : "server_error";
    const wait = retryAfterMs(headers, now);
    return { kind: "limited", error: error(code, known, answer, `answered ${status}`, wait) };
  }
  if (status === 408 || status === 425 || (status >= 500 && !REJECTED.has(status)))
    return failed("server_error", known, answer, `answered ${status}`);
  // 204, 304 and other answers without the file to a plain question for it (F52, F53).
  const code = status < 400 ? "protocol" : "rejected";
  const detail = error(code, known, answer, `answered ${status}, which is no answer to a download`);
  return { kind: "fatal", error: code === "protocol" ? final(detail) : detail };
}

const final = (e: DownloadError): DownloadError =>
  new DownloadError(e.code, e.message, { status: e.status, verdict: "final" });

function failed(code: ErrorCode, known: Known, answer: Answer, what: string, verdict?: "retry"): Verdict {
  const e = error(code, known, answer, what);
  return {
    kind: "failed",
    error: verdict ? new DownloadError(code, e.message, { status: e.status, verdict }) : e,
  };
}

function error(
  code: ErrorCode,
  known: Known,
  { url, status }: Answer,
  what: string,
  retryAfter?: number,
): DownloadError {
  const detail = retryAfter === undefined ? { status } : { status, retryAfterMs: retryAfter };
  return new DownloadError(code, `${known.label}: ${new URL(url).host} ${what}.`, detail);
}
