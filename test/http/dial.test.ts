import { afterAll, expect, test } from "bun:test";
import { interleave } from "../../src/http/dial.ts";
import { blackHole } from "../support/black-hole.ts";
import { hasIpv6, startOrigin } from "../support/origin.ts";
import { client, clock, drain, failure, resolverOf } from "./client.ts";

const RESOURCES = [{ path: "/file", seed: 1, size: 1000 }];
const origin = await startOrigin({ resources: RESOURCES });
afterAll(() => origin.stop());

test("F172 the checked address is asked, with the name in Host, over kept-alive connections", async () => {
  await using fresh = await startOrigin({ resources: RESOURCES });
  const http = client({ resolver: resolverOf({ "hub.test": ["127.0.0.1"] }) });
  for (let i = 0; i < 5; i++)
    await drain(await http.request({ url: `http://hub.test:${fresh.port}/file?a=b#c` }));
  expect(fresh.log.map(({ headers, target }) => [headers.host, target])).toEqual(
    Array(5).fill([`hub.test:${fresh.port}`, "/file?a=b"]),
  );
  expect(fresh.stats.connections).toBe(1);
});

test("F172 a name that turns inside after the check is neither asked there nor forgotten while it serves", async () => {
  let answers = ["127.0.0.1"];
  let lookups = 0;
  let now = 0;
  const http = client({
    allowPrivate: false,
    allowAddresses: ["127.0.0.1"],
    resolver: async () => {
      lookups++;
      return answers.map((address) => ({ address, family: 4 as const }));
    },
    clock: { ...clock, monotonic: () => now },
  });
  const url = `http://rebind.test:${origin.port}/file`;
  await drain(await http.request({ url }));
  answers = ["127.0.0.2"];
  now = 59_999;
  await drain(await http.request({ url }));
  expect(lookups).toBe(1);
  now = 60_001;
  expect(await failure(http.request({ url }))).toMatchObject({ code: "forbidden_address" });
  expect(lookups).toBe(2);
  answers = ["127.0.0.1", "127.0.0.2"];
  now = 130_000;
  expect(await failure(http.request({ url }))).toMatchObject({ code: "forbidden_address" });
});

test("F166 a name that resolves inside is refused without a connection", async () => {
  const before = origin.stats.connections;
  for (const address of ["127.0.0.1", "::ffff:127.0.0.1", "0.0.0.0"]) {
    const http = client({ allowPrivate: false, resolver: resolverOf({ "wild.test": [address] }) });
    const error = await failure(http.request({ url: `http://wild.test:${origin.port}/file?sig=s3cret` }));
    expect(error).toMatchObject({ code: "forbidden_address" });
    expect(error.message).toContain("wild.test");
    expect(error.message).not.toContain("s3cret");
    expect(error.message).not.toContain(address);
  }
  expect(origin.stats.connections).toBe(before);
});

test("F175 our own listener is refused by every name, the operator's included", async () => {
  const http = client({
    ownPorts: () => [{ host: "127.0.0.1", port: origin.port }],
    resolver: resolverOf({ "me.test": ["127.0.0.1"] }),
  });
  const before = origin.stats.connections;
  for (const host of ["127.0.0.1", "localhost", "me.test", "0.0.0.0"])
    expect(
      await failure(http.request({ url: `http://${host}:${origin.port}/file`, operator: true })),
    ).toMatchObject({ code: "forbidden_address" });
  expect(origin.stats.connections).toBe(before);
});

test("localhost needs no resolver", async () => {
  const http = client({ resolver: resolverOf({}) });
  for (const host of ["localhost", "localhost.", "a.localhost"])
    expect((await drain(await http.request({ url: `http://${host}:${origin.port}/file` }))).length).toBe(
      1000,
    );
});

test.skipIf(!hasIpv6())("an IPv6 literal is asked with its brackets in Host", async () => {
  await using six = await startOrigin({ host: "::1", resources: RESOURCES });
  await drain(await client().request({ url: six.url("/file") }));
  expect(six.log[0]!.headers.host).toBe(`[::1]:${six.port}`);
});

test("F65 an unknown name, a broken and a silent resolver are dns errors, and none is remembered", async () => {
  let fail: unknown = Object.assign(new Error("x"), { code: "ENOTFOUND" });
  const http = client({
    resolver: async () => {
      if (fail) throw fail;
      return [{ address: "127.0.0.1", family: 4 }];
    },
  });
  const url = `http://hub.test:${origin.port}/file`;
  expect(await failure(http.request({ url }))).toMatchObject({ code: "dns" });
  fail = Object.assign(new Error("x"), { code: "ESERVFAIL" });
  expect(await failure(http.request({ url }))).toMatchObject({ code: "dns" });
  fail = undefined;
  expect((await drain(await http.request({ url }))).length).toBe(1000);

  const silent = client({ resolver: () => new Promise(() => {}) });
  expect(await failure(silent.request({ url, connectTimeoutMs: 50 }))).toMatchObject({ code: "dns" });
  const empty = client({ resolver: async () => [] });
  expect(await failure(empty.request({ url }))).toMatchObject({ code: "dns" });
});

test("F65 the system's resolver says dns for a name that cannot exist", async () => {
  const error = await failure(client().request({ url: "http://no-such-host.invalid/" }));
  expect(error).toMatchObject({ code: "dns" });
  expect(error.message).toContain("no-such-host.invalid");
});

test("an abort ends the wait for a resolver", async () => {
  const http = client({ resolver: () => new Promise(() => {}) });
  const controller = new AbortController();
  const waiting = failure(http.request({ url: "http://hub.test/", signal: controller.signal }));
  controller.abort(new Error("enough"));
  expect(await waiting).toMatchObject({ message: "enough" });
});

test("F59 a refused and a dropped connection are connect errors", async () => {
  const gone = await startOrigin();
  await gone.stop();
  expect(await failure(client().request({ url: gone.url("/file") }))).toMatchObject({ code: "connect" });
  using hole = await blackHole();
  const error = await failure(
    client().request({ url: `http://127.0.0.1:${hole.port}/file`, connectTimeoutMs: 300 }),
  );
  expect(error).toMatchObject({ code: "connect" });
  expect(error.message).toContain(`127.0.0.1:${hole.port}`);
});

test("F58 a server that accepts and says nothing is a timeout, not a connect error", async () => {
  await using quiet = await startOrigin();
  quiet.on({}, { kind: "stall", at: "start" });
  const waiting = client().request({
    url: quiet.url("/file"),
    connectTimeoutMs: 1_000,
    headerTimeoutMs: 1_500,
  });
  expect(await failure(waiting)).toMatchObject({ code: "timeout" });
});

test("F66 dead addresses are passed over: refused at once, silent after the head start", async () => {
  using hole = await blackHole("127.0.0.3");
  await using good = await startOrigin({ port: hole.port, resources: RESOURCES });
  const names = {
    "hub.test": ["127.0.0.3", "127.0.0.2", "127.0.0.1"],
    "dead.test": ["127.0.0.2", "127.0.0.4"],
  };
  const http = client({ resolver: resolverOf(names) });
  const url = `http://hub.test:${good.port}/file`;
  for (let i = 0; i < 3; i++) expect((await drain(await http.request({ url }))).length).toBe(1000);
  // The race's bare connection and the one that carries all requests.
  expect([good.stats.requests, good.stats.connections]).toEqual([3, 2]);
  expect(await failure(http.request({ url: `http://dead.test:${good.port}/file` }))).toMatchObject({
    code: "connect",
  });
  const silent = client({ resolver: resolverOf({ "hole.test": ["127.0.0.3", "127.0.0.3"] }) });
  expect(
    await failure(silent.request({ url: `http://hole.test:${hole.port}/`, connectTimeoutMs: 400 })),
  ).toMatchObject({ code: "connect" });
});

test("F66 an address that dies while it serves is replaced at the next request", async () => {
  const names: Record<string, string[]> = { "hub.test": ["127.0.0.2"] };
  const old = await startOrigin({ host: "127.0.0.2", resources: RESOURCES });
  await using heir = await startOrigin({ port: old.port, resources: RESOURCES });
  const http = client({ resolver: (host) => resolverOf(names)(host) });
  const url = `http://hub.test:${old.port}/file`;
  await drain(await http.request({ url }));
  await old.stop();
  names["hub.test"] = ["127.0.0.1"];
  expect((await drain(await http.request({ url }))).length).toBe(1000);
  expect(heir.stats.requests).toBe(1);
});

test("families take turns, beginning with the resolver's choice", () => {
  const v4 = (n: number) => ({ address: `10.0.0.${n}`, family: 4 as const });
  const v6 = (n: number) => ({ address: `fd00::${n}`, family: 6 as const });
  expect(interleave([v6(1), v6(2), v6(3), v4(1)])).toEqual([v6(1), v4(1), v6(2), v6(3)]);
  expect(interleave([v4(1), v6(1), v6(2)])).toEqual([v4(1), v6(1), v6(2)]);
  expect(interleave(Array.from({ length: 40 }, (_, i) => v4(i))).length).toBe(16);
});

test("many connections at once; those beyond the limit wait their turn instead of timing out", async () => {
  await using busy = await startOrigin({ resources: [{ path: "/file", seed: 1, size: 1 << 20 }] });
  const stalled = busy.on({}, { kind: "stall", at: 1000 });
  const http = client({ limits: { concurrent: 100 } });
  const bodies = Array.from({ length: 120 }, () =>
    http.request({ url: busy.url("/file"), headerTimeoutMs: 5_000 }).then(drain),
  );
  await busy.waitFor(({ stats }) => stats.active === 100, "100 requests under way");
  expect(busy.stats.requests).toBe(100);
  stalled.release();
  stalled.remove();
  const lengths = (await Promise.all(bodies)).map((bytes) => bytes.length);
  expect(lengths).toEqual(Array(120).fill(1 << 20));
  expect(busy.stats.maxOpenConnections).toBe(100);
});

test("every way a request ends gives its place back", async () => {
  const http = client({ limits: { concurrent: 1 } });
  const url = origin.url("/file");
  await drain(await http.request({ url }));
  await (await http.request({ url })).cancel();
  await http.request({ url }).then((answer) => answer.text());
  origin.on({ times: 1 }, { kind: "cut", at: 10 });
  await failure(http.request({ url }).then(drain));
  origin.on({ times: 1 }, { kind: "stall", at: "start" });
  await failure(http.request({ url, headerTimeoutMs: 50 }));
  origin.on({ times: 1 }, { kind: "redirect", to: "/file" });
  await drain(await http.request({ url }));
  origin.on({ times: 1 }, { kind: "redirect", to: null });
  await failure(http.request({ url }));
  const held = await http.request({ url });
  const controller = new AbortController();
  const waiting = failure(http.request({ url, signal: controller.signal }));
  controller.abort(new Error("enough"));
  expect(await waiting).toMatchObject({ message: "enough" });
  await held.cancel();
  expect((await drain(await http.request({ url }))).length).toBe(1000);
});
