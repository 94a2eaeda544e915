/** Addresses, permissions and links that expire: F32-F42, F58-F59, F63, F65, F67, F74. */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { DownloadError } from "../../src/core/errors.ts";
import type { FetchRequest } from "../../src/core/ports.ts";
import { client } from "../http/client.ts";
import { blackHole } from "../support/black-hole.ts";
import { generated, sha256 } from "../support/bytes.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { attempt, expectTruth, expectWhole, fetchOne, MiB, type Rig, rig, Witness } from "./rig.ts";

const SIZE = 8 * MiB + 5;
const TRUE = generated(1, SIZE);
const SECRET = { authorization: "Bearer hub-token" };
let hub: Origin;
let cdn: Origin;
let it: Rig;
beforeAll(async () => {
  [hub, cdn] = await Promise.all([startOrigin(), startOrigin()]);
  it = rig();
});
beforeEach(() => {
  for (const origin of [hub, cdn]) {
    origin.clear();
    origin.put({ path: "/m", seed: 1, size: SIZE });
  }
  cdn.put({ path: "/signed", seed: 1, size: SIZE, signed: true });
});
afterAll(async () => {
  await it[Symbol.asyncDispose]();
  await Promise.all([hub.stop(), cdn.stop()]);
});

/** A hub that redirects to signed links of the CDN, a new one each time it is asked. */
function signing(expiredStatus = 403) {
  cdn.put({ path: "/signed", seed: 1, size: SIZE, signed: true, expiredStatus });
  let asked = 0;
  const locate = async (): Promise<FetchRequest> => {
    asked++;
    hub.clear();
    hub.on({ path: "/m" }, { kind: "redirect", to: cdn.sign("/signed") });
    return { url: hub.url("/m"), credentials: { origin: hub.base, headers: SECRET } };
  };
  return { locate, asked: () => asked, url: hub.url("/m") };
}

test("the hub is asked once per file, not once per part", async () => {
  const before = hub.log.length;
  cdn.limits.ratePerConnection = 16 * MiB;
  const { end, witness, path } = await attempt(it, signing());
  delete cdn.limits.ratePerConnection;
  expect([end, hub.log.length - before]).toEqual(["done", 1]);
  expect(witness.mostConnections).toBeGreaterThan(1);
  expect(witness.identities[0]?.validator?.origin).toBe(cdn.base);
  expectWhole(path, TRUE);
});

test("F35 credentials go to their own origin and nowhere else, in later parts as well", async () => {
  const [h, c] = [hub.log.length, cdn.log.length];
  expect((await attempt(it, signing())).end).toBe("done");
  expect(hub.log.slice(h).map((r) => r.headers.authorization)).toEqual(["Bearer hub-token"]);
  expect(cdn.log.slice(c).every((r) => r.headers.authorization === undefined)).toBe(true);
  const d = hub.log.length;
  const direct = {
    url: hub.url("/m"),
    locate: async () => ({ url: hub.url("/m"), credentials: { origin: hub.base, headers: SECRET } }),
  };
  hub.clear();
  expect((await attempt(it, direct)).end).toBe("done");
  expect(new Set(hub.log.slice(d).map((r) => r.headers.authorization))).toEqual(
    new Set(["Bearer hub-token"]),
  );
});

test("F36 hub, elsewhere, hub again: the credentials do not come back", async () => {
  hub.put({ path: "/back", seed: 1, size: SIZE });
  hub.on({ path: "/m" }, { kind: "redirect", to: cdn.url("/detour") });
  cdn.on({ path: "/detour" }, { kind: "redirect", to: hub.url("/back") });
  const before = hub.log.length;
  const locate = async () => ({ url: hub.url("/m"), credentials: { origin: hub.base, headers: SECRET } });
  expect((await attempt(it, { url: "", locate })).end).toBe("done");
  const back = hub.log.slice(before).filter((r) => r.path === "/back");
  expect(back.length).toBeGreaterThan(1);
  expect(back.every((r) => r.headers.authorization === undefined)).toBe(true);
});

test.each([403, 400, 401, 410, 404])(
  "F40 the link expires mid-file (%d): one fresh one for all, nothing lost",
  async (status) => {
    const source = signing(status);
    cdn.limits.ratePerConnection = 4 * MiB;
    const witness = new Witness();
    const before = cdn.sent();
    witness.onWritten = () => {
      witness.onWritten = undefined;
      cdn.expireLinks();
    };
    const { end, path } = await attempt(it, { ...source, witness, size: SIZE, digest: sha256(TRUE) });
    delete cdn.limits.ratePerConnection;
    expect([end, source.asked(), witness.restarts]).toEqual(["done", 2, []]);
    const refused = cdn.requests("/signed").filter((r) => r.status === status);
    expect(refused.length).toBeGreaterThan(0);
    const errors = refused.reduce((sum, r) => sum + r.sent, 0);
    expect(cdn.sent() - before - errors).toBeLessThanOrEqual(SIZE * 1.02);
    expectWhole(path, TRUE);
  },
);

test("F40 the fresh link does not work either: a typed error that shows no signature, the bytes stay", async () => {
  const source = signing();
  const witness = new Witness();
  witness.onWritten = () => cdn.on({ path: "/signed" }, { kind: "respond", status: 403 });
  cdn.limits.ratePerConnection = 8 * MiB;
  const { end, error, path } = await attempt(it, { ...source, witness });
  delete cdn.limits.ratePerConnection;
  expect([end, error?.verdict, error?.status, source.asked()]).toEqual(["forbidden", "final", 403, 2]);
  expect(error?.message).not.toContain("sig");
  expectTruth(witness, path, TRUE);
});

test("F40 the source's own words for a refusal are used", async () => {
  hub.on({}, { kind: "respond", status: 403, headers: { "X-Error-Code": "GatedRepo" } });
  const explain = (status: number, headers: Headers) =>
    status === 403 && headers.get("x-error-code") === "GatedRepo"
      ? new DownloadError("gated", "Ask for access first.")
      : undefined;
  const before = hub.log.length;
  expect(await attempt(it, { url: hub.url("/m"), explain })).toMatchObject({
    end: "gated",
    error: { message: "Ask for access first." },
  });
  expect(hub.log.length - before).toBe(1);
});

test.each([
  [401, "auth_required"],
  [403, "forbidden"],
  [404, "not_found"],
  [410, "gone"],
])("F38 %d at the start is final at once", async (status, code) => {
  hub.on({}, { kind: "respond", status });
  const before = hub.log.length;
  const { end, error } = await attempt(it, { url: hub.url("/m") });
  expect([end, error?.verdict, hub.log.length - before]).toEqual([code, "final", 1]);
  expect(error?.message).toContain(new URL(hub.base).host);
});

test("F41 a CDN that refuses bounded ranges is asked for larger ones", async () => {
  const source = signing();
  cdn.on({ path: "/signed", header: { name: "range", value: "bytes=*-?*" } }, { kind: "latency", ms: 0 });
  const rule = cdn.on(
    { path: "/signed", header: { name: "range", value: `bytes=*-${MiB - 1}` } },
    { kind: "respond", status: 403 },
  );
  const { end, path } = await attempt(it, source);
  expect([end, rule.hits]).toEqual(["done", 2]);
  expect(cdn.requests("/signed").some((r) => r.range?.endsWith("-"))).toBe(true);
  expectWhole(path, TRUE);
});

test("F41 a CDN that refuses every range gives the file in one stream", async () => {
  const source = signing();
  cdn.on({ path: "/signed", ranged: true }, { kind: "respond", status: 403 });
  const refused = await attempt(it, source);
  expect([refused.end, refused.witness.mostConnections]).toEqual(["done", 1]);
  expectWhole(refused.path, TRUE);
  cdn.clear();
  cdn.on({ path: "/signed", ranged: true }, { kind: "respond", status: 416 });
  expect((await attempt(it, signing())).end).toBe("done");
});

test.each([404, 410])(
  "F42 %d in the middle: the source is asked again, then it is gone, the bytes stay",
  async (status) => {
    const source = signing();
    const witness = new Witness();
    cdn.limits.ratePerConnection = 8 * MiB;
    witness.onWritten = () => cdn.on({ path: "/signed" }, { kind: "respond", status });
    const { end, error, path } = await attempt(it, { ...source, witness });
    delete cdn.limits.ratePerConnection;
    expect([end, error?.verdict, source.asked()]).toEqual(["gone", "final", 2]);
    expect(witness.gained).toBeGreaterThan(0);
    expectTruth(witness, path, TRUE);
  },
);

test("a source that cannot locate the file any more says why", async () => {
  let asked = 0;
  const locate = async () => {
    if (asked++ > 0) throw new DownloadError("gated", "Access was withdrawn.");
    return { url: cdn.sign("/signed") };
  };
  const witness = new Witness();
  witness.onWritten = () => cdn.expireLinks();
  cdn.limits.ratePerConnection = 8 * MiB;
  const { end } = await attempt(it, { url: "", locate, witness });
  delete cdn.limits.ratePerConnection;
  expect(end).toBe("gated");
});

test("a hub that cannot be asked for a moment while the link is renewed costs nothing", async () => {
  let asked = 0;
  const locate = async () => {
    if (++asked === 2 || asked === 3) throw new DownloadError("server_error", "hub answered 502");
    return { url: cdn.sign("/signed") };
  };
  const witness = new Witness();
  witness.onWritten = () => {
    witness.onWritten = undefined;
    cdn.expireLinks();
  };
  cdn.limits.ratePerConnection = 8 * MiB;
  const { end, path } = await attempt(it, { url: "", locate, witness });
  delete cdn.limits.ratePerConnection;
  expect([end, asked, witness.restarts]).toEqual(["done", 4, []]);
  expectWhole(path, TRUE);
});

test("F33 https that leads to http is refused", async () => {
  await using safe = await startOrigin({ tls: "valid", resources: [{ path: "/m", seed: 1, size: SIZE }] });
  await using trusting = rig(safe.caFile ? { caFile: safe.caFile } : {});
  safe.on({ times: 1 }, { kind: "redirect", to: hub.url("/m") });
  expect(await attempt(trusting, { url: safe.url("/m") })).toMatchObject({ end: "redirects" });
  const { end, path } = await attempt(trusting, { url: safe.url("/m") });
  expect(end).toBe("done");
  expectWhole(path, TRUE);
});

test("F64 TLS that ends without its goodbye is a cut, not an end", async () => {
  await using safe = await startOrigin({
    tls: "valid",
    resources: [{ path: "/m", seed: 1, size: SIZE, ranges: false, etag: null }],
  });
  await using trusting = rig(safe.caFile ? { caFile: safe.caFile } : {});
  safe.on({ times: 1 }, { kind: "truncate", at: MiB });
  const { end, witness, path } = await attempt(trusting, { url: safe.url("/m") });
  expect([end, witness.restarts.length]).toEqual(["done", 1]);
  expectWhole(path, TRUE);
});

test("F74 a refusal beside a clock that is wrong is called by its name", async () => {
  hub.on({}, { kind: "respond", status: 403, headers: { Date: "{date:-7200}" } });
  const { end, error } = await attempt(it, { url: hub.url("/m") });
  expect([end, error?.verdict]).toEqual(["clock", "final"]);
  expect(error?.message).toContain("120 minutes ahead");
});

test.each<[string, (o: Origin) => void, string]>([
  ["F32 a redirect loop", (o) => o.on({}, { kind: "redirect" }), "redirects"],
  ["F34 a redirect to a file", (o) => o.on({}, { kind: "redirect", to: "file:///etc/passwd" }), "redirects"],
  ["F37 a redirect to nowhere", (o) => o.on({}, { kind: "redirect", to: null }), "protocol"],
  ["F67 a flood of headers", (o) => o.on({}, { kind: "header-flood", count: 2000, bytes: 1000 }), "protocol"],
])("%s ends typed, with nothing written", async (_, order, code) => {
  order(hub);
  const { end, witness } = await attempt(it, { url: hub.url("/m") });
  expect([end, witness.gained]).toEqual([code, 0]);
});

test("F63 a certificate nobody vouches for is final at once", async () => {
  await using self = await startOrigin({
    tls: "self-signed",
    resources: [{ path: "/m", seed: 1, size: SIZE }],
  });
  expect(await attempt(it, { url: self.url("/m") })).toMatchObject({
    end: "tls",
    error: { verdict: "final" },
  });
});

test("F65 a name that is not known, F59 a host that swallows everything: told as what they are", async () => {
  const http = client({ resolver: async () => [] });
  const short = {
    request: (r: Parameters<typeof http.request>[0]) => http.request({ ...r, connectTimeoutMs: 300 }),
    check: http.check,
  };
  await using lost = rig({ http: short, patience: { tries: 1, baseMs: 10 } });
  expect(await attempt(lost, { url: "http://nowhere.test/m" })).toMatchObject({
    end: "dns",
    error: { verdict: "retry" },
  });
  using hole = await blackHole();
  expect(await attempt(lost, { url: `http://${hole.host}:${hole.port}/m` })).toMatchObject({
    end: "connect",
    error: { verdict: "retry" },
  });
});

test("F58 headers that never come have their own deadline; a second try helps itself", async () => {
  const http = client();
  const short = {
    request: (r: Parameters<typeof http.request>[0]) => http.request({ ...r, headerTimeoutMs: 200 }),
    check: http.check,
  };
  await using hasty = rig({ http: short });
  const rule = hub.on({ times: 1 }, { kind: "stall", at: "start" });
  const { result, path } = await fetchOne(hasty, { url: hub.url("/m") });
  rule.release();
  expect([result.size, rule.hits]).toEqual([SIZE, 1]);
  expectWhole(path, TRUE);
});

test("a server that is down: connect, and it was tried more than once", async () => {
  hub.down();
  const { end, error } = await attempt(it, { url: hub.url("/m") });
  hub.up();
  expect([end, error?.verdict]).toEqual(["connect", "retry"]);
});

test("F66 a server that comes back within moments is used again, nothing lost", async () => {
  const witness = new Witness();
  hub.limits.ratePerConnection = 8 * MiB;
  witness.onWritten = () => {
    witness.onWritten = undefined;
    hub.down();
    setTimeout(() => hub.up(), 100);
  };
  await using patient = rig({ patience: { tries: 5, baseMs: 100 } });
  const { end, path } = await attempt(patient, { url: hub.url("/m"), witness });
  delete hub.limits.ratePerConnection;
  expect([end, witness.restarts]).toEqual(["done", []]);
  expectWhole(path, TRUE);
});
