import { BAD_CHUNKS, SMUGGLING } from "../../support/malformed.ts";
import { between, oneOf } from "../../support/random.ts";
import type { FuzzRequest } from "./request.ts";
import { HOSTILE, type Random } from "./values.ts";

const KNOWN = [...SMUGGLING, ...BAD_CHUNKS];
const WHOLE = [
  "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
  "GET /v1/downloads?state=all HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n",
  "GET /health HTTP/1.0\r\n\r\n",
  "POST /v1/downloads HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
  "POST /v1/downloads/m1/pause HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
  "GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: eA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
];
const BREAKS = [
  "\r\n",
  "\n",
  "\r",
  "\r\n\r\n",
  "\u0000",
  " ",
  "\t",
  ":",
  "\u0080",
  "\u00ff",
  "HTTP/1.1",
  "%",
];
const LINES = [
  "Host: localhost",
  "Host: evil.example",
  "Host:",
  "Content-Length: 5",
  "Content-Length: 99999999999999999999",
  "Transfer-Encoding: chunked",
  "Transfer-Encoding: identity",
  "Expect: 100-continue",
  "Expect: nonsense",
  "Connection: close, keep-alive, upgrade",
  "Upgrade: h2c",
  "HTTP2-Settings: AAMAAABkAAQAAP__",
  "Trailer: Content-Length",
  "TE: trailers",
];

/** Bytes that may be no request at all, for a connection of their own. */
export function rawRequest(next: Random): FuzzRequest {
  const kind = next();
  if (kind < 0.35) return raw(oneOf(next, KNOWN).text, true);
  if (kind < 0.5) return raw(headOf(next), false);
  if (kind < 0.75) return raw(broken(oneOf(next, [...WHOLE, ...KNOWN.map(({ text }) => text)]), next), false);
  if (kind < 0.8) return raw(oneOf(next, WHOLE), true);
  // Bun closes a connection on which a request comes before the last one is answered: no answer is due.
  if (kind < 0.85)
    return raw(Array.from({ length: between(next, 2, 20) }, () => oneOf(next, WHOLE)).join(""), false);
  if (kind < 0.9) return raw(hugeHead(next), false);
  const noise = Array.from({ length: between(next, 1, 400) }, () =>
    String.fromCharCode(between(next, 0, 255)),
  );
  return raw(`${noise.join("")}\r\n\r\n`, false);
}

function raw(text: string, isWhole: boolean): FuzzRequest {
  const [, path = "/"] = /^[A-Z]+ ([^ ?#\r\n]*)/.exec(text) ?? [];
  return { kind: "raw", bytes: Buffer.from(text, "latin1"), isHead: text.startsWith("HEAD "), path, isWhole };
}

/** A request whose head has lines of all kinds, or of none. */
function headOf(next: Random): string {
  const target = oneOf(next, [
    "/health",
    "/v1/downloads",
    "*",
    "http://evil.example/health",
    "//",
    "",
    "/%",
    ...HOSTILE,
  ]);
  const method = oneOf(next, [
    "GET",
    "POST",
    "HEAD",
    "TRACE",
    "CONNECT",
    "get",
    "",
    "G\u0000T",
    "X".repeat(1000),
    "PRI",
  ]);
  const version = oneOf(next, ["HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/1.2", "http/1.1", ""]);
  const lines = Array.from({ length: between(next, 0, 6) }, () => oneOf(next, LINES));
  return `${method} ${target} ${version}\r\n${lines.join("\r\n")}\r\n\r\n`;
}

function broken(text: string, next: Random): string {
  let now = text;
  for (let n = between(next, 1, 3); n > 0; n--) {
    const at = between(next, 0, now.length);
    now = now.slice(0, at) + oneOf(next, BREAKS) + now.slice(at + between(next, 0, 4));
  }
  return now;
}

function hugeHead(next: Random): string {
  const size = oneOf(next, [8_000, 16_000, 17_000, 70_000, 300_000]);
  const one = `X-Long: ${"x".repeat(size)}\r\n`;
  const many = Array.from({ length: Math.min(size / 20, 3_000) }, (_, i) => `X-${i}: many\r\n`).join("");
  const target = next() < 0.3 ? `/health?${"q".repeat(size)}` : "/health";
  return `GET ${target} HTTP/1.1\r\nHost: localhost\r\n${next() < 0.5 ? one : many}\r\n`;
}
