import { gzipSync } from "node:zlib";
import { bytesAt, concat, corrupted, generated, literal, readAll, slice } from "../bytes.ts";
import { type Answer, type At, dropHeader, getHeader, newAnswer, setHeader } from "./answer.ts";
import type { WireRequest } from "./request.ts";
import type { View } from "./resource.ts";

/**
 * What can be ordered to go wrong. Plain data; several in one rule work together, in their order. Byte positions in
 * `at` count the body bytes of one answer, except where they are said to be positions in the file.
 */
export type Fault =
  /** Another answer altogether. `{date:+30}` in a value of `headers` is an HTTP date so many seconds from now. */
  | { kind: "respond"; status: number; reason?: string; headers?: Record<string, string>; body?: string }
  | { kind: "headers"; set?: Record<string, string>; drop?: string[]; add?: [name: string, value: string][] }
  /** `count` headers of `bytes` bytes each: F67. */
  | { kind: "header-flood"; count: number; bytes: number }
  /** 200 and everything, whatever range was asked: F1, F2. `Accept-Ranges` is still claimed. */
  | { kind: "ignore-range" }
  /** Serves a range moved by so many bytes, and says so truthfully: F3, F4, F5. */
  | { kind: "serve-range"; startBy?: number; endBy?: number }
  /** A lie in Content-Range; the bytes are the right ones. `raw: null` leaves the header out: F3, F6, F7, F8. */
  | { kind: "content-range"; start?: number; end?: number; total?: number | "*"; raw?: string | null }
  /** A 206 as multipart/byteranges: F9. */
  | { kind: "multipart" }
  /** Inverts `count` (1) bytes from position `at` of the file: F10. */
  | { kind: "corrupt"; at: number; count?: number }
  /** The file has been replaced by another, of the same size unless said; validators as they are: F7, F70. */
  | { kind: "other-content"; seed: number; size?: number }
  /** Other validators; null removes one: F24 to F29. */
  | { kind: "validators"; etag?: string | null; lastModified?: string | null }
  /** Raw Content-Length values, each in a header of its own; none at all with `[]`: F11, F18. */
  | { kind: "content-length"; values: string[] }
  /** Bytes after the framed body: F12. */
  | { kind: "surplus"; bytes: number }
  /** Chunked framing; `last` F13, F14; `contentLength` puts a Content-Length beside it, F17. */
  | { kind: "chunked"; last?: "complete" | "missing" | "no-crlf"; chunkSize?: number; contentLength?: number }
  /** No length; the end of the connection ends the body: F15. */
  | { kind: "close-delimited" }
  /** Says, and sends, zero bytes: F19. */
  | { kind: "empty" }
  /** The (ranged) body in gzip: F30. */
  | { kind: "gzip" }
  /** `to` goes into Location as it is; null leaves Location out; absent redirects to itself: F32 to F37. */
  | { kind: "redirect"; to?: string | null; status?: number }
  /** `hops` redirects along the same path with `?hop=n`, and then to `to` (or the content): F32. */
  | { kind: "redirect-chain"; hops: number; to?: string; status?: number }
  /** Interim answers before the real one: F53. */
  | { kind: "interim"; count: number; status?: number }
  /** Falls silent, connection open, until `rule.release()`: F56, F58 ("start"), F61. */
  | { kind: "stall"; at: At; ofConnection?: boolean }
  /** FIN: F11; F62 and F68 with "start". */
  | { kind: "cut"; at: At; ofConnection?: boolean }
  /** FIN below TLS without its close_notify: F64. */
  | { kind: "truncate"; at: At; ofConnection?: boolean }
  /** A TCP reset, after everything before it has been delivered: F60. */
  | { kind: "reset"; at: At; ofConnection?: boolean }
  /** Slows down from byte `after` on: F57. */
  | { kind: "rate"; bytesPerSecond: number; after?: number }
  | { kind: "latency"; ms: number }
  /** These very bytes in place of an answer, then FIN unless said: F68. */
  | { kind: "raw"; text: string; then?: "close" | "reset" | "hold" }
  /** FIN after a complete answer that did not announce it: F62. */
  | { kind: "close-after" }
  /** A body without end; with a length if the framing has one: F69. */
  | { kind: "endless"; framing?: "chunked" | "close" };

type Of<K extends Fault["kind"]> = Extract<Fault, { kind: K }>;

/** What a fault may need to know beside the answer. */
export interface Circumstances {
  request: WireRequest;
  /** Lets a stalled answer go on; see ActiveRule.hold. */
  hold: (resume: () => void) => () => void;
}

interface Effect<F extends Fault> {
  /** Edits the resource as this request sees it, before the honest answer is made. */
  view?(fault: F, view: View): void;
  /** Edits the answer. */
  answer?(fault: F, answer: Answer, circumstances: Circumstances): void;
  /** Makes another answer in its place, or none. */
  replace?(fault: F, circumstances: Circumstances): Answer | undefined;
}

const EFFECTS: { [K in Fault["kind"]]: Effect<Of<K>> } = {
  respond: { replace: respond },
  headers: { answer: editHeaders },
  "header-flood": {
    answer({ count, bytes }, answer) {
      const value = "f".repeat(Math.max(0, bytes - "X-Flood-000000: \r\n".length));
      for (let i = 0; i < count; i++) answer.headers.push([`X-Flood-${String(i).padStart(6, "0")}`, value]);
    },
  },
  "ignore-range": {
    view(_, view) {
      view.honoursRanges = false;
    },
  },
  "serve-range": {
    view({ startBy = 0, endBy = 0 }, view) {
      view.shiftStart += startBy;
      view.shiftEnd += endBy;
    },
  },
  "content-range": { answer: lieInContentRange },
  multipart: { answer: wrapInMultipart },
  corrupt: {
    view({ at, count }, view) {
      view.content = corrupted(view.content, at, count);
    },
  },
  "other-content": {
    view({ seed, size }, view) {
      view.content = generated(seed, size ?? view.content.size);
    },
  },
  validators: {
    view({ etag, lastModified }, view) {
      if (etag !== undefined) view.etag = etag;
      if (lastModified !== undefined) view.lastModified = lastModified;
    },
  },
  "content-length": {
    answer({ values }, answer) {
      answer.lengths = values;
      const honest = values.length === 1 && Number(values[0]) === answer.body.size;
      if (!honest) closeAfterwards(answer);
    },
  },
  surplus: {
    answer({ bytes }, answer) {
      answer.surplus = bytes;
    },
  },
  chunked: {
    answer({ last = "complete", chunkSize, contentLength }, answer) {
      answer.framing = "chunked";
      answer.lastChunk = last;
      if (chunkSize !== undefined) answer.chunkSize = chunkSize;
      if (contentLength !== undefined) answer.lengths = [String(contentLength)];
      if (last !== "complete") closeAfterwards(answer);
    },
  },
  "close-delimited": {
    answer(_, answer) {
      answer.framing = "close";
      answer.lengths = undefined;
      answer.afterwards = "close";
    },
  },
  empty: {
    answer(_, answer) {
      answer.body = literal("");
      answer.lengths = ["0"];
    },
  },
  gzip: {
    answer(_, answer) {
      answer.body = literal(gzipSync(readAll(answer.body)));
      setHeader(answer, "Content-Encoding", "gzip");
    },
  },
  redirect: {
    replace: ({ to, status = 302 }, { request }) =>
      redirectTo(status, to === undefined ? request.target : to),
  },
  "redirect-chain": {
    replace({ hops, to, status = 302 }, { request }) {
      const hop = Number(new URLSearchParams(request.query).get("hop") ?? 0);
      if (hop < hops) return redirectTo(status, `${request.target.split("?")[0]}?hop=${hop + 1}`);
      return to === undefined ? undefined : redirectTo(status, to);
    },
  },
  interim: {
    answer({ count, status = 103 }, answer) {
      answer.interim.push({ status, count });
    },
  },
  stall: { answer: stop },
  cut: { answer: stop },
  truncate: { answer: stop },
  reset: { answer: stop },
  rate: {
    answer({ bytesPerSecond, after = 0 }, answer) {
      answer.rates.push({ bytesPerSecond, after });
    },
  },
  latency: {
    answer({ ms }, answer) {
      answer.latencyMs += ms;
    },
  },
  raw: {
    answer({ text, then = "close" }, answer) {
      answer.raw = new TextEncoder().encode(text);
      answer.afterwards = then;
    },
  },
  "close-after": { answer: (_, answer) => closeAfterwards(answer) },
  endless: {
    answer({ framing }, answer) {
      answer.body = { size: Number.POSITIVE_INFINITY, read: (offset, length) => bytesAt(0, offset, length) };
      if (framing) answer.framing = framing;
      if (framing !== "chunked") answer.afterwards = "close";
      if (!framing) answer.lengths ??= [String(2 ** 62)];
    },
  },
};

function respond({ status, reason, headers = {}, body = "" }: Of<"respond">): Answer {
  const list = Object.entries(headers).map(([name, value]): [string, string] => [name, withDates(value)]);
  const answer = newAnswer(status, list, body);
  answer.reason = reason;
  return answer;
}

function withDates(value: string): string {
  return value.replace(/\{date:([+-]?\d+)\}/g, (_, seconds) =>
    new Date(Date.now() + Number(seconds) * 1000).toUTCString(),
  );
}

function editHeaders({ set = {}, drop = [], add = [] }: Of<"headers">, answer: Answer): void {
  for (const name of drop) answer.headers = dropHeader(answer.headers, name);
  for (const [name, value] of Object.entries(set)) setHeader(answer, name, value);
  answer.headers.push(...add);
}

function lieInContentRange(fault: Of<"content-range">, answer: Answer): void {
  const [, start, end, total] =
    /^bytes (\d+)-(\d+)\/(\d+)$/.exec(getHeader(answer.headers, "Content-Range") ?? "") ?? [];
  if (start === undefined) return;
  answer.headers = dropHeader(answer.headers, "Content-Range");
  if (fault.raw === null) return;
  const lie = `bytes ${fault.start ?? start}-${fault.end ?? end}/${fault.total ?? total}`;
  answer.headers.push(["Content-Range", fault.raw ?? lie]);
}

function wrapInMultipart(_: Of<"multipart">, answer: Answer): void {
  const range = getHeader(answer.headers, "Content-Range");
  if (range === undefined) return;
  const type = getHeader(answer.headers, "Content-Type");
  const head = `--part\r\nContent-Type: ${type}\r\nContent-Range: ${range}\r\n\r\n`;
  answer.headers = dropHeader(answer.headers, "Content-Range");
  setHeader(answer, "Content-Type", "multipart/byteranges; boundary=part");
  answer.body = concat(literal(head), slice(answer.body, 0, answer.body.size), literal("\r\n--part--\r\n"));
}

function redirectTo(status: number, to: string | null): Answer {
  return newAnswer(status, to === null ? [] : [["Location", to]], `Redirecting to ${to}\n`);
}

/** Ends the connection after the answer without a word about it beforehand. */
function closeAfterwards(answer: Answer): void {
  answer.afterwards = "close";
  answer.announceClose = false;
}

function stop(
  fault: Of<"stall" | "cut" | "truncate" | "reset">,
  answer: Answer,
  { hold }: Circumstances,
): void {
  const { kind: action, at, ofConnection = false } = fault;
  answer.stops.push({ action, at, ofConnection, onRelease: hold });
}

function effectOf<F extends Fault>(fault: F): Effect<F> {
  return EFFECTS[fault.kind] as unknown as Effect<F>;
}

export function applyToView(faults: readonly Fault[], view: View): void {
  for (const fault of faults) effectOf(fault).view?.(fault, view);
}

export function applyToAnswer(
  faults: readonly Fault[],
  answer: Answer,
  circumstances: Circumstances,
): Answer {
  let current = answer;
  for (const fault of faults) {
    const effect = effectOf(fault);
    current = effect.replace?.(fault, circumstances) ?? current;
    effect.answer?.(fault, current, circumstances);
  }
  return current;
}
