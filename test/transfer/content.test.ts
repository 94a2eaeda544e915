import { describe, expect, test } from "bun:test";
import type { Validator } from "../../src/core/download.ts";
import { foreignContent, magicWarning } from "../../src/transfer/content.ts";
import { compare, isStrong, validatorOf } from "../../src/transfer/validator.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const head = { label: "m.gguf", contentType: null, bytes: bytes("GGUF"), promised: false, host: "h" };

describe("what came in place of the file", () => {
  test.each<[string, object, string | undefined]>([
    ["the file", {}, undefined],
    ["F54 a page by its type", { contentType: "text/html; charset=utf-8" }, "unexpected_content"],
    ["F54 a page by its look", { bytes: bytes("  <!DOCTYPE html><html>") }, "unexpected_content"],
    ["F54 XML is no page", { bytes: bytes("<?xml version='1.0'?>") }, undefined],
    ["a page that was asked for", { label: "card.html", contentType: "text/html" }, undefined],
    ["a promised file of a server with wrong types", { contentType: "text/html", promised: true }, undefined],
    ["F55 a pointer", { bytes: bytes("version https://git-lfs.github.com/spec/v1\noid") }, "lfs_pointer"],
    [
      "F55 a promised pointer is what was promised",
      { bytes: bytes("version https://git-lfs.github.com/spec/v1\n"), promised: true },
      undefined,
    ],
  ])("%s", (_, change, code) => {
    expect(foreignContent({ ...head, ...change })?.code).toBe(code as never);
  });
});

test.each<[string, Uint8Array, boolean]>([
  ["m.gguf", bytes("GGUF\x03"), false],
  ["m.GGUF", bytes("gguf"), true],
  ["a.zip", bytes("PK\x03\x04"), false],
  ["a.zip", bytes("Rar!"), true],
  ["m.safetensors", bytes('\x10\0\0\0\0\0\0\0{"__metadata__'), false],
  ["m.safetensors", bytes("\x10\0\0\0\0\0\0\0["), true],
  ["m.safetensors", bytes("\xff\xff\xff\xff\xff\xff\xff\xff{"), true],
  ["m.safetensors", bytes("{"), true],
  ["m.bin", bytes("anything"), false],
])("F54 a magic number that does not fit %s is a note: %#", (label, content, noted) => {
  expect(magicWarning(label, content) !== undefined).toBe(noted);
});

describe("validators", () => {
  const of = (headers: Record<string, string>) =>
    validatorOf(new Headers(headers), "https://h:8443/x?sig=1", 5);
  const date = "Fri, 20 Nov 2026 12:00:00 GMT";

  test("F26 weak ETags and F29 young dates are none", () => {
    expect(of({ etag: '"a"' })).toEqual({
      etag: '"a"',
      lastModified: null,
      size: 5,
      origin: "https://h:8443",
    });
    expect(of({ etag: 'W/"a"' }).etag).toBeNull();
    expect(of({ etag: "a" }).etag).toBeNull();
    expect(of({ "last-modified": "Fri, 20 Nov 2026 11:00:00 GMT", date }).lastModified).not.toBeNull();
    expect(of({ "last-modified": "Fri, 20 Nov 2026 11:59:30 GMT", date }).lastModified).toBeNull();
    expect(of({ "last-modified": "Fri, 20 Nov 2026 11:00:00 GMT" }).lastModified).toBeNull();
  });

  test("compared by what both have", () => {
    const base: Validator = { etag: '"a"', lastModified: "d", size: 5, origin: "o" };
    const sameness = (a: Partial<Validator>, b: Partial<Validator>) =>
      compare({ ...base, ...a }, { ...base, ...b });
    expect(sameness({}, {})).toBe("same");
    expect(sameness({}, { etag: '"b"' })).toBe("changed");
    expect(sameness({}, { size: 6 })).toBe("changed");
    expect(sameness({}, { etag: null })).toBe("same");
    expect(sameness({}, { etag: null, lastModified: "e" })).toBe("changed");
    expect(sameness({}, { etag: null, lastModified: null })).toBe("unproven");
    expect(sameness({ etag: null }, { lastModified: null })).toBe("unproven");
    expect([
      isStrong(base),
      isStrong({ ...base, etag: null }),
      isStrong({ ...base, etag: null, lastModified: null }),
    ]).toEqual([true, true, false]);
  });
});
