/** Reading HTTP/1.1 requests off a byte stream, strictly enough for the clients that tests drive. */

export type HeaderList = [name: string, value: string][];

export interface WireRequest {
  readonly method: string;
  /** The request target as it was on the wire. */
  readonly target: string;
  /** Percent-decoded path, without the query; as on the wire where it cannot be decoded. */
  readonly path: string;
  /** Without the `?`; empty when there is none. */
  readonly query: string;
  readonly version: string;
  /** By lower-case name; of repeated headers the values are joined by a comma. */
  readonly headers: Readonly<Record<string, string>>;
  readonly rawHeaders: HeaderList;
  readonly body: string;
}

const HEAD_END = Buffer.from("\r\n\r\n");
const NOTHING = Buffer.alloc(0);
const MAX_HEAD = 1 << 20;
const MAX_BODY = 16 << 20;

export class MalformedRequest extends Error {}

/** Collects bytes and hands out whole requests. */
export class RequestReader {
  private pending: Buffer = NOTHING;

  push(chunk: Uint8Array): void {
    this.pending = this.pending.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.pending, chunk]);
  }

  /** The next whole request, or undefined while bytes are missing. Throws MalformedRequest. */
  next(): WireRequest | undefined {
    if (this.pending.length === 0) return undefined;
    const end = this.pending.indexOf(HEAD_END);
    if (end < 0) {
      if (this.pending.length > MAX_HEAD) throw new MalformedRequest("request head too long");
      return undefined;
    }
    const head = parseHead(this.pending.subarray(0, end).toString("latin1"));
    const body = readBody(this.pending.subarray(end + 4), head.headers);
    if (body === undefined) return undefined;
    const next = end + 4 + body.consumed;
    this.pending = next === this.pending.length ? NOTHING : this.pending.subarray(next);
    return { ...head, body: body.text };
  }
}

function parseHead(text: string): Omit<WireRequest, "body"> {
  const [requestLine = "", ...lines] = text.split("\r\n");
  const [method = "", target = "", version = ""] = requestLine.split(" ");
  if (!/^[A-Z]+$/.test(method) || !version.startsWith("HTTP/1.")) {
    throw new MalformedRequest(`not a request line: ${requestLine.slice(0, 80)}`);
  }
  const rawHeaders = lines.map((line): [string, string] => {
    const colon = line.indexOf(":");
    if (colon <= 0) throw new MalformedRequest(`not a header: ${line.slice(0, 80)}`);
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
  const headers: Record<string, string> = {};
  for (const [name, value] of rawHeaders) {
    const key = name.toLowerCase();
    headers[key] = key in headers ? `${headers[key]}, ${value}` : value;
  }
  return { method, target, version, headers, rawHeaders, ...splitTarget(target) };
}

/** Also understands the absolute form, which a client sends to a proxy. */
function splitTarget(target: string): { path: string; query: string } {
  const relative = target.replace(/^https?:\/\/[^/?]*/i, "");
  const mark = relative.indexOf("?");
  const path = mark < 0 ? relative : relative.slice(0, mark);
  return { path: decodePath(path), query: mark < 0 ? "" : relative.slice(mark + 1) };
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function readBody(
  bytes: Buffer,
  headers: Record<string, string>,
): { text: string; consumed: number } | undefined {
  if (/chunked/i.test(headers["transfer-encoding"] ?? "")) return readChunked(bytes);
  const length = Number(headers["content-length"] ?? 0);
  if (!Number.isInteger(length) || length < 0 || length > MAX_BODY) {
    throw new MalformedRequest("unusable Content-Length");
  }
  if (bytes.length < length) return undefined;
  return { text: bytes.subarray(0, length).toString("utf8"), consumed: length };
}

function readChunked(bytes: Buffer): { text: string; consumed: number } | undefined {
  const parts: Buffer[] = [];
  for (let at = 0; ; ) {
    const lineEnd = bytes.indexOf("\r\n", at);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(bytes.subarray(at, lineEnd).toString("latin1"), 16);
    if (!(size >= 0 && size <= MAX_BODY)) throw new MalformedRequest("unusable chunk size");
    const next = lineEnd + 2 + size + 2;
    if (bytes.length < next) return undefined;
    if (size === 0) return { text: Buffer.concat(parts).toString("utf8"), consumed: next };
    parts.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = next;
  }
}

/** One `bytes=` range as asked: `end` inclusive; `suffix` is the length of the tail that is wanted. */
export type AskedRange = { start: number; end?: number } | { suffix: number };

/** The single byte range of a request. Undefined when there is none, or more than one, or not in bytes. */
export function askedRange(request: WireRequest): AskedRange | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec((request.headers.range ?? "").trim());
  if (!match || (match[1] === "" && match[2] === "")) return undefined;
  if (match[1] === "") return { suffix: Number(match[2]) };
  const start = Number(match[1]);
  if (match[2] === "") return { start };
  return Number(match[2]) < start ? undefined : { start, end: Number(match[2]) };
}
