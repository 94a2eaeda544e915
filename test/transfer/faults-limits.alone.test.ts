/** Servers that want fewer requests, fail for a while, or refuse connections: F44-F47, F71, F228. */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { generated } from "../support/bytes.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { attempt, expectWhole, MiB, type Rig, rig, Witness } from "./rig.ts";

const SIZE = 8 * MiB + 5;
const TRUE = generated(1, SIZE);
let origin: Origin;
let it: Rig;
beforeAll(async () => {
  origin = await startOrigin();
});
beforeEach(async () => {
  // What is known of a host outlives a transfer; each test meets a stranger.
  await it?.[Symbol.asyncDispose]();
  it = rig();
  origin.clear();
  origin.put({ path: "/m", seed: 1, size: SIZE });
  seen = origin.log.length;
  for (const limit of Object.keys(origin.limits)) delete origin.limits[limit as keyof typeof origin.limits];
});
afterAll(async () => {
  await it[Symbol.asyncDispose]();
  await origin.stop();
});
const url = () => origin.url("/m");
/** Requests of this test. */
let seen = 0;
const requests = () => origin.log.slice(seen);

test.each([408, 425, 429, 500, 502, 503, 504, 522, 524])(
  "F44 %d once costs nothing but a moment",
  async (status) => {
    const rule = origin.on({ nth: 2, times: 1 }, { kind: "respond", status });
    const { end, witness, path } = await attempt(it, { url: url() });
    expect([end, rule.hits, witness.restarts]).toEqual(["done", 1, []]);
    expectWhole(path, TRUE);
  },
);

test.each([
  [500, "server_error"],
  [503, "server_error"],
  [429, "rate_limited"],
])("F44 %d for ever is told after a few tries", async (status, code) => {
  origin.on({}, { kind: "respond", status });
  await using hasty = rig({ patience: { hostMs: 300 } });
  const { end, error } = await attempt(hasty, { url: url() });
  expect([end, error?.verdict, error?.status]).toEqual([code, "retry", status]);
  expect(requests().length).toBeGreaterThan(1);
  expect(requests().length).toBeLessThanOrEqual(4);
});

test("F45 a short Retry-After is waited for, to the second", async () => {
  origin.on({ times: 1 }, { kind: "respond", status: 429, headers: { "Retry-After": "1" } });
  const { end, path } = await attempt(it, { url: url() });
  expect(end).toBe("done");
  const [refused, next] = requests().filter((r) => r.status === 429 || r.status === 206);
  expect(refused?.status).toBe(429);
  expect(next!.startedAt - refused!.startedAt).toBeGreaterThanOrEqual(1000);
  expectWhole(path, TRUE);
});

test.each<[string, number]>([
  ["3600", 3_600_000],
  ["315360000", 3_600_000],
  ["{date:+120}", 120_000],
])("F45 a long one (%s) is passed on, not waited for", async (header, ms) => {
  origin.on({}, { kind: "respond", status: 503, headers: { "Retry-After": header, Date: "{date:+0}" } });
  const { end, error } = await attempt(it, { url: url() });
  expect([end, error?.verdict, requests().length]).toEqual(["server_error", "retry", 1]);
  expect(Math.abs(error!.retryAfterMs! - ms)).toBeLessThan(2_000);
});

test.each(["soon", "-5", "{date:-3600}"])("F45 garbage or the past (%s): our own pause", async (header) => {
  const rule = origin.on({ times: 2 }, { kind: "respond", status: 429, headers: { "Retry-After": header } });
  const { end } = await attempt(it, { url: url() });
  expect([end, rule.hits]).toEqual(["done", 2]);
});

test("F46 a 429 for one file holds back every request to that host, and the others are told why", async () => {
  origin.put({ path: "/other", seed: 2, size: 5000 });
  origin.on({ path: "/m" }, { kind: "respond", status: 429, headers: { "Retry-After": "60" } });
  expect((await attempt(it, { url: url() })).end).toBe("rate_limited");
  const before = origin.log.length;
  const { end, error } = await attempt(it, { url: origin.url("/other"), downloadId: "e" });
  expect([end, origin.log.length - before]).toEqual(["rate_limited", 0]);
  expect(error!.retryAfterMs!).toBeGreaterThan(55_000);
});

test("F46 while others deliver, a refused connection is given up and costs nothing", async () => {
  origin.limits.ratePerConnection = 8 * MiB;
  const rule = origin.on(
    { nth: { from: 4 }, times: 2 },
    { kind: "respond", status: 429, headers: { "Retry-After": "1" } },
  );
  const { end, witness, path } = await attempt(it, { url: url() });
  expect([end, witness.restarts]).toEqual(["done", []]);
  expect(rule.hits).toBeGreaterThan(0);
  expectWhole(path, TRUE);
});

test("F47 a server that fails again and again but always brings something is used to the end", async () => {
  origin.on({ nth: { every: 2 } }, { kind: "respond", status: 500 });
  origin.on({ nth: { every: 3 } }, { kind: "cut", at: 300_000 });
  it.transfer.setConnections(1);
  const { end, witness, path } = await attempt(it, { url: url() });
  expect([end, witness.restarts, witness.gained]).toEqual(["done", [], SIZE]);
  expect(requests().filter((r) => r.status === 500).length).toBeGreaterThan(1);
  expectWhole(path, TRUE);
});

test.each([429, 503, "reset"] as const)(
  "F71 a server that takes two connections at a time (else %s) gets two",
  async (overflow) => {
    origin.limits.maxParallel = 2;
    origin.limits.overflow = overflow;
    origin.limits.ratePerConnection = 8 * MiB;
    const { end, witness, path } = await attempt(it, { url: url() });
    expect([end, witness.restarts]).toEqual(["done", []]);
    expectWhole(path, TRUE);
    const refused = requests().filter((r) => r.status === 429 || r.status === 503).length;
    expect(refused).toBeLessThan(12);
  },
);

test("F71 where only one is allowed, that one brings everything", async () => {
  origin.limits.maxParallel = 1;
  origin.limits.overflow = 503;
  origin.limits.ratePerConnection = 16 * MiB;
  const { end, witness, path } = await attempt(it, { url: url() });
  expect([end, witness.gained]).toEqual(["done", SIZE]);
  expectWhole(path, TRUE);
});

test("F228 many files on a dead host: one asks, the others wait for it", async () => {
  origin.down();
  await using hasty = rig({ patience: { tries: 2, hostMs: 2_000 } });
  const all = await Promise.all(
    Array.from({ length: 20 }, (_, i) => attempt(hasty, { url: url(), downloadId: `d${i}` })),
  );
  origin.up();
  expect(new Set(all.map((r) => r.end))).toEqual(new Set(["connect"]));
});

test("a host that recovers lets everybody in again", async () => {
  origin.on({ times: 1 }, { kind: "respond", status: 503, headers: { "Retry-After": "1" } });
  origin.put({ path: "/a", seed: 2, size: 5000 });
  const all = await Promise.all([
    attempt(it, { url: url(), downloadId: "a" }),
    attempt(it, { url: origin.url("/a"), downloadId: "b" }),
    attempt(it, { url: origin.url("/a"), downloadId: "c" }),
  ]);
  expect(all.map((r) => r.end)).toEqual(["done", "done", "done"]);
});

test("waiting for a host is told, and ends at once when the download is paused", async () => {
  origin.on({}, { kind: "respond", status: 429, headers: { "Retry-After": "9" } });
  const stop = new AbortController();
  const witness = new Witness();
  const seen = Promise.withResolvers<void>();
  witness.bottleneck = (kind) => kind === "host_limit" && seen.resolve();
  const running = attempt(it, { url: url(), signal: stop.signal, witness });
  await seen.promise;
  stop.abort(new Error("paused"));
  await expect(running).rejects.toThrow("paused");
  expect(witness.gained).toBe(0);
});
