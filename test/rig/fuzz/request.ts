import { between, oneOf } from "../../support/random.ts";
import type { Random } from "./values.ts";

/** One request as the bytes that are sent. */
export interface FuzzRequest {
  kind: "grammar" | "mutated" | "raw";
  bytes: Buffer;
  isHead: boolean;
  /** As sent, without query: whose refusal it gets. */
  path: string;
  /** Whether an answer is due; of the others, some wait for more bytes for ever. */
  isWhole: boolean;
}

export interface Draft {
  method: string;
  target: string;
  /** `Name: value` each, in order. */
  headers: readonly string[];
  body?: Buffer;
  isChunked?: boolean;
}

/** The bytes of a request whose framing is right, whatever stands in it. */
export function assemble(kind: FuzzRequest["kind"], draft: Draft, next: Random): FuzzRequest {
  const { method, target, headers, body, isChunked = false } = draft;
  const framing =
    body === undefined ? [] : [isChunked ? "Transfer-Encoding: chunked" : `Content-Length: ${body.length}`];
  const head = `${method} ${target} HTTP/1.1\r\n${[...headers, ...framing].map((line) => `${line}\r\n`).join("")}\r\n`;
  const content = body === undefined ? [] : isChunked ? chunks(body, next) : [body];
  return {
    kind,
    bytes: Buffer.concat([Buffer.from(head, "latin1"), ...content]),
    isHead: method === "HEAD",
    path: pathOf(target),
    isWhole: true,
  };
}

function chunks(body: Buffer, next: Random): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at < body.length; ) {
    const piece = body.subarray(at, at + between(next, 1, Math.max(1, Math.ceil(body.length / 2))));
    parts.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n"));
    at += piece.length;
  }
  return [...parts, Buffer.from("0\r\n\r\n")];
}

export const pathOf = (target: string): string => target.split(/[?#]/, 1)[0] ?? "";

/** Text as UTF-8 in the latin1 form that heads are written in, without what would end a line or a word of it. */
export const inLine = (text: string): string =>
  Buffer.from(text.toWellFormed())
    .toString("latin1")
    .replace(/[\u0000-\u0020\u007f]/g, (char) => `%${char.charCodeAt(0).toString(16).padStart(2, "0")}`);

/** Percent-encoding in one of the ways in which it is done and overdone. */
export function encodeOddly(text: string, next: Random): string {
  const plain = text.toWellFormed();
  const kind = next();
  if (kind < 0.7) return encodeURIComponent(plain);
  if (kind < 0.8) return inLine(plain);
  if (kind < 0.86) return encodeURIComponent(encodeURIComponent(plain));
  if (kind < 0.92) return Buffer.from(plain).toString("hex").replace(/../g, "%$&");
  return (
    encodeURIComponent(plain) +
    oneOf(next, ["%zz", "%c0%af", "%00", "%", "%e2%80", "%ff", "+", "%2f..%2f", ";x=1"])
  );
}

/** The whole of it in one line, to be sent again: `printf` understands the escapes. */
export function shownRequest({ bytes }: FuzzRequest): string {
  const text = bytes.toString("latin1", 0, 1500).replace(/[^ -~]|[\\"%`|]/g, escaped);
  return bytes.length > 1500 ? `${text}… (${bytes.length} bytes)` : text;
}

const escaped = (char: string): string =>
  char === "\r" ? "\\r" : char === "\n" ? "\\n" : `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`;
