import { afterEach, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import type { StartRequest } from "../../src/core/ports.ts";
import { readAddress } from "../../src/sources/url/address.ts";
import { bytesAt } from "../support/bytes.ts";
import { type Fault, type Origin, type OriginOptions, startOrigin } from "../support/origin.ts";
import { context, failure, resolve, sources } from "./support.ts";

let origin: Origin;
afterEach(() => origin?.stop());

const SIZE = 3_000;
const content = bytesAt(1, 0, SIZE);
const hash = (algorithm: string) => createHash(algorithm).update(content);

async function withOrigin(options: OriginOptions = {}): Promise<Origin> {
  origin = await startOrigin({ resources: [{ path: "/dir/m.gguf", seed: 1, size: SIZE }], ...options });
  return origin;
}

/** Resolves the one resource with faults in force. */
async function resolved(faults: Fault[] = [], request: StartRequest = {}, path = "/dir/m.gguf") {
  const rule = origin.on({}, ...faults);
  try {
    return (await resolve(sources(), { url: `${origin.base}${path}`, ...request })).files[0]!;
  } finally {
    rule.remove();
  }
}

describe("the probe", () => {
  test("F21 is one GET of one byte, never HEAD, without compression", async () => {
    await withOrigin();
    expect(await resolved()).toMatchObject({ path: "m.gguf", size: SIZE, digest: null });
    expect(origin.log.map(({ method, range }) => [method, range])).toEqual([["GET", "bytes=0-0"]]);
    expect(origin.log[0]?.headers["accept-encoding"]).toBe("identity");
  });

  const SIZES: [string, Fault[], number | null][] = [
    ["F1 ranges ignored: from Content-Length", [{ kind: "ignore-range" }], SIZE],
    ["F8 total unknown", [{ kind: "content-range", total: "*" }], null],
    ["F16 no length at all", [{ kind: "ignore-range" }, { kind: "chunked" }], null],
    [
      "F17 a length beside chunks is not believed",
      [{ kind: "ignore-range" }, { kind: "chunked", contentLength: 7 }],
      null,
    ],
    ["F15 end by close", [{ kind: "ignore-range" }, { kind: "close-delimited" }], null],
  ];
  for (const [what, faults, size] of SIZES)
    test(`size: ${what}`, async () => {
      await withOrigin();
      expect((await resolved(faults)).size).toBe(size);
    });

  test("F20 F51 an empty file is known to be empty, with and without a length in the 416", async () => {
    await withOrigin({ resources: [{ path: "/empty.gguf", seed: 1, size: 0 }] });
    expect((await resolved([], {}, "/empty.gguf")).size).toBe(0);
    origin.on({ ranged: true }, { kind: "respond", status: 416 });
    expect((await resolved([], {}, "/empty.gguf")).size).toBe(0);
  });
});

describe("digests that servers promise", () => {
  const sha256 = { algorithm: "sha256", hex: hash("sha256").digest("hex") };
  const sha512 = { algorithm: "sha512", hex: hash("sha512").digest("hex") };
  const md5 = { algorithm: "md5", hex: hash("md5").digest("hex") };
  const [b256, b512, b5] = ["sha256", "sha512", "md5"].map((it) => hash(it).digest("base64"));
  const CASES: [string, Record<string, string>, object | null][] = [
    ["Repr-Digest", { "Repr-Digest": `sha-512=:${b512}:, sha-256=:${b256}:` }, sha256],
    ["Repr-Digest with sha-512 only", { "Repr-Digest": `sha-512=:${b512}:` }, sha512],
    ["Digest of RFC 3230", { Digest: `md5=${b5}, SHA-256=${b256}` }, sha256],
    ["Digest with md5 only", { Digest: `MD5=${b5}` }, md5],
    ["X-Checksum-Sha256", { "X-Checksum-Sha256": sha256.hex.toUpperCase() }, sha256],
    ["x-amz-checksum-sha256", { "x-amz-checksum-sha256": b256! }, sha256],
    [
      "a composite of parts is none",
      { "x-amz-checksum-sha256": b256!, "x-amz-checksum-type": "COMPOSITE" },
      null,
    ],
    ["a composite with a count is none", { "x-amz-checksum-sha256": `${b256}-3` }, null],
    ["x-goog-hash", { "x-goog-hash": `crc32c=AAAAAA==,md5=${b5}` }, md5],
    ["X-Linked-Etag", { "X-Linked-Etag": `"${sha256.hex}"` }, sha256],
    [
      "F135 rubbish is none",
      { "Repr-Digest": "sha-256=:AAAA:", Digest: "SHA-256=../../x", "X-Checksum-Sha256": "*".repeat(64) },
      null,
    ],
    ["Content-Digest of a part is none", { "Content-Digest": `sha-256=:${b256}:` }, null],
    ["Content-MD5 of a part is none", { "Content-MD5": b5! }, null],
  ];
  for (const [what, set, digest] of CASES)
    test(what, async () => {
      await withOrigin();
      expect((await resolved([{ kind: "headers", set }])).digest).toEqual(digest as never);
    });

  test("Content-Digest and Content-MD5 count when the whole file is the answer", async () => {
    await withOrigin();
    const whole: Fault = { kind: "ignore-range" };
    expect(
      (await resolved([whole, { kind: "headers", set: { "Content-Digest": `sha-256=:${b256}:` } }])).digest,
    ).toEqual(sha256 as never);
    expect((await resolved([whole, { kind: "headers", set: { "Content-MD5": b5! } }])).digest).toEqual(
      md5 as never,
    );
  });

  test("F30 digests of an encoded answer say nothing about the file", async () => {
    await withOrigin();
    const set = { "Repr-Digest": `sha-256=:${b256}:`, "Content-Encoding": "gzip" };
    expect(await resolved([{ kind: "ignore-range" }, { kind: "headers", set }])).toMatchObject({
      digest: null,
      size: null,
    });
  });

  test("the client's own sha256 beats the server's; a redirect's X-Linked-Etag is seen", async () => {
    await withOrigin();
    const wished = "ab".repeat(32);
    const set = { "Repr-Digest": `sha-256=:${b256}:` };
    expect((await resolved([{ kind: "headers", set }], { sha256: wished })).digest?.hex).toBe<string>(wished);
    const hop: Fault = {
      kind: "respond",
      status: 302,
      headers: { Location: origin.url("/dir/m.gguf"), "X-Linked-Etag": `"${sha256.hex}"` },
    };
    origin.on({ path: "/hop/x.gguf" }, hop);
    expect((await resolved([], {}, "/hop/x.gguf")).digest).toEqual(sha256 as never);
  });
});

describe("F197 the name", () => {
  const disposition = (value: string): Fault[] => [
    { kind: "headers", set: { "Content-Disposition": value } },
  ];
  const CASES: [string, string, StartRequest, string | undefined, string][] = [
    [
      "the request's",
      "/dir/m.gguf",
      { filename: "mine.gguf" },
      "attachment; filename=evil.gguf",
      "mine.gguf",
    ],
    [
      "the URL's, whatever the server proposes",
      "/dir/m.gguf",
      {},
      "attachment; filename=evil.gguf",
      "m.gguf",
    ],
    ["the URL's, decoded", "/dir/a%20b%23.gguf", {}, undefined, "a b#.gguf"],
    ["the server's when the URL has none", "/dir/", {}, `attachment; filename="x y.gguf"`, "x y.gguf"],
    ["the server's when the URL's is a route", "/download", {}, "attachment; filename=x.gguf", "x.gguf"],
    [
      "filename* before filename",
      "/download",
      {},
      `attachment; filename="a.gguf"; filename*=UTF-8''na%C3%AFve.gguf`,
      "naïve.gguf",
    ],
    ["a base name only", "/download", {}, `attachment; filename="../../etc/x.gguf"`, "x.gguf"],
    [
      "a base name by Windows rules too",
      "/download",
      {},
      `attachment; filename*=UTF-8''C%3A%5Cx%5Cy.gguf`,
      "y.gguf",
    ],
    ["the route when the server's is unusable", "/download", {}, `attachment; filename=".."`, "download"],
    ["a climbing URL's base name", "/dir/..%2f..%2fevil.gguf", {}, undefined, "evil.gguf"],
    ["download when nothing names it", "/", {}, undefined, "download"],
  ];
  for (const [what, path, request, header, wanted] of CASES)
    test(what, async () => {
      const bare = decodeURIComponent(path);
      await withOrigin({ resources: [{ path: bare, seed: 1, size: SIZE }] });
      const file = await resolved(header === undefined ? [] : disposition(header), request, path);
      expect(file.path).toBe<string | undefined>(wanted);
    });
});

describe("errors", () => {
  const CASES: [number, string, string][] = [
    [400, "rejected", "final"],
    [401, "auth_required", "final"],
    [403, "forbidden", "final"],
    [404, "not_found", "final"],
    [405, "rejected", "final"],
    [408, "timeout", "retry"],
    [410, "gone", "final"],
    [425, "server_error", "retry"],
    [429, "rate_limited", "retry"],
    [451, "forbidden", "final"],
    [500, "server_error", "retry"],
    [503, "server_error", "retry"],
    [204, "protocol", "retry"],
    [304, "protocol", "retry"],
  ];
  for (const [status, code, verdict] of CASES)
    test(`F38 F42 F44 F48 HTTP ${status} is ${code}`, async () => {
      await withOrigin();
      const error = await failure(resolved([{ kind: "respond", status }], { token: "canary-1" }));
      expect(error).toMatchObject({ code, verdict, status });
      expect(error.message).toContain(`${origin.url("/dir/m.gguf")}`);
      expect(error.message).not.toContain("canary-1");
    });

  test("F45 Retry-After of 429 and 503 is passed on", async () => {
    await withOrigin();
    for (const status of [429, 503]) {
      const error = await failure(resolved([{ kind: "respond", status, headers: { "Retry-After": "7" } }]));
      expect(error.retryAfterMs).toBe(7_000);
    }
  });

  test("F54 a web page under a model's name fails, under a page's name it is what was asked for", async () => {
    const page = { seed: 1, size: 100, contentType: "text/html; charset=utf-8" };
    await withOrigin({ resources: ["/m.gguf", "/index.html", "/page"].map((path) => ({ path, ...page })) });
    expect(await failure(resolved([], {}, "/m.gguf"))).toMatchObject({
      code: "unexpected_content",
      verdict: "final",
    });
    expect((await resolved([], {}, "/index.html")).path).toBe<string | undefined>("index.html");
    const manifest = await resolve(sources(), { url: origin.url("/page") });
    expect(manifest.warnings?.[0]).toContain("web page");
  });
});

describe("secrets", () => {
  test("F194 a signed query is neither shown nor part of the key, but survives in the secret", async () => {
    await withOrigin({ resources: [{ path: "/signed.gguf", seed: 1, size: SIZE, signed: true }] });
    const url = origin.sign("/signed.gguf", 60_000);
    const source = sources().find(({ name }) => name === "url");
    const ref = source!.parse({ url });
    const secret = source!.secretOf!({ url });
    expect(ref.url).toBe(origin.url("/signed.gguf"));
    expect(secret.url).toBe(url);
    for (const value of new URL(url).searchParams.values()) expect(JSON.stringify(ref)).not.toContain(value);
    expect((await source!.resolve(ref, context(secret))).files[0]?.size).toBe(SIZE);
    expect((await source!.locate(ref, { path: "x", locator: "" }, context(secret))).url).toBe(url);
    const error = await failure(source!.resolve(ref, context()));
    expect(error.code).toBe("forbidden");
  });

  test("signing again does not make another download, another file does", () => {
    const key = (url: string) => readAddress(new URL(url)).key;
    const signed = (file: string, signature: string) =>
      `https://x.example/get?file=${file}&X-Amz-Signature=${signature}&X-Amz-Expires=60`;
    expect(key(signed("a", "1"))).toBe(key(signed("a", "2")));
    expect(key(signed("a", "1"))).not.toBe(key(signed("b", "1")));
  });

  test("F194 F153 a long or oddly named id is not shown, and still tells one file from another", () => {
    const address = (query: string) => readAddress(new URL(`https://x.example/uc?export=download&${query}`));
    const id = (last: string) => `1A2b3C4d5E6f7G8h9I0jKlMnOpQrStUv${last}`;
    for (const [a, b] of [
      // A drive's file, a version in a bucket, a file of a team site: 32 characters and more.
      [`id=${id("x")}`, `id=${id("y")}`],
      [`UniqueId=7f9c2ba4-0000-4000-8000-00000000000a`, `UniqueId=7f9c2ba4-0000-4000-8000-00000000000b`],
      ["key=models/a.gguf", "key=models/b.gguf"],
      ["hash=0aa1", "hash=0aa2"],
    ] as const) {
      expect(address(a).shown).toBe("https://x.example/uc");
      expect(address(a).key).not.toContain(a.split("=")[1] ?? "");
      expect(address(a).key).not.toBe(address(b).key);
      expect(address(a).key).toBe(address(`${a}&X-Amz-Signature=1&Expires=5`).key);
    }
  });

  test("queries without credentials are shown, all kinds of credentials are not", () => {
    const shown = (query: string) => readAddress(new URL(`https://x.example/f?${query}`)).shown;
    for (const open of ["id=5", "file=model.gguf&version=2", "download=true", "q=", "raw"])
      expect(shown(open)).toBe(`https://x.example/f?${open}`);
    const credentials = [
      "token=x",
      "access_token=x",
      "api_key=x",
      "sig=x",
      "X-Amz-Credential=x",
      "X-Goog-Signature=x",
      "Expires=1&Signature=x&Key-Pair-Id=y",
      "sv=2020&se=2030&sr=b&sp=r&sig=x",
      "auth=x",
      "password=x",
      "h=hf_abc",
      "d=eyJhbGciOi",
      `x=${"a1".repeat(20)}`,
      "id=5&TOKEN=x",
    ];
    for (const query of credentials) expect(shown(query)).toBe("https://x.example/f");
  });

  test("F35 token and headers reach the URL's own origin and no other", async () => {
    await using other = await startOrigin({ resources: [{ path: "/m.gguf", seed: 1, size: SIZE }] });
    await withOrigin();
    const hop: Fault = { kind: "redirect", to: other.url("/m.gguf"), status: 302 };
    await resolved([hop], { headers: { "X-Key": "canary" }, token: "canary-2" });
    expect(origin.log[0]?.headers).toMatchObject({ "x-key": "canary", authorization: "Bearer canary-2" });
    expect(other.log).toHaveLength(1);
    expect(JSON.stringify(other.log[0]?.headers)).not.toContain("canary");
  });
});
