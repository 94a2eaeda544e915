import { expect, test } from "bun:test";
import { parseRemoteUrl } from "../../src/core/remote-url.ts";
import { redirectTarget } from "../../src/http/url.ts";
import { ambiguous } from "../rig/ssrf/spellings.ts";
import { startOrigin } from "../support/origin.ts";
import { client, drain, resolverOf } from "./client.ts";

const http = client();
const parsed = (text: string): URL => new URL(parseRemoteUrl(text));
const NAMES = { "open.test": ["127.0.0.1"], "evil.test": ["127.0.0.1"] };

test.each([
  ["ftp://example.com/x"],
  ["file:///etc/hostname"],
  ["data:text/plain,hello"],
  ["s3://bucket/key"],
  ["javascript:alert(1)"],
  ["https://user:s3cret@example.com/"],
  ["https://s3cret@example.com/"],
  ["https://example.com:0/"],
  ["https://example.com:99999/"],
  ["https://example.com\\@evil.example/s3cret"],
  ["https://example.com/\r\nX: s3cret"],
  ["https://exam\tple.com/s3cret"],
  [" https://example.com/"],
  ["https://example.com/a b?s3cret"],
  ["example.com/x?s3cret"],
  ["//example.com/x"],
  ["https://"],
  [""],
  [`https://example.com/${"s3cret".repeat(4000)}`],
])("F34 F158 F174 %j is refused as invalid_url and not echoed", (url) => {
  expect(() => http.check(url)).toThrow(expect.objectContaining({ code: "invalid_url", param: "url" }));
  try {
    http.check(url);
  } catch (error) {
    expect((error as Error).message).not.toContain("s3cret");
  }
});

test("a good URL comes back parsed, an international name in its wire form", () => {
  expect(http.check("https://Example.com:443/a%20b?c#d").href).toBe("https://example.com/a%20b?c#d");
  expect(http.check("https://bücher.example/").hostname).toBe("xn--bcher-kva.example");
});

test("check refuses literal private addresses where they are closed", () => {
  const closed = client({ allowPrivate: false });
  expect(() => closed.check("http://10.0.0.1/")).toThrow(
    expect.objectContaining({ code: "forbidden_address" }),
  );
});

test.each([
  [null, "protocol"],
  ["", "protocol"],
  ["https://", "protocol"],
  ["https://user:s3cret@example.com/", "protocol"],
  ["https://example.com:0/", "protocol"],
  [`/${"s3cret".repeat(4000)}`, "protocol"],
  ["http://example.com/?s3cret", "redirects"],
  ["ftp://example.com/s3cret", "redirects"],
  ["file:///etc/passwd", "redirects"],
  ["data:,s3cret", "redirects"],
])("F33 F34 F37 a redirect from https to %j fails with %s", (location, code) => {
  const from = parsed("https://example.com/a/b?sig=s3cret");
  expect(() => redirectTarget(from, location)).toThrow(expect.objectContaining({ code }));
  try {
    redirectTarget(from, location);
  } catch (error) {
    expect((error as Error).message).not.toContain("s3cret");
  }
});

test.each([
  ["c", "https://example.com/a/c"],
  ["/c?d", "https://example.com/c?d"],
  ["//other.example/c", "https://other.example/c"],
  ["?x", "https://example.com/a/b?x"],
  ["https://other.example", "https://other.example/"],
])("F37 a redirect to %j leads to %s", (location, to) => {
  expect(redirectTarget(parsed("https://example.com/a/b?sig=1"), location).href).toBe(to);
});

test("F33 http may become https", () => {
  expect(redirectTarget(parsed("http://example.com/"), "https://example.com/").protocol).toBe("https:");
});

test.each(ambiguous("127.0.0.1", "open.example"))(
  "F171 %j, which parsers read in two ways, is no URL",
  (url) => {
    expect(() => http.check(url)).toThrow(expect.objectContaining({ code: "invalid_url" }));
  },
);

test("F171 what was judged is what is asked: the host of the one parsing, whatever stands around it", async () => {
  await using origin = await startOrigin({ resources: [{ path: "/file", seed: 1, size: 10 }] });
  const asked = client({ allowPrivate: false, allowAddresses: ["open.test"], resolver: resolverOf(NAMES) });
  const host = `open.test:${origin.port}`;
  for (const rest of [
    "/file#@evil.test/",
    "/file?@evil.test/",
    "/file?\u0040evil.test:80",
    "/file#\u2044evil.test",
  ])
    await drain(await asked.request({ url: `http://${host}${rest}` }));
  expect(origin.log.map(({ headers, path }) => [headers.host, path])).toEqual(Array(4).fill([host, "/file"]));
  // Letters that become a slash, a dot or an ASCII letter are read once, before the address is looked up.
  for (const url of [`http://evil。test:${origin.port}/file`, `http://ＥＶＩＬ.test:${origin.port}/file`])
    await expect(asked.request({ url })).rejects.toMatchObject({ code: "forbidden_address" });
  expect(origin.stats.requests).toBe(4);
});
