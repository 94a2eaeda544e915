import { describe, expect, test } from "bun:test";
import type { Validator } from "../../src/core/download.ts";
import { type Ask, judge, type Known, rangeHeader } from "../../src/transfer/answer.ts";

const NOW = Date.parse("2026-11-20T12:00:00Z");
const DATE = "Fri, 20 Nov 2026 12:00:00 GMT";
const URL = "https://cdn.example/f?sig=secret";
const validator: Validator = { etag: '"v1"', lastModified: null, size: 1000, origin: "https://cdn.example" };
const known: Known = { label: "m.gguf", size: 1000, validator, digest: false, worked: true, page: false };
const fresh: Known = {
  label: "m.gguf",
  size: null,
  validator: null,
  digest: false,
  worked: false,
  page: false,
};
const ask: Ask = { start: 100, end: 200, ranged: true };
const good = { "content-range": "bytes 100-199/1000", etag: '"v1"' };

function verdict(
  status: number,
  headers: Record<string, string>,
  of: Partial<Known> = {},
  asked: Partial<Ask> = {},
) {
  return judge(
    { ...ask, ...asked },
    { ...known, ...of },
    { status, headers: new Headers(headers), url: URL },
    NOW,
  );
}
const code = (it: ReturnType<typeof verdict>) => ("error" in it ? `${it.kind} ${it.error.code}` : it.kind);

test("the range asked for is bounded, open or absent", () => {
  expect(rangeHeader(ask)).toBe("bytes=100-199");
  expect(rangeHeader({ ...ask, end: null })).toBe("bytes=100-");
  expect(rangeHeader({ start: 0, end: null, ranged: false })).toBeUndefined();
});

test("a part that is what was asked for", () => {
  expect(verdict(206, good)).toEqual({
    kind: "part",
    start: 100,
    end: 200,
    size: 1000,
    validator,
    drifted: false,
  });
});

describe("206 that is not what was asked for", () => {
  test.each<[string, Record<string, string>, string]>([
    ["F3 another start", { "content-range": "bytes 101-199/1000" }, "failed bad_range"],
    ["F6 no Content-Range", { "content-range": "" }, "failed bad_range"],
    [
      "F9 multipart",
      { "content-range": "", "content-type": "multipart/byteranges; boundary=x" },
      "failed bad_range",
    ],
    ["an end before the start", { "content-range": "bytes 100-99/1000" }, "failed bad_range"],
    ["an end behind the size", { "content-range": "bytes 100-1000/1000" }, "failed bad_range"],
    ["garbage", { "content-range": "bytes 100-199" }, "failed bad_range"],
    ["another unit", { "content-range": "lines 100-199/1000" }, "failed bad_range"],
    ["F7 another size", { "content-range": "bytes 100-199/1001" }, "changed"],
    ["F24 another ETag", { etag: '"v2"' }, "changed"],
    ["F26 the ETag has become weak", { etag: 'W/"v1"' }, "changed"],
    ["no validator any more", { etag: "" }, "changed"],
    ["F30 encoded", { "content-encoding": "gzip" }, "failed unexpected_content"],
    ["F54 a web page", { "content-type": "text/html" }, "failed unexpected_content"],
  ])("%s", (_, headers, expected) => {
    expect(code(verdict(206, { ...good, ...headers }))).toBe(expected);
  });

  test("F54 a portal in between does not make the failure final", () => {
    const it = verdict(206, { ...good, "content-type": "text/html; charset=utf-8" });
    expect("error" in it && it.error.verdict).toBe("retry");
  });

  test("F4 shorter: taken", () => {
    expect(verdict(206, { ...good, "content-range": "bytes 100-149/1000" })).toMatchObject({
      kind: "part",
      start: 100,
      end: 150,
    });
  });

  test("F5 longer: only what was asked for", () => {
    expect(verdict(206, { ...good, "content-range": "bytes 100-299/1000" })).toMatchObject({
      kind: "part",
      start: 100,
      end: 200,
    });
  });

  test("F8 an unknown size is no contradiction", () => {
    expect(verdict(206, { ...good, "content-range": "bytes 100-199/*" })).toMatchObject({
      kind: "part",
      size: null,
    });
  });

  test("a part of a whole that was asked for is refused", () => {
    expect(code(verdict(206, good, {}, { start: 0, end: null, ranged: false }))).toBe("failed bad_range");
  });

  test("F28 with a promised digest other validators are accepted and noted", () => {
    expect(verdict(206, { ...good, etag: '"v2"' }, { digest: true })).toMatchObject({
      kind: "part",
      drifted: true,
    });
    expect(verdict(206, { ...good, etag: "" }, { digest: true })).toMatchObject({
      kind: "part",
      drifted: false,
    });
    expect(code(verdict(206, { ...good, "content-range": "bytes 100-199/1001" }, { digest: true }))).toBe(
      "changed",
    );
  });
});

describe("200", () => {
  test("with a Content-Range and its length: the part asked for, as ModelScope sends small files", () => {
    const part = { ...good, "content-length": "100" };
    expect(verdict(200, part)).toMatchObject({ kind: "part", start: 100, end: 200, size: 1000 });
    expect(code(verdict(200, { ...part, "content-range": "bytes 100-199/1001" }))).toBe("changed");
    // Whatever does not fit together is what 200 says: the whole.
    expect(code(verdict(200, { ...part, "content-length": "1000" }))).toBe("whole");
    expect(code(verdict(200, { ...part, "content-range": "bytes 0-99/1000" }))).toBe("changed");
    expect(code(verdict(200, part, {}, { start: 0, end: null, ranged: false }))).toBe("changed");
    expect(code(verdict(200, { ...part, "transfer-encoding": "chunked" }))).toBe("whole");
  });

  test("F1 to a range: the whole file, and whether it is the same", () => {
    expect(verdict(200, { "content-length": "1000", etag: '"v1"' })).toMatchObject({
      kind: "whole",
      size: 1000,
      same: true,
    });
    expect(verdict(200, { "content-length": "1000", etag: '"v2"' })).toMatchObject({
      kind: "whole",
      same: false,
    });
    expect(verdict(200, { "content-length": "1000" })).toMatchObject({ kind: "whole", same: false });
    expect(verdict(200, { "content-length": "1000" }, { digest: true })).toMatchObject({
      kind: "whole",
      same: true,
    });
  });

  test("F16 F17 a length counts only where it frames the body", () => {
    expect(verdict(200, { etag: '"v1"' }, fresh)).toMatchObject({ kind: "whole", size: null });
    const both = { "content-length": "5", "transfer-encoding": "chunked" };
    expect(verdict(200, both, fresh)).toMatchObject({ kind: "whole", size: null });
    expect(verdict(200, { "content-length": "9999999999999999999" }, fresh)).toMatchObject({ size: null });
  });

  test("F7 another size is another file; F19 none at all is a mistake", () => {
    expect(code(verdict(200, { "content-length": "999", etag: '"v1"' }))).toBe("changed");
    expect(code(verdict(200, { "content-length": "0", etag: '"v1"' }))).toBe("failed size_mismatch");
    expect(verdict(200, { "content-length": "0" }, fresh)).toMatchObject({ kind: "whole", size: 0 });
  });

  test("F30 encoded: refused", () => {
    expect(code(verdict(200, { "content-encoding": "gzip" }, fresh))).toBe("failed unexpected_content");
    expect(code(verdict(200, { "content-encoding": "br, gzip" }, fresh))).toBe("failed unexpected_content");
    expect(verdict(200, { "content-encoding": "identity" }, fresh).kind).toBe("whole");
  });
});

describe("other statuses", () => {
  test.each<[string, number, string]>([
    ["F38 401", 401, "refused auth_required"],
    ["F38 403", 403, "refused forbidden"],
    ["F42 404", 404, "refused not_found"],
    ["F42 410", 410, "refused gone"],
    ["F40 400 may be an expired link", 400, "refused rejected"],
    ["F44 408", 408, "failed server_error"],
    ["F44 425", 425, "failed server_error"],
    ["F44 500", 500, "failed server_error"],
    ["F44 502", 502, "failed server_error"],
    ["F44 522", 522, "failed server_error"],
    ["F44 429", 429, "limited rate_limited"],
    ["F44 503", 503, "limited server_error"],
    ["F48 405", 405, "fatal rejected"],
    ["F48 451", 451, "fatal rejected"],
    ["501", 501, "fatal rejected"],
    ["F52 304", 304, "fatal protocol"],
    ["F53 204", 204, "fatal protocol"],
  ])("%s", (_, status, expected) => {
    expect(code(verdict(status, {}))).toBe(expected);
  });

  test("F52 F53 another try cannot mend an answer without a file", () => {
    const it = verdict(304, {});
    expect("error" in it && it.error.verdict).toBe("final");
  });

  test("F45 the wait of 429 and 503 is carried", () => {
    const wait = (header: string) => {
      const it = verdict(429, { "retry-after": header, date: DATE });
      return "error" in it ? it.error.retryAfterMs : null;
    };
    expect([
      wait("7"),
      wait("Fri, 20 Nov 2026 12:00:09 GMT"),
      wait("Fri, 20 Nov 2026 11:00:00 GMT"),
      wait("soon"),
    ]).toEqual([7000, 9000, 0, undefined]);
    expect(wait("315360000")).toBe(3_600_000);
  });

  test("F51 416 names the size", () => {
    expect(verdict(416, { "content-range": "bytes */100" })).toEqual({ kind: "end", size: 100 });
    expect(verdict(416, {})).toEqual({ kind: "end", size: null });
    expect(code(verdict(416, { "content-range": "bytes */1000" }))).toBe("failed bad_range");
  });

  test("no message shows the signature", () => {
    for (const status of [206, 304, 401, 403, 404, 429, 500, 503]) {
      const it = verdict(status, {});
      expect("error" in it && it.error.message).toContain("cdn.example");
      expect("error" in it && it.error.message).not.toContain("secret");
    }
  });
});
