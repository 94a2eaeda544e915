/** Requests whose framing is wrong or ambiguous: the answer is a refusal and the end of the connection. */
export interface Malformed {
  name: string;
  /** As sent, byte by byte as latin1. */
  text: string;
}

const SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
const POST = "POST /v1/downloads/pause HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";

/** With a head of these lines behind it, and what a proxy in front might take for a second request. */
const post = (...lines: string[]): string => `${POST}${lines.map((line) => `${line}\r\n`).join("")}\r\n`;
const chunked = (...body: string[]): string => `${post("Transfer-Encoding: chunked")}${body.join("")}`;

/** F162: which of two lengths counts, where a line ends, what belongs to a name. */
export const SMUGGLING: readonly Malformed[] = [
  {
    name: "Content-Length and Transfer-Encoding",
    text: `${post("Content-Length: 4", "Transfer-Encoding: chunked")}0\r\n\r\n${SMUGGLED}`,
  },
  {
    name: "Transfer-Encoding and Content-Length",
    text: `${post("Transfer-Encoding: chunked", "Content-Length: 4")}0\r\n\r\n${SMUGGLED}`,
  },
  {
    name: "two different Content-Length",
    text: `${post("Content-Length: 0", "Content-Length: 45")}${SMUGGLED}`,
  },
  { name: "a list of Content-Length", text: `${post("Content-Length: 0, 45")}${SMUGGLED}` },
  { name: "Content-Length +5", text: `${post("Content-Length: +5")}[1,2]` },
  { name: "Content-Length -1", text: `${post("Content-Length: -1")}${SMUGGLED}` },
  { name: "Content-Length 0x5", text: `${post("Content-Length: 0x5")}[1,2]` },
  { name: "Content-Length 1e1", text: `${post("Content-Length: 1e1")}[1,2,3,4]` },
  { name: "Content-Length of 30 digits", text: `${post(`Content-Length: ${"9".repeat(30)}`)}{}` },
  { name: "an empty Content-Length", text: `${post("Content-Length:")}${SMUGGLED}` },
  { name: "Transfer-Encoding xchunked", text: `${post("Transfer-Encoding: xchunked")}0\r\n\r\n${SMUGGLED}` },
  {
    name: "Transfer-Encoding chunked, identity",
    text: `${post("Transfer-Encoding: chunked, identity")}0\r\n\r\n`,
  },
  {
    name: "two Transfer-Encoding",
    text: `${post("Transfer-Encoding: chunked", "Transfer-Encoding: x")}0\r\n\r\n${SMUGGLED}`,
  },
  {
    name: "Transfer-Encoding with a tab",
    text: `${post("Transfer-Encoding:\tchunked\tx")}0\r\n\r\n${SMUGGLED}`,
  },
  { name: "a space before the colon", text: `${post("Content-Length : 45")}${SMUGGLED}` },
  {
    name: "a space before the colon of Transfer-Encoding",
    text: `${post("Transfer-Encoding : chunked")}0\r\n\r\n`,
  },
  { name: "a folded line", text: `${post("X-A: b", " Transfer-Encoding: chunked")}0\r\n\r\n${SMUGGLED}` },
  { name: "a line that begins with a space", text: `POST / HTTP/1.1\r\n Host: localhost\r\n\r\n${SMUGGLED}` },
  { name: "a NUL in a name", text: post("X\u0000A: b", "Content-Length: 0") },
  { name: "a NUL in a value", text: post("X-A: b\u0000c", "Content-Length: 0") },
  { name: "a CR in a value", text: post("X-A: b\rContent-Length: 45", "Content-Length: 0") },
  { name: "a name of nothing", text: post(": b", "Content-Length: 0") },
  { name: "a line without a colon", text: post("nonsense", "Content-Length: 0") },
  { name: "bare line feeds", text: `${POST.replaceAll("\r\n", "\n")}Content-Length: 0\n\n${SMUGGLED}` },
  { name: "a version of 0.9", text: "GET /v1/downloads HTTP/0.9\r\nHost: localhost\r\n\r\n" },
  { name: "a version of 2.0", text: "GET /v1/downloads HTTP/2.0\r\nHost: localhost\r\n\r\n" },
  { name: "a version of 1.11", text: "GET /v1/downloads HTTP/1.11\r\nHost: localhost\r\n\r\n" },
  { name: "no version", text: "GET /v1/downloads\r\nHost: localhost\r\n\r\n" },
  { name: "no target", text: "GET  HTTP/1.1\r\nHost: localhost\r\n\r\n" },
  {
    name: "another protocol",
    text: "\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003\r\n\r\n",
  },
];

/** F163: sizes of chunks that are none. */
export const BAD_CHUNKS: readonly Malformed[] = [
  { name: "a negative chunk size", text: chunked("-1\r\n", SMUGGLED) },
  { name: "a chunk size of 17 digits", text: chunked(`${"f".repeat(17)}\r\n{}\r\n0\r\n\r\n`) },
  { name: "a chunk size of 2^64", text: chunked("10000000000000002\r\n{}\r\n0\r\n\r\n") },
  { name: "a chunk size with a prefix", text: chunked("0x2\r\n{}\r\n0\r\n\r\n") },
  { name: "a chunk size with a sign", text: chunked("+2\r\n{}\r\n0\r\n\r\n") },
  { name: "a chunk size of no digits", text: chunked("zz\r\n{}\r\n0\r\n\r\n") },
  { name: "an empty chunk size", text: chunked("\r\n{}\r\n0\r\n\r\n") },
  { name: "a chunk extension of 100 KB", text: chunked(`2;${"x".repeat(100_000)}\r\n{}\r\n0\r\n\r\n`) },
  { name: "a chunk longer than its size", text: chunked(`2\r\n{}${SMUGGLED}\r\n0\r\n\r\n`) },
];
