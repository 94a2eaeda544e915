import { DownloadError } from "../../core/errors.ts";
import { malformed, oversized } from "../faults.ts";
import { MAX_HEAD } from "../headers.ts";
import type { Connection } from "./connection.ts";

/** How the end of a body is known (RFC 9112 §6.3). */
export type Framing =
  | { kind: "none" }
  | { kind: "length"; length: number }
  | { kind: "chunked" }
  /** It ends with the connection, so a cut cannot be told from the end (F16). */
  | { kind: "close" };

export interface Head {
  status: number;
  headers: Headers;
  framing: Framing;
  /** The connection may carry another request afterwards. */
  persistent: boolean;
}

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: [^\0\r\n]*)?$/;
/** The blanks around a value are cut off by hand: an expression that does it takes forever for a value full of them. */
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\0\r\n]*)$/;
const LF = 10;
const CR = 13;

/**
 * The final head of an answer; interim ones are passed over (RFC 9110 §15.2). Rejects with `protocol` for what is no
 * HTTP/1.x, with `network` when the connection ends before.
 */
export async function readHead(connection: Connection, host: string, method: string): Promise<Head> {
  let room = MAX_HEAD;
  for (;;) {
    const text = await headText(connection, host, room);
    room -= text.length;
    const head = parseHead(text, host, method);
    if (head.status === 101) throw malformed(host, "an upgrade nobody asked for");
    if (head.status >= 200) return head;
  }
}

/** Everything up to the empty line, which is at the end of the text. What follows is given back. */
async function headText(connection: Connection, host: string, room: number): Promise<string> {
  let bytes: Uint8Array = new Uint8Array(0);
  for (;;) {
    const chunk = await connection.read();
    if (chunk === null) throw tooShort(host, bytes);
    const from = Math.max(0, bytes.length - 3);
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
    const end = endOfHead(bytes, from);
    if (end > room || (end < 0 && bytes.length > room)) throw oversized(host);
    if (end < 0) continue;
    connection.unread(bytes.subarray(end));
    return Buffer.from(bytes.buffer, bytes.byteOffset, end).toString("latin1");
  }
}

function tooShort(host: string, bytes: Uint8Array): DownloadError {
  const text =
    bytes.length === 0 ? "closed the connection without an answer" : "cut off the head of its answer";
  return new DownloadError("network", `${host} ${text}.`);
}

/** Index behind the first empty line; -1 while there is none. A bare LF ends a line as well (RFC 9112 §2.2). */
function endOfHead(bytes: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(LF, from); at >= 0; at = bytes.indexOf(LF, at + 1)) {
    if (bytes[at + 1] === LF) return at + 2;
    if (bytes[at + 1] === CR && bytes[at + 2] === LF) return at + 3;
  }
  return -1;
}

function parseHead(text: string, host: string, method: string): Head {
  const [first = "", ...lines] = text.split(/\r?\n/);
  const start = STATUS_LINE.exec(first);
  if (!start) throw malformed(host, "its first line is not one of HTTP/1.x");
  const headers = new Headers();
  const lengths: string[] = [];
  for (const line of lines) {
    if (line === "") continue;
    const field = FIELD.exec(line);
    if (!field) throw malformed(host, "a header field that is none");
    const name = field[1]!;
    const value = withoutBlanks(field[2]!);
    if (name.toLowerCase() === "content-length") lengths.push(value);
    else headers.append(name, value);
  }
  if (lengths.length > 1) throw malformed(host, "several lengths for one answer");
  for (const length of lengths) headers.set("content-length", length);
  const status = Number(start[2]);
  const framing = framingOf(status, headers, method, host);
  return {
    status,
    headers,
    framing,
    persistent: isPersistent(start[1]!, headers) && framing.kind !== "close",
  };
}

/** Without the spaces and tabs around it (RFC 9110 §5.5). */
function withoutBlanks(text: string): string {
  const isBlank = (at: number): boolean => text[at] === " " || text[at] === "\t";
  let from = 0;
  let to = text.length;
  while (isBlank(from)) from++;
  while (to > from && isBlank(to - 1)) to--;
  return text.slice(from, to);
}

function framingOf(status: number, headers: Headers, method: string, host: string): Framing {
  if (method === "HEAD" || status < 200 || status === 204 || status === 304) return { kind: "none" };
  const encoding = headers.get("transfer-encoding");
  if (encoding !== null) {
    if (encoding.trim().toLowerCase() !== "chunked")
      throw malformed(host, `a Transfer-Encoding of '${encoding}'`);
    // A length beside it frames nothing (RFC 9112 §6.3), but must fit what comes (F17).
    return { kind: "chunked" };
  }
  const length = headers.get("content-length");
  if (length === null) return { kind: "close" };
  if (!/^\d+$/.test(length) || !Number.isSafeInteger(Number(length)))
    throw malformed(host, "an impossible Content-Length");
  return { kind: "length", length: Number(length) };
}

function isPersistent(minor: string, headers: Headers): boolean {
  const wishes = (headers.get("connection") ?? "").toLowerCase();
  return minor === "1" ? !wishes.includes("close") : wishes.includes("keep-alive");
}
