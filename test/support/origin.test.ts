import { afterEach, describe, expect, test } from "bun:test";
import { bytesAt, firstDifference, sha256Of } from "./bytes.ts";
import { hasIpv6, type Origin, type OriginOptions, startOrigin } from "./origin.ts";
import { getText, RawClient, rawAnswer, rawRequest } from "./raw.ts";

const SIZE = 3_000_000;
const FILE = { path: "/m.bin", seed: 11, size: SIZE };
let origin: Origin;

async function serve(options: OriginOptions = {}): Promise<Origin> {
  origin = await startOrigin({ resources: [FILE], ...options });
  return origin;
}

afterEach(() => origin.stop());

const get = (headers?: Record<string, string>, path = "/m.bin") =>
  rawRequest(origin.port, getText(path, headers));

describe("without orders the origin is correct", () => {
  test("GET sends the whole file, its length and a strong validator", async () => {
    await serve();
    const answer = await get();
    expect([answer.status, answer.ending]).toEqual([200, "fin"]);
    expect(answer.header("content-length")).toEqual([String(SIZE)]);
    expect(answer.header("accept-ranges")).toEqual(["bytes"]);
    expect(answer.header("etag")[0]).toMatch(/^"[0-9a-f]{32}"$/);
    expect(firstDifference(answer.body, bytesAt(11, 0, SIZE))).toBe(-1);
    expect(origin.sha256("/m.bin")).toBe(sha256Of(11, SIZE));
  });

  test.each([
    ["bytes=0-0", 0, 0],
    ["bytes=100-199", 100, 199],
    ["bytes=2999990-", 2_999_990, SIZE - 1],
    ["bytes=2999990-9999999", 2_999_990, SIZE - 1],
    ["bytes=-7", SIZE - 7, SIZE - 1],
  ])("Range %s is a 206 with exactly those bytes", async (range, start, end) => {
    await serve();
    const answer = await get({ Range: range });
    expect(answer.status).toBe(206);
    expect(answer.header("content-range")).toEqual([`bytes ${start}-${end}/${SIZE}`]);
    expect(firstDifference(answer.body, bytesAt(11, start, end - start + 1))).toBe(-1);
  });

  test("a range beyond the end is a 416 that tells the size", async () => {
    await serve();
    const answer = await get({ Range: `bytes=${SIZE}-` });
    expect([answer.status, answer.header("content-range")]).toEqual([416, [`bytes */${SIZE}`]]);
  });

  test("If-Range: the current strong validator gives 206, another or a weak one 200", async () => {
    await serve();
    const [etag] = (await get({ Range: "bytes=0-0" })).header("etag");
    const status = async (value: string) => (await get({ Range: "bytes=5-9", "If-Range": value })).status;
    expect([await status(etag!), await status('"other"'), await status(`W/${etag}`)]).toEqual([
      206, 200, 200,
    ]);
  });

  test("HEAD has the head of GET and no body; POST is 405; an unknown path is 404", async () => {
    await serve();
    const ask = (method: string, path = "/m.bin") =>
      rawRequest(origin.port, getText(path).replace("GET", method), { timeoutMs: 5_000 });
    const head = await ask("HEAD");
    expect([head.status, head.header("content-length"), head.body.length]).toEqual([200, [String(SIZE)], 0]);
    expect((await ask("POST")).status).toBe(405);
    expect((await ask("GET", "/nothing")).status).toBe(404);
  });

  test("one connection carries many requests, pipelined ones too", async () => {
    await serve();
    const client = await RawClient.connect(origin.port);
    const ask = (range: string) => `GET /m.bin HTTP/1.1\r\nHost: t\r\nRange: ${range}\r\n\r\n`;
    client.send(ask("bytes=0-9") + ask("bytes=10-19"));
    client.send(ask("bytes=20-29"));
    await origin.waitFor(
      ({ log }) => log.filter((it) => it.outcome === "complete").length === 3,
      "three answers",
    );
    client.close();
    expect(origin.log.map((it) => [it.connection, it.status, it.sent])).toEqual(Array(3).fill([1, 206, 10]));
  });

  test("what is not HTTP is answered 400", async () => {
    await serve();
    expect((await rawRequest(origin.port, "hello\r\n\r\n")).status).toBe(400);
  });

  test("requests, bytes, ranges and connections are counted", async () => {
    await serve();
    await get({ Range: "bytes=0-99", "X-Mark": "yes" });
    await get(undefined, "/nothing?a=b");
    expect(origin.requests("/m.bin")).toHaveLength(1);
    expect(origin.requests("/m.bin")[0]).toMatchObject({
      number: 1,
      connection: 1,
      method: "GET",
      range: "bytes=0-99",
      status: 206,
      sent: 100,
      outcome: "complete",
    });
    expect(origin.requests("/m.bin")[0]!.headers["x-mark"]).toBe("yes");
    expect(origin.requests("/no*")[0]).toMatchObject({ query: "a=b", status: 404 });
    expect(origin.sent("/m.bin")).toBe(100);
    expect(origin.stats).toMatchObject({ requests: 2, connections: 2, maxActive: 1 });
  });

  test("an unmet condition says what was waited for and what had happened", async () => {
    await serve();
    await get({ Range: "bytes=0-9" });
    const failure = await origin.waitFor(() => false, "the moon", 20).catch((error: Error) => error.message);
    expect(failure).toContain("the moon");
    expect(failure).toContain("GET /m.bin bytes=0-9 -> 206, 10 bytes, complete");
  });
});

describe("addresses", () => {
  test("`localhost` answers on IPv4 and, where there is one, on IPv6, under one port", async () => {
    await serve({ host: "localhost" });
    expect(origin.base).toBe(`http://localhost:${origin.port}`);
    const hosts = hasIpv6() ? ["127.0.0.1", "::1"] : ["127.0.0.1"];
    for (const host of hosts)
      expect((await rawRequest(origin.port, getText("/m.bin"), { host })).status).toBe(200);
  });

  test("another loopback address is bound alone", async () => {
    await serve({ host: "127.0.0.3" });
    expect(origin.url("/a b/ü")).toBe<string>(`http://127.0.0.3:${origin.port}/a%20b/%C3%BC`);
    expect((await rawRequest(origin.port, getText("/m.bin"), { host: "127.0.0.3" })).status).toBe(200);
    await expect(RawClient.connect(origin.port)).rejects.toThrow();
  });

  test("down refuses connections and resets open ones; up answers again on the same port", async () => {
    await serve();
    const client = await RawClient.connect(origin.port);
    client.send(getText("/m.bin").replace("close", "keep-alive"));
    await client.read({ until: SIZE });
    origin.down();
    await client.read();
    expect(client.ending).toBe("reset");
    await expect(RawClient.connect(origin.port)).rejects.toThrow();
    origin.up();
    expect((await get()).status).toBe(200);
  });
});

describe("limits", () => {
  test("requests beyond maxParallel are turned away, and let in when there is room again", async () => {
    await serve({ maxParallel: 1, overflow: 429 });
    const rule = origin.on({ nth: 1 }, { kind: "stall", at: 10 });
    const first = get();
    await origin.waitFor(({ log }) => log[0]?.outcome === "stalled", "the first to stall");
    expect((await get()).status).toBe(429);
    origin.limits.overflow = "reset";
    expect((await get()).ending).toBe("reset");
    rule.release();
    expect((await first).body.length).toBe(SIZE);
    expect((await get()).status).toBe(200);
  });

  test("a rate holds for each connection, and another for all together", async () => {
    await serve({ ratePerConnection: 4_000_000 });
    const timed = async (run: () => Promise<unknown>) => {
      const start = performance.now();
      await run();
      return performance.now() - start;
    };
    const range = { Range: "bytes=0-799999" };
    // 200 ms at that rate, less the 100 ms of credit that a bucket may have saved up.
    expect(await timed(() => get(range))).toBeGreaterThan(95);
    origin.limits.ratePerConnection = undefined;
    origin.limits.rateTotal = 4_000_000;
    expect(await timed(() => Promise.all([get(range), get(range)]))).toBeGreaterThan(295);
  });
});

describe("signed links", () => {
  test("open until they expire or are all made to expire, with the status that is wanted", async () => {
    await serve({ resources: [{ ...FILE, signed: true, expiredStatus: 410 }] });
    const status = async (link: string) => (await get(undefined, link.slice(origin.base.length))).status;
    const link = origin.sign("/m.bin");
    expect(await status(origin.url("/m.bin"))).toBe(410);
    expect(await status(origin.sign("/m.bin", -1))).toBe(410);
    expect(await status(link.replace("sig=", "sig=x"))).toBe(410);
    expect(await status(link)).toBe(200);
    origin.expireLinks();
    expect([await status(link), await status(origin.sign("/m.bin"))]).toEqual([410, 200]);
  });
});

describe("https", () => {
  test("a client that trusts the authority gets the file", async () => {
    await serve({ tls: "valid" });
    const answer = await rawRequest(origin.port, getText("/m.bin"), { ca: origin.ca });
    expect([answer.status, firstDifference(answer.body, bytesAt(11, 0, SIZE))]).toEqual([200, -1]);
    expect(await Bun.file(origin.caFile!).text()).toBe(origin.ca!);
  });

  test.each([
    ["self-signed", /SELF_SIGNED|VERIFY|ISSUER/],
    ["wrong-host", /ALTNAME/],
    ["expired", /EXPIRED/],
  ] as const)("F63 a %s certificate is refused by a client that trusts the authority", async (tls, code) => {
    await serve({ tls });
    const failure = await RawClient.connect(origin.port, { ca: origin.ca }).catch((error) => error);
    expect(String(failure.code)).toMatch(code);
  });

  test("a reset and a cut happen below TLS as well", async () => {
    await serve({ tls: "valid" });
    origin.on({ nth: 1 }, { kind: "reset", at: 1000 });
    origin.on({ nth: 2 }, { kind: "cut", at: 1000 });
    const reset = await rawRequest(origin.port, getText("/m.bin"), { ca: origin.ca });
    const cut = await rawRequest(origin.port, getText("/m.bin"), { ca: origin.ca });
    expect([reset.ending, reset.body.length, cut.ending, cut.body.length]).toEqual([
      "reset",
      1000,
      "fin",
      1000,
    ]);
  });
});

test("a client that leaves in the middle is noticed", async () => {
  await serve();
  const client = await RawClient.connect(origin.port);
  origin.on({}, { kind: "stall", at: 5 });
  client.send(getText("/m.bin"));
  const answer = rawAnswer(await client.read({ until: (all) => all.includes("\r\n\r\n") }), client.ending);
  expect(answer.status).toBe(200);
  client.close();
  await origin.waitFor(({ log }) => log[0]?.outcome === "gone", "the client to be gone");
  await origin.waitFor(({ stats }) => stats.openConnections === 0, "the connection to be closed");
});
