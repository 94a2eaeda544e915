import { afterAll, beforeEach, expect, test } from "bun:test";
import { startOrigin } from "../support/origin.ts";
import { client, drain, failure, resolverOf } from "./client.ts";

const a = await startOrigin({ resources: [{ path: "/file", seed: 1, size: 1000 }] });
const b = await startOrigin({ resources: [{ path: "/file", seed: 1, size: 1000 }] });
const http = client();
afterAll(async () => {
  http.close();
  await Promise.all([a.stop(), b.stop()]);
});
beforeEach(() => {
  a.clear();
  b.clear();
});

const last = (origin: typeof a) => origin.log.at(-1)!.headers;
const SECRETS = {
  headers: {
    "X-Api-Key": "s3cret",
    Authorization: "Bearer s3cret",
    Cookie: "a=s3cret",
    "X-Whatever": "s3cret",
    Range: "bytes=0-99",
  },
};
const secretsOf = (headers: Readonly<Record<string, string>>): string[] =>
  Object.keys(headers).filter((name) => headers[name]!.includes("s3cret"));

test.each([301, 302, 303, 307, 308])("F32 %d is followed, and the hop is told", async (status) => {
  a.on({ path: "/start" }, { kind: "redirect", to: "file", status });
  const answer = await http.request({ url: a.url("/start") });
  expect([answer.status, answer.url]).toEqual([200, a.url("/file")]);
  expect(answer.hops.map((hop) => [hop.url, hop.status, hop.headers.get("location")])).toEqual([
    [a.url("/start"), status, "file"],
  ]);
  expect((await drain(answer)).length).toBe(1000);
});

test("a redirect is an answer when asked for by hand", async () => {
  a.on({ path: "/start" }, { kind: "redirect", to: b.url("/file") });
  const before = b.log.length;
  const answer = await http.request({ url: a.url("/start"), redirect: "manual" });
  expect([answer.status, answer.headers.get("location"), answer.hops.length]).toEqual([
    302,
    b.url("/file"),
    0,
  ]);
  await answer.cancel();
  expect(b.log.length).toBe(before);
});

test.each([300, 304])("%d is an answer and not followed", async (status) => {
  a.on({ path: "/x" }, { kind: "respond", status, headers: { Location: b.url("/file") } });
  const answer = await http.request({ url: a.url("/x") });
  expect(answer.status).toBe(status);
  await answer.cancel();
});

test("F32 ten hops are followed, the eleventh is not, a loop ends", async () => {
  a.on({ path: "/ten" }, { kind: "redirect-chain", hops: 10, to: "/file" });
  a.on({ path: "/nine" }, { kind: "redirect-chain", hops: 9, to: "/file" });
  a.on({ path: "/loop" }, { kind: "redirect", to: "/loop" });
  const nine = await http.request({ url: a.url("/nine") });
  expect([nine.status, nine.hops.length]).toEqual([200, 10]);
  await nine.cancel();
  expect(await failure(http.request({ url: a.url("/ten") }))).toMatchObject({ code: "redirects" });
  expect(await failure(http.request({ url: a.url("/loop") }))).toMatchObject({ code: "redirects" });
  expect(a.requests("/loop").length).toBe(11);
});

test("a chain of small redirects on one host uses one connection", async () => {
  await using fresh = await startOrigin({ resources: [{ path: "/file", seed: 1, size: 1000 }] });
  fresh.on({ path: "/start" }, { kind: "redirect", to: "/file" });
  for (let i = 0; i < 5; i++) await drain(await http.request({ url: fresh.url("/start") }));
  // The body of the redirect is drained beside the next request, so a second connection may be needed, never more.
  expect([fresh.stats.requests, fresh.stats.connections <= 2]).toEqual([10, true]);
});

test.each([
  [null, "protocol"],
  ["", "protocol"],
  ["http://user:s3cret@localhost/", "protocol"],
  ["ftp://localhost/s3cret", "redirects"],
  ["file:///etc/hostname", "redirects"],
])("F34 F37 Location %j ends with %s", async (to, code) => {
  a.on({ path: "/start" }, { kind: "redirect", to });
  const error = await failure(http.request({ url: a.url("/start") }));
  expect(error.code).toBe(code);
  expect(error.message).not.toContain("s3cret");
});

test("F35 nothing but harmless fields crosses to another origin", async () => {
  a.on({ path: "/start" }, { kind: "redirect", to: b.url("/file") });
  const answer = await http.request({ url: a.url("/start"), ...SECRETS });
  await answer.cancel();
  expect(secretsOf(a.log.at(-1)!.headers).sort()).toEqual([
    "authorization",
    "cookie",
    "x-api-key",
    "x-whatever",
  ]);
  expect(secretsOf(last(b))).toEqual([]);
  expect(last(b).range).toBe("bytes=0-99");
});

test("F35 another port or another scheme is another origin; the same one keeps its credentials", async () => {
  const credentials = { origin: new URL(a.base).origin, headers: { Authorization: "Bearer s3cret" } };
  a.on({ path: "/home" }, { kind: "redirect", to: "/file" });
  a.on({ path: "/away" }, { kind: "redirect", to: b.url("/file") });
  await (await http.request({ url: a.url("/home"), credentials })).cancel();
  expect(last(a).authorization).toBe("Bearer s3cret");
  await (await http.request({ url: a.url("/away"), credentials })).cancel();
  expect(secretsOf(last(b))).toEqual([]);
});

test("F35 credentials of another origin than the first hop's stay at home", async () => {
  const credentials = { origin: new URL(b.base).origin, headers: { Authorization: "Bearer s3cret" } };
  await (await http.request({ url: a.url("/file"), credentials })).cancel();
  expect(secretsOf(last(a))).toEqual([]);
});

test("F36 A to B to A does not put credentials back", async () => {
  const credentials = { origin: new URL(a.base).origin, headers: { "X-Token": "s3cret" } };
  a.on({ path: "/start" }, { kind: "redirect", to: b.url("/back") });
  b.on({ path: "/back" }, { kind: "redirect", to: a.url("/file") });
  await (await http.request({ url: a.url("/start"), credentials, ...SECRETS })).cancel();
  expect(secretsOf(a.requests("/start").at(-1)!.headers)).toContain("x-token");
  expect(a.log.at(-1)!.path).toBe("/file");
  expect(secretsOf(last(a))).toEqual([]);
});

test("a POST becomes a GET behind 302 and stays a POST behind 307", async () => {
  a.on({ path: "/go" }, { kind: "redirect", to: "/file", status: 302 });
  a.on({ path: "/stay" }, { kind: "redirect", to: "/file", status: 307 });
  const seen = async (path: string) => {
    await (await http.request({ url: a.url(path), method: "POST", body: "{}" })).cancel();
    return [a.log.at(-1)!.method, a.log.at(-1)!.body];
  };
  expect(await seen("/go")).toEqual(["GET", ""]);
  expect(await seen("/stay")).toEqual(["POST", "{}"]);
});

test("F170 a redirect inside is refused, literal or by name, before anything is sent there", async () => {
  const closed = client({
    allowPrivate: false,
    allowAddresses: ["public.test"],
    resolver: resolverOf({ "public.test": ["127.0.0.1"], "inside.test": ["127.0.0.1"] }),
  });
  const url = `http://public.test:${a.port}/start`;
  const before = b.stats.connections;
  for (const host of ["127.0.0.1", "inside.test", "[::ffff:7f00:1]", "localhost."]) {
    a.clear();
    a.on({ path: "/start" }, { kind: "redirect", to: `http://${host}:${b.port}/file` });
    expect(await failure(closed.request({ url }))).toMatchObject({ code: "forbidden_address" });
  }
  expect(b.stats.connections).toBe(before);
});

test("A26 the operator's own address is asked and may redirect to itself, but leads nowhere else inside", async () => {
  const closed = client({ allowPrivate: false });
  a.on({ path: "/same" }, { kind: "redirect", to: "/file" });
  a.on({ path: "/away" }, { kind: "redirect", to: b.url("/back") });
  b.on({ path: "/back" }, { kind: "redirect", to: a.url("/file") });
  const before = b.log.length;
  const answer = await closed.request({ url: a.url("/same"), operator: true });
  expect(answer.status).toBe(200);
  await answer.cancel();
  expect(await failure(closed.request({ url: a.url("/away"), operator: true }))).toMatchObject({
    code: "forbidden_address",
  });
  expect(b.log.length).toBe(before);
  expect(await failure(closed.request({ url: a.url("/same") }))).toMatchObject({ code: "forbidden_address" });
});
