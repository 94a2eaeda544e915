import { expect, test } from "bun:test";
import { parseRemoteUrl, type RemoteUrl, remoteUrlOf } from "../../src/core/remote-url.ts";

const REFUSED = [
  "",
  "example.com/x",
  "//example.com/x",
  "https://",
  "ftp://example.com/s3cret",
  "file:///etc/s3cret",
  "data:,s3cret",
  "https://user:s3cret@example.com/",
  "https://s3cret@example.com/",
  "https://example.com:0/",
  "https://example.com:99999/",
  "https://example.com\\@evil.example/s3cret",
  "https://example.com/\r\nX: s3cret",
  " https://example.com/",
  "https://example.com/a b",
  `https://example.com/${"s3cret".repeat(4000)}`,
];

test.each(REFUSED)("F34 F158 F174 %j is no address; the error names the field and echoes nothing", (text) => {
  const refusal = expect.objectContaining({
    code: "invalid_url",
    param: "base_url",
    message: expect.not.stringContaining("s3cret"),
  });
  expect(() => parseRemoteUrl(text, "base_url")).toThrow(refusal);
});

test("F168 F171 an address is kept as the parser reads it: what was checked is what is connected to", () => {
  for (const [text, url] of [
    ["https://Example.com:443/a%20b?c#d", "https://example.com/a%20b?c#d"],
    ["http://0x7f.1/", "http://127.0.0.1/"],
    ["https://b\u00fccher.example", "https://xn--bcher-kva.example/"],
  ] as const) {
    expect(parseRemoteUrl(text)).toBe(url as RemoteUrl);
    expect(parseRemoteUrl(url)).toBe(url as RemoteUrl);
  }
});

test("F33 F34 what is parsed already is judged by the same rules", () => {
  expect(remoteUrlOf(new URL("/b", "https://example.com/a"))).toBe(parseRemoteUrl("https://example.com/b"));
  for (const text of ["file:///x", "https://u@example.com/", "http://example.com:0/"])
    expect(() => remoteUrlOf(new URL(text))).toThrow(expect.objectContaining({ code: "invalid_url" }));
});
