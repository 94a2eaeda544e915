import { afterAll, beforeEach, expect, test } from "bun:test";
import { startOrigin } from "../support/origin.ts";
import { client, drain, failure } from "./client.ts";

const SIZE = 1 << 20;
const origin = await startOrigin({ resources: [{ path: "/file", seed: 1, size: SIZE }] });
const http = client();
const url = origin.url("/file");
afterAll(async () => {
  http.close();
  await origin.stop();
});
beforeEach(() => origin.clear());

/** Code of the error met at the head or in the body, or the number of bytes. */
async function outcome(): Promise<string | number> {
  const { code = "no code", length } = await http
    .request({ url })
    .then(drain)
    .then((bytes) => ({ code: undefined, length: bytes.length }))
    .catch((error: { code?: string }) => ({ code: error.code, length: undefined }));
  return length ?? code;
}

test("a whole body arrives byte for byte over kept-alive connections", async () => {
  for (let i = 0; i < 3; i++) {
    const bytes = await drain(await http.request({ url }));
    expect(new Bun.CryptoHasher("sha256").update(bytes).digest("hex")).toBe(origin.sha256("/file"));
  }
  expect(origin.stats.connections).toBe(1);
});

test("F11 F60 a body cut short is no end", async () => {
  for (const kind of ["cut", "reset"] as const) {
    origin.clear();
    origin.on({}, { kind, at: 5000 });
    expect(await outcome()).toBe("network");
  }
});

test("F11 what arrives before the cut is the file's own bytes", async () => {
  origin.on({}, { kind: "reset", at: 700_000 });
  const answer = await http.request({ url });
  const seen: Uint8Array[] = [];
  const error = await failure(
    (async () => {
      for (let chunk = await answer.read(); chunk; chunk = await answer.read()) seen.push(chunk);
    })(),
  );
  expect(error.code).toBe("network");
  origin.clear();
  const whole = await drain(await http.request({ url }));
  const got = Buffer.concat(seen);
  expect(got.length).toBeLessThanOrEqual(700_000);
  expect(got.equals(whole.subarray(0, got.length))).toBe(true);
});

test("F12 bytes beyond Content-Length are not handed out", async () => {
  origin.on({}, { kind: "surplus", bytes: 999 });
  expect(await outcome()).toBe(SIZE);
});

test("F13 a chunked body without its last chunk is no end", async () => {
  origin.on({}, { kind: "chunked", last: "missing" });
  expect(await outcome()).toBe("network");
});

test("F16 a chunked body without a length is read to its end", async () => {
  origin.on({}, { kind: "chunked" });
  expect(await outcome()).toBe(SIZE);
});

test("F17 beside chunked framing a Content-Length must fit what came", async () => {
  origin.on({}, { kind: "chunked", contentLength: SIZE });
  expect(await outcome()).toBe(SIZE);
  origin.clear();
  origin.on({}, { kind: "chunked", contentLength: SIZE + 1 });
  expect(await outcome()).toBe("network");
  origin.clear();
  origin.on({}, { kind: "chunked", contentLength: 10 });
  expect(await outcome()).toBe("protocol");
});

test.each([
  [["3", "5"]],
  [["-3"]],
  [["99999999999999999999999"]],
  [["9007199254740993"]],
  [["3, 3"]],
  [["7", "7"]],
  [["+5"]],
])("F18 Content-Length %j is a protocol error", async (values) => {
  origin.on({}, { kind: "content-length", values });
  expect(await outcome()).toBe("protocol");
});

test("F20 F53 empty answers end at once", async () => {
  origin.on({ nth: 1 }, { kind: "respond", status: 204 });
  origin.on({ nth: 2 }, { kind: "empty" });
  expect([await outcome(), await outcome()]).toEqual([0, 0]);
  const head = await http.request({ url, method: "HEAD" });
  expect([head.headers.get("content-length"), await head.read()]).toEqual([String(SIZE), null]);
});

test("F30 F31 identity is asked for, and what comes encoded stays encoded", async () => {
  origin.on({}, { kind: "gzip" });
  const answer = await http.request({ url, headers: { "Accept-Encoding": "gzip" } });
  const bytes = await drain(answer);
  expect(origin.log.at(-1)!.headers["accept-encoding"]).toBe("identity");
  expect([answer.headers.get("content-encoding"), bytes[0], bytes[1]]).toEqual(["gzip", 0x1f, 0x8b]);
});

test("F53 a thousand interim answers pass, an endless flood of them meets the header deadline", async () => {
  const passing = origin.on({ path: "/file" }, { kind: "interim", count: 1000 });
  expect(await outcome()).toBe(SIZE);
  passing.remove();
  origin.on({}, { kind: "interim", count: 50 }, { kind: "stall", at: "start" });
  expect(await failure(http.request({ url, headerTimeoutMs: 200 }))).toMatchObject({ code: "timeout" });
});

test("F58 headers that never come are a timeout that names the host", async () => {
  origin.on({}, { kind: "stall", at: "start" });
  const error = await failure(http.request({ url: `${url}?sig=s3cret`, headerTimeoutMs: 100 }));
  expect(error).toMatchObject({ code: "timeout" });
  expect(error.message).toContain(`127.0.0.1:${origin.port}`);
  expect(error.message).not.toContain("s3cret");
});

test("F62 a dead kept-alive connection costs one silent retry", async () => {
  await using fresh = await startOrigin({ resources: [{ path: "/file", seed: 1, size: 100 }] });
  fresh.on({ reused: true, times: 3 }, { kind: "cut", at: "start" });
  fresh.on({ reused: true, nth: { from: 4 }, times: 3 }, { kind: "reset", at: "start" });
  for (let i = 0; i < 12; i++)
    expect((await drain(await http.request({ url: fresh.url("/file") }))).length).toBe(100);
  expect(fresh.stats.requests).toBeGreaterThan(12);
});

test("F62 a POST is not sent twice", async () => {
  await using fresh = await startOrigin({ resources: [{ path: "/file", seed: 1, size: 100 }] });
  const post = () => http.request({ url: fresh.url("/file"), method: "POST", body: "{}" });
  await drain(await post());
  fresh.on({ reused: true }, { kind: "cut", at: "start" });
  const error = await failure(post());
  expect([error.code, fresh.requests("*", "POST").length]).toEqual(["network", 2]);
});

test.each([
  [1, 65_000, 200],
  [1, 70_000, "protocol"],
  [30, 8_000, 200],
  [40, 8_000, "protocol"],
  [1200, 10_000, "protocol"],
] as const)("F67 %d header fields of %d bytes: %p", async (count, bytes, expected) => {
  origin.on({}, { kind: "header-flood", count, bytes });
  const result = await http.request({ url }).then(
    async (answer) => {
      await answer.cancel();
      return answer.status;
    },
    (error: { code: string }) => error.code,
  );
  expect<unknown>(result).toBe(expected);
});

test.each([
  ["hello, this is no HTTP\r\n\r\n"],
  ["hello"],
  [""],
  ["HTTP/1.1 99 Low\r\nContent-Length: 0\r\n\r\n"],
  ["HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"],
  ["HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"],
  ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n"],
])("F68 the answer %j is a network or protocol error", async (text) => {
  origin.on({}, { kind: "raw", text });
  expect(["network", "protocol"]).toContain(String(await outcome()));
});

test("F73 a cookie is never sent back", async () => {
  origin.on({}, { kind: "headers", set: { "Set-Cookie": "id=1; Path=/" } });
  for (let i = 0; i < 2; i++) await drain(await http.request({ url }));
  expect(origin.log.at(-1)!.headers.cookie).toBeUndefined();
});

test.each([
  { "X-A": "1\r\nX-B: 2" },
  { "X-A": "\0" },
  { "X A": "1" },
  { "X-A": "日" },
  { "": "1" },
  { "X-A": "a".repeat(20_000) },
  { Host: "elsewhere" },
  { "content-length": "3" },
  { "Transfer-Encoding": "chunked" },
  { Connection: "close" },
] as Record<string, string>[])("F159 header %j is refused before anything is sent", async (headers) => {
  const before = origin.log.length;
  const error = await failure(http.request({ url, headers }));
  expect(error).toMatchObject({ code: "invalid_request", param: "headers" });
  const credentials = { origin: new URL(url).origin, headers };
  expect(await failure(http.request({ url, credentials }))).toMatchObject({ code: "invalid_request" });
  expect(origin.log.length).toBe(before);
});

test("an abort rejects a waiting read at once with its own reason, and frees the connection", async () => {
  origin.on({}, { kind: "stall", at: 100_000 });
  const controller = new AbortController();
  const answer = await http.request({ url, signal: controller.signal });
  let received = 0;
  while (received < 100_000) received += (await answer.read())!.length;
  const waiting = failure(answer.read());
  const reason = new Error("enough");
  controller.abort(reason);
  expect(await waiting).toBe(reason);
  expect(await failure(answer.read())).toBe(reason);
  await origin.waitFor(({ stats }) => stats.openConnections === 0, "no open connection");
});

test("an abort ends the wait for headers, and an aborted signal sends nothing", async () => {
  origin.on({}, { kind: "stall", at: "start" });
  const controller = new AbortController();
  const waiting = failure(http.request({ url, signal: controller.signal }));
  const before = origin.log.length;
  await origin.waitFor(({ log }) => log.length > before, "the request");
  const reason = new Error("enough");
  controller.abort(reason);
  expect(await waiting).toBe(reason);
  const sent = origin.log.length;
  expect(await failure(http.request({ url, signal: controller.signal }))).toBe(reason);
  expect(origin.log.length).toBe(sent);
});

test("backpressure: a body that is not read is not sent", async () => {
  await using big = await startOrigin({ resources: [{ path: "/big", seed: 1, size: 256 << 20 }] });
  const answer = await http.request({ url: big.url("/big") });
  await answer.read();
  await Bun.sleep(200);
  expect(big.sent("/big")).toBeLessThan(64 << 20);
  await answer.cancel();
  await big.waitFor(({ stats }) => stats.openConnections === 0, "no open connection");
});

test("cancel lets go of a stalled body, and a read that waits ends", async () => {
  origin.on({}, { kind: "stall", at: 1000 });
  const answer = await http.request({ url });
  await answer.read();
  const waiting = failure(answer.read());
  await answer.cancel();
  expect(await waiting).toMatchObject({ code: "network" });
  await origin.waitFor(({ stats }) => stats.openConnections === 0, "no open connection");
});

test("cancel of a short answer keeps the connection", async () => {
  await using fresh = await startOrigin();
  for (let i = 0; i < 5; i++) {
    const answer = await http.request({ url: fresh.url("/nothing") });
    expect(answer.status).toBe(404);
    await answer.cancel();
    await fresh.waitFor(({ stats }) => stats.active === 0, "the end of the answer");
  }
  expect(fresh.stats.connections).toBeLessThanOrEqual(2);
});

test("text and json are bounded, and neither waits for a silent peer for ever", async () => {
  const body = (text: string) => origin.on({}, { kind: "respond", status: 200, body: text });
  body('{"a":"ü"}');
  expect(await (await http.request({ url })).json()).toEqual({ a: "ü" });
  expect(await failure((await http.request({ url })).text(5))).toMatchObject({ code: "protocol" });
  origin.clear();
  body("<html>");
  expect(await failure((await http.request({ url })).json())).toMatchObject({ code: "protocol" });
  origin.clear();
  origin.on({}, { kind: "endless", framing: "chunked" });
  expect(await failure((await http.request({ url })).json(100_000))).toMatchObject({ code: "protocol" });
  origin.clear();
  origin.on({}, { kind: "stall", at: 1000 });
  const impatient = client({ limits: { stallMs: 100 } });
  expect(await failure((await impatient.request({ url })).text())).toMatchObject({ code: "timeout" });
});
