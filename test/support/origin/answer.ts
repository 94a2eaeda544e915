import { type Content, literal } from "../bytes.ts";
import type { HeaderList } from "./request.ts";

/** "start" is before the first byte of the answer; a number counts body bytes, so 0 is right after the head. */
export type At = "start" | number;

/** Something that ends or halts an answer before its time. */
export interface Stop {
  action: "stall" | "cut" | "truncate" | "reset";
  at: At;
  /** Count the body bytes of the whole connection instead of those of this answer. */
  ofConnection: boolean;
  /** Resolves a stall; called with the function that goes on. Returns how to forget it. */
  onRelease: (resume: () => void) => () => void;
}

/** Everything that goes out for one request. Faults edit it; `send` carries it out. */
export interface Answer {
  status: number;
  reason?: string;
  /** Without the framing headers, which follow from `framing`, `lengths` and `keepAlive`. */
  headers: HeaderList;
  body: Content;
  /** True for HEAD, 204 and 304: the head promises `body`, nothing of it is sent. */
  headOnly: boolean;
  framing: "length" | "chunked" | "close";
  /** Raw values of Content-Length headers in place of the true one. */
  lengths?: string[];
  chunkSize: number;
  lastChunk: "complete" | "missing" | "no-crlf";
  /** Bytes after the framed body. */
  surplus: number;
  /** Sent in place of head and body. */
  raw?: Uint8Array;
  latencyMs: number;
  interim: { status: number; count: number }[];
  /** Bytes per second, from body byte `after` on. */
  rates: { bytesPerSecond: number; after: number }[];
  stops: Stop[];
  /** What happens to the connection afterwards; "keep" unless the client wants it closed. */
  afterwards: "keep" | "close" | "reset" | "hold";
  /** False: the connection closes without `Connection: close` in the head. */
  announceClose: boolean;
}

const REASONS: Record<number, string> = {
  200: "OK",
  204: "No Content",
  206: "Partial Content",
  301: "Moved Permanently",
  302: "Found",
  303: "See Other",
  304: "Not Modified",
  307: "Temporary Redirect",
  308: "Permanent Redirect",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  410: "Gone",
  416: "Range Not Satisfiable",
  429: "Too Many Requests",
  503: "Service Unavailable",
};

/** A plain answer with a body, to be framed by its length. */
export function newAnswer(status: number, headers: HeaderList, body: Content | string | Uint8Array): Answer {
  return {
    status,
    headers,
    body: typeof body === "string" || body instanceof Uint8Array ? literal(body) : body,
    headOnly: status === 204 || status === 304,
    framing: "length",
    chunkSize: 64 * 1024,
    lastChunk: "complete",
    surplus: 0,
    latencyMs: 0,
    interim: [],
    rates: [],
    stops: [],
    afterwards: "keep",
    announceClose: true,
  };
}

export function getHeader(headers: HeaderList, name: string): string | undefined {
  return headers.find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1];
}

export function dropHeader(headers: HeaderList, name: string): HeaderList {
  return headers.filter(([key]) => key.toLowerCase() !== name.toLowerCase());
}

/** Sets a header in the place of all that have its name. */
export function setHeader(answer: Answer, name: string, value: string): void {
  answer.headers = [...dropHeader(answer.headers, name), [name, value]];
}

function framingHeaders(answer: Answer): HeaderList {
  const headers: HeaderList = [];
  if (answer.framing === "chunked") headers.push(["Transfer-Encoding", "chunked"]);
  if (answer.lengths)
    headers.push(...answer.lengths.map((value): [string, string] => ["Content-Length", value]));
  else if (answer.framing === "length" && answer.status !== 204 && answer.status !== 304) {
    headers.push(["Content-Length", String(answer.body.size)]);
  }
  const closes = answer.afterwards !== "keep" && answer.announceClose;
  headers.push(["Connection", closes ? "close" : "keep-alive"]);
  return headers;
}

/** The head as it goes on the wire. Header values are written as they are: UTF-8, whatever they hold. */
export function headBytes(answer: Answer): Uint8Array {
  const reason = answer.reason ?? REASONS[answer.status] ?? "Status";
  const own = new Set(answer.headers.map(([name]) => name.toLowerCase()));
  const framing = framingHeaders(answer).filter(
    ([name]) => !(name === "Connection" && own.has("connection")),
  );
  const lines = [...answer.headers, ...framing].map(([name, value]) => `${name}: ${value}\r\n`);
  return new TextEncoder().encode(`HTTP/1.1 ${answer.status} ${reason}\r\n${lines.join("")}\r\n`);
}

export function interimBytes(status: number): Uint8Array {
  const link = status === 103 ? "Link: </style.css>; rel=preload\r\n" : "";
  return new TextEncoder().encode(`HTTP/1.1 ${status} Interim\r\n${link}\r\n`);
}
