import { afterEach, beforeEach, expect, test } from "bun:test";
import { gunzipSync } from "node:zlib";
import { bytesAt, firstDifference } from "./bytes.ts";
import { type Fault, type Match, type Origin, startOrigin } from "./origin.ts";
import { getText, RawClient, type RawOptions, rawRequest } from "./raw.ts";

const SIZE = 100_000;
const FILE = bytesAt(5, 0, SIZE);
const RANGE = { Range: "bytes=1000-1999" };
let origin: Origin;

beforeEach(async () => {
  origin = await startOrigin({ resources: [{ path: "/f", seed: 5, size: SIZE }] });
});
afterEach(() => origin.stop());

const get = (headers?: Record<string, string>, options?: RawOptions) =>
  rawRequest(origin.port, getText("/f", headers), options);

/** The answer to a GET under these faults. */
function under(faults: Fault[], headers?: Record<string, string>, match: Match = {}) {
  origin.on(match, ...faults);
  return get(headers);
}

const isFile = (body: Uint8Array, start = 0, end = SIZE) =>
  firstDifference(body, FILE.subarray(start, end)) === -1;

test("F1 ignore-range: 200 and the whole file, ranges still claimed", async () => {
  const answer = await under([{ kind: "ignore-range" }], RANGE);
  expect([answer.status, answer.header("content-range"), answer.header("accept-ranges")]).toEqual([
    200,
    [],
    ["bytes"],
  ]);
  expect(isFile(answer.body)).toBe(true);
});

test("F2 a rule for the second ranged request leaves the first alone", async () => {
  origin.on({ ranged: true, nth: 2 }, { kind: "ignore-range" });
  const statuses = [await get(), await get(RANGE), await get(RANGE), await get(RANGE)].map((it) => it.status);
  expect(statuses).toEqual([200, 206, 200, 206]);
});

test.each([
  ["F3 start lied", { start: 500 }, "bytes 500-1999/100000"],
  ["end lied", { end: 2500 }, "bytes 1000-2500/100000"],
  ["F7 total lied", { total: 99_999 }, "bytes 1000-1999/99999"],
  ["F8 total unknown", { total: "*" }, "bytes 1000-1999/*"],
  ["raw text", { raw: "octets none" }, "octets none"],
] as const)("content-range, %s: the header lies, the bytes are those asked for", async (_, lie, header) => {
  const answer = await under([{ kind: "content-range", ...lie }], RANGE);
  expect([answer.status, answer.header("content-range")]).toEqual([206, [header]]);
  expect(isFile(answer.body, 1000, 2000)).toBe(true);
});

test("F6 content-range raw null: a 206 without the header", async () => {
  const answer = await under([{ kind: "content-range", raw: null }], RANGE);
  expect([answer.status, answer.header("content-range")]).toEqual([206, []]);
});

test.each([
  ["F4 shorter", { endBy: -400 }, 1000, 1599],
  ["F5 longer", { endBy: 400 }, 1000, 2399],
  ["F3 elsewhere", { startBy: 10, endBy: 10 }, 1010, 2009],
] as const)("serve-range, %s: another range, truthfully declared", async (_, shift, start, end) => {
  const answer = await under([{ kind: "serve-range", ...shift }], RANGE);
  expect([answer.status, answer.header("content-range")]).toEqual([206, [`bytes ${start}-${end}/${SIZE}`]]);
  expect(isFile(answer.body, start, end + 1)).toBe(true);
});

test("F9 multipart: the part is wrapped, no Content-Range at the top", async () => {
  const answer = await under([{ kind: "multipart" }], RANGE);
  expect(answer.header("content-type")).toEqual(["multipart/byteranges; boundary=part"]);
  expect(answer.header("content-range")).toEqual([]);
  const inner = answer.text.slice(answer.text.indexOf("\r\n\r\n") + 4);
  expect(inner).toStartWith("--part\r\n");
  expect(inner).toContain("Content-Range: bytes 1000-1999/100000\r\n\r\n");
  expect(inner).toEndWith("\r\n--part--\r\n");
});

test("F10 corrupt: exactly the bytes at that place of the file differ, under perfect headers", async () => {
  const answer = await under([{ kind: "corrupt", at: 1500, count: 2 }], RANGE);
  expect([
    answer.status,
    answer.body.length,
    firstDifference(answer.body, FILE.subarray(1000, 2000)),
  ]).toEqual([206, 1000, 500]);
  expect(isFile(answer.body.subarray(502), 1502, 2000)).toBe(true);
});

test("F11 content-length larger than the body, then FIN", async () => {
  const answer = await under([{ kind: "content-length", values: [String(SIZE + 500)] }]);
  expect([answer.header("content-length"), answer.body.length, answer.ending]).toEqual([
    ["100500"],
    SIZE,
    "fin",
  ]);
});

test.each([
  ["two different", ["5", "7"]],
  ["negative", ["-5"]],
  ["huge", ["99999999999999999999"]],
  ["none", []],
])("F18 content-length, %s", async (_, values) => {
  expect((await under([{ kind: "content-length", values }])).header("content-length")).toEqual(values);
});

test("F12 surplus: bytes after the declared length", async () => {
  const answer = await under([{ kind: "surplus", bytes: 33 }]);
  expect([answer.header("content-length"), answer.body.length]).toEqual([[String(SIZE)], SIZE + 33]);
});

test.each([
  ["complete", "\r\n0\r\n\r\n"],
  ["no-crlf", "\r\n0\r\n"],
] as const)("F14 chunked, last chunk %s", async (last, tail) => {
  const answer = await under([{ kind: "chunked", last, chunkSize: 40_000 }]);
  expect([answer.header("transfer-encoding"), answer.header("content-length")]).toEqual([["chunked"], []]);
  expect(answer.text.endsWith(tail)).toBe(true);
  expect(Buffer.from(answer.body.subarray(0, 6)).toString()).toBe("9c40\r\n");
  expect(isFile(answer.body.subarray(6, 40_006), 0, 40_000)).toBe(true);
});

test("F13 chunked, last chunk missing: the stream ends after the last data", async () => {
  const answer = await under([{ kind: "chunked", last: "missing" }]);
  expect([answer.text.endsWith("0\r\n\r\n"), answer.text.endsWith("\r\n"), answer.ending]).toEqual([
    false,
    true,
    "fin",
  ]);
});

test("F17 chunked with a Content-Length beside it", async () => {
  const answer = await under([{ kind: "chunked", contentLength: 12 }]);
  expect([answer.header("transfer-encoding"), answer.header("content-length")]).toEqual([
    ["chunked"],
    ["12"],
  ]);
});

test("F15 close-delimited: no length; a cut looks like an end", async () => {
  const answer = await under([{ kind: "close-delimited" }, { kind: "cut", at: 700 }]);
  expect([
    answer.header("content-length"),
    answer.header("transfer-encoding"),
    answer.header("connection"),
  ]).toEqual([[], [], ["close"]]);
  expect([answer.body.length, answer.ending]).toEqual([700, "fin"]);
});

test("F19 empty: length 0 for GET and HEAD", async () => {
  origin.on({}, { kind: "empty" });
  const head = await rawRequest(origin.port, getText("/f").replace("GET", "HEAD"));
  const answer = await get();
  expect([head.header("content-length"), answer.header("content-length"), answer.body.length]).toEqual([
    ["0"],
    ["0"],
    0,
  ]);
});

test("F24 validators and other-content from the third request on", async () => {
  origin.on({ nth: { from: 3 } }, { kind: "validators", etag: '"v2"' }, { kind: "other-content", seed: 6 });
  const answers = [await get(RANGE), await get(RANGE), await get(RANGE)];
  expect(answers.map((it) => it.header("etag")[0] === '"v2"')).toEqual([false, false, true]);
  expect(firstDifference(answers[2]!.body, bytesAt(6, 1000, 1000))).toBe(-1);
});

test("F26 F27 F29 weak, none, only a date", async () => {
  const seen = async (fault: Fault) => {
    const rule = origin.on({}, fault);
    const answer = await get(RANGE);
    rule.remove();
    return [...answer.header("etag"), ...answer.header("last-modified")];
  };
  const lastModified = "Thu, 01 Jan 2026 00:00:00 GMT";
  expect(await seen({ kind: "validators", etag: 'W/"x"' })).toEqual(['W/"x"']);
  expect(await seen({ kind: "validators", etag: null })).toEqual([]);
  expect(await seen({ kind: "validators", etag: null, lastModified })).toEqual([lastModified]);
});

test("F28 F70 replicas: another validator or content by connection", async () => {
  origin.put({
    path: "/f",
    seed: 5,
    size: SIZE,
    replicas: [{ etag: '"a"' }, { etag: '"b"', seed: 6, size: 10 }],
  });
  const answers = [await get(), await get(), await get()];
  expect(answers.map((it) => [it.header("etag")[0], it.body.length])).toEqual([
    ['"b"', 10],
    ['"a"', SIZE],
    ['"b"', 10],
  ]);
});

test("F30 gzip although identity was asked", async () => {
  const answer = await under([{ kind: "gzip" }], { ...RANGE, "Accept-Encoding": "identity" });
  expect([answer.status, answer.header("content-encoding")]).toEqual([206, ["gzip"]]);
  expect(answer.header("content-length")).toEqual([String(answer.body.length)]);
  expect(isFile(gunzipSync(answer.body), 1000, 2000)).toBe(true);
});

test("F32 F37 redirects: loop, chain, elsewhere, any status, no Location", async () => {
  const location = async (path: string) => {
    const answer = await rawRequest(origin.port, getText(path));
    return [answer.status, ...answer.header("location")];
  };
  origin.on({ path: "/loop" }, { kind: "redirect" });
  origin.on({ path: "/chain" }, { kind: "redirect-chain", hops: 2, to: "/f" });
  origin.on({ path: "/away" }, { kind: "redirect", to: "https://user:pw@elsewhere.example/x", status: 308 });
  origin.on({ path: "/none" }, { kind: "redirect", to: null, status: 301 });
  expect(await location("/loop")).toEqual([302, "/loop"]);
  expect(await location("/chain")).toEqual([302, "/chain?hop=1"]);
  expect(await location("/chain?hop=1")).toEqual([302, "/chain?hop=2"]);
  expect(await location("/chain?hop=2")).toEqual([302, "/f"]);
  expect(await location("/away")).toEqual([308, "https://user:pw@elsewhere.example/x"]);
  expect(await location("/none")).toEqual([301]);
});

test("F45 respond: status, body and a Retry-After date", async () => {
  const answer = await under([
    { kind: "respond", status: 429, headers: { "Retry-After": "{date:+30}" }, body: "slow down" },
  ]);
  const wait = Date.parse(answer.header("retry-after")[0]!) - Date.now();
  expect([answer.status, Buffer.from(answer.body).toString()]).toEqual([429, "slow down"]);
  expect(Math.abs(wait - 30_000)).toBeLessThan(5_000);
});

test("F21 F52 F53 respond: HEAD refused, 304 and 204 without a body", async () => {
  origin.on({ method: "HEAD" }, { kind: "respond", status: 405 });
  expect((await rawRequest(origin.port, getText("/f").replace("GET", "HEAD"))).status).toBe(405);
  for (const status of [204, 304]) {
    const answer = await under([{ kind: "respond", status, body: "ignored" }], {}, { method: "GET" });
    expect([answer.status, answer.body.length, answer.header("content-length"), answer.ending]).toEqual([
      status,
      0,
      [],
      "fin",
    ]);
  }
});

test("F53 interim: a flood of 103 before the answer", async () => {
  const answer = await under([{ kind: "interim", count: 1000 }]);
  expect(answer.text.split("HTTP/1.1 103 ")).toHaveLength(1001);
  expect([answer.status, isFile(answer.body)]).toEqual([200, true]);
});

test("headers: set, drop, add, also twice", async () => {
  const answer = await under([
    {
      kind: "headers",
      set: { ETag: '"mine"' },
      drop: ["Accept-Ranges"],
      add: [
        ["Set-Cookie", "a=1"],
        ["Set-Cookie", "b=2"],
      ],
    },
  ]);
  expect([answer.header("etag"), answer.header("accept-ranges"), answer.header("set-cookie")]).toEqual([
    ['"mine"'],
    [],
    ["a=1", "b=2"],
  ]);
});

test("F67 header-flood: 100 headers of 100 KB each", async () => {
  const answer = await under([{ kind: "header-flood", count: 100, bytes: 100_000 }]);
  expect(answer.head.length).toBeGreaterThan(9_900_000);
  expect(answer.header("x-flood-000099")[0]!.length).toBeGreaterThan(99_900);
});

test("F56 stall: the bytes before it arrive, then silence until released", async () => {
  const rule = origin.on({}, { kind: "stall", at: 1234 });
  const client = await RawClient.connect(origin.port);
  client.send(getText("/f"));
  await origin.waitFor(({ log }) => log[0]?.outcome === "stalled", "the stall");
  expect([origin.log[0]!.sent, client.ending]).toEqual([1234, "open"]);
  rule.release();
  const received = await client.read();
  client.close();
  expect([isFile(new Uint8Array(received.subarray(-SIZE))), client.ending]).toEqual([true, "fin"]);
});

test("F58 stall at the start: not even a status line", async () => {
  origin.on({}, { kind: "stall", at: "start" });
  const client = await RawClient.connect(origin.port);
  client.send(getText("/f"));
  await origin.waitFor(({ log }) => log[0]?.outcome === "stalled", "the stall");
  expect([origin.log[0]!.status, origin.log[0]!.headAt]).toEqual([0, undefined]);
  client.close();
});

test.each([
  ["F60 reset", { kind: "reset", at: 4321 }, 4321, "reset"],
  ["F11 cut", { kind: "cut", at: 4321 }, 4321, "fin"],
  ["F60 reset after the head", { kind: "reset", at: 0 }, 0, "reset"],
] as const)("%s: exactly the bytes before it arrive", async (_, fault, count, ending) => {
  const answer = await under([fault]);
  expect([answer.status, isFile(answer.body, 0, count), answer.ending]).toEqual([200, true, ending]);
  expect([origin.log[0]!.sent, origin.log[0]!.outcome as string]).toEqual([count, fault.kind]);
});

test("F60 reset: even what the kernel still held arrives before it", async () => {
  origin.put({ path: "/f", seed: 5, size: 40_000_000 });
  const answer = await under([{ kind: "reset", at: 30_000_000 }]);
  expect([answer.body.length, answer.ending]).toEqual([30_000_000, "reset"]);
});

test("F68 reset and cut at the start: an empty answer", async () => {
  const answers = [await under([{ kind: "reset", at: "start" }], {}, { nth: 1 })];
  answers.push(await under([{ kind: "cut", at: "start" }]));
  expect(answers.map((it) => [it.text, it.ending])).toEqual([
    ["", "reset"],
    ["", "fin"],
  ]);
});

test("F68 raw: a garbage status line", async () => {
  const answer = await under([{ kind: "raw", text: "ICY 200 fine\r\n\r\nhello" }]);
  expect([answer.text, answer.ending]).toEqual(["ICY 200 fine\r\n\r\nhello", "fin"]);
});

test("F62 a reused connection is dead at the second request; close-after ends one unannounced", async () => {
  const keep = getText("/f", RANGE).replace("Connection: close", "Connection: keep-alive");
  const client = await RawClient.connect(origin.port);
  const rule = origin.on({ reused: true }, { kind: "cut", at: "start" });
  client.send(keep);
  await client.read({ until: (all) => all.length > 1000 && all.indexOf("\r\n\r\n") === all.length - 1004 });
  client.send(keep);
  expect([(await client.read()).length, client.ending]).toEqual([0, "fin"]);
  client.close();
  rule.remove();
  origin.on({}, { kind: "close-after" });
  const answer = await rawRequest(origin.port, keep);
  expect([answer.header("connection"), answer.body.length, answer.ending]).toEqual([
    ["keep-alive"],
    1000,
    "fin",
  ]);
});

test("F57 rate: slow from that byte on, steady, and cut short by nothing", async () => {
  const start = performance.now();
  const answer = await under([{ kind: "rate", bytesPerSecond: 20_000, after: SIZE - 4000 }]);
  expect(performance.now() - start).toBeGreaterThan(95);
  expect(isFile(answer.body)).toBe(true);
});

test("the third connection alone is slow; bytes of a whole connection can be counted", async () => {
  origin.on({ connection: 3 }, { kind: "cut", at: 1500, ofConnection: true });
  expect([(await get()).body.length, (await get()).body.length]).toEqual([SIZE, SIZE]);
  const client = await RawClient.connect(origin.port);
  client.send(getText("/f", RANGE).replace("close", "keep-alive") + getText("/f", RANGE));
  await client.read();
  expect(origin.log.slice(-2).map((it) => [it.sent, it.outcome])).toEqual([
    [1000, "complete"],
    [500, "cut"],
  ]);
});

test("latency: the head comes no sooner", async () => {
  const start = performance.now();
  await under([{ kind: "latency", ms: 80 }]);
  expect(performance.now() - start).toBeGreaterThan(79);
});

test.each(["chunked", "close", undefined] as const)(
  "F69 endless, %s framing: still flowing after 3 MB",
  async (framing) => {
    origin.on({}, { kind: "endless", framing });
    const answer = await get({}, { until: 3_000_000 });
    expect([answer.status, answer.ending, answer.header("content-length").length]).toEqual([
      200,
      "open",
      framing ? 0 : 1,
    ]);
  },
);
