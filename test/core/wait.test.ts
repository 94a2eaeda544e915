import { expect, test } from "bun:test";
import { MAX_WAIT_MS, parseHttpDate, retryAfterMs } from "../../src/core/wait.ts";

const NOW = Date.UTC(2026, 10, 8, 12, 0, 0);

test.each([
  ["0", 0],
  ["7", 7_000],
  [" 120 ", 120_000],
  ["3600", MAX_WAIT_MS],
  ["315360000", MAX_WAIT_MS],
  ["9".repeat(400), MAX_WAIT_MS],
  ["Sun, 08 Nov 2026 12:00:30 GMT", 30_000],
  ["Sunday, 08-Nov-26 12:00:30 GMT", 30_000],
  ["Sun Nov  8 12:00:30 2026", 30_000],
  ["Sun, 08 Nov 2026 11:00:00 GMT", 0],
  ["Sun, 08 Nov 2036 12:00:00 GMT", MAX_WAIT_MS],
  ["", undefined],
  ["-5", undefined],
  ["+5", undefined],
  ["1.5", undefined],
  ["1e3", undefined],
  ["5, 7", undefined],
  ["2027", 2_027_000],
  ["2026-11-08T12:00:30Z", undefined],
  ["Sun, 99 Nov 2026 12:00:30 GMT", undefined],
  ["soon", undefined],
])("F45 Retry-After %p asks for %p ms", (value, expected) => {
  expect(retryAfterMs(new Headers({ "retry-after": value }), NOW)).toBe(expected);
});

test("F45 no header, no wait", () => {
  expect(retryAfterMs(new Headers(), NOW)).toBeUndefined();
});

test("F74 a Retry-After date is measured on the sender's clock when it tells it", () => {
  const headers = new Headers({
    date: "Sun, 08 Nov 2020 00:00:00 GMT",
    "retry-after": "Sun, 08 Nov 2020 00:00:10 GMT",
  });
  expect(retryAfterMs(headers, NOW)).toBe(10_000);
});

test.each([
  ['"resolvers";r=0;t=140', undefined, undefined, 141_000],
  ['"resolvers";r=0;t=140', undefined, "5", 141_000],
  ['"api";r=3;t=140', undefined, undefined, undefined],
  ['"api";r=3;t=140', undefined, "5", 5_000],
  ['"api";r=0;t=9, "pages";r=0;t=20, "resolvers";r=1;t=99', undefined, undefined, 21_000],
  ['"api";r=0', '"fixed window";"api";q=500;w=300', undefined, 301_000],
  ['"api";r=0', '"pages";q=1;w=60, "api";q=500;w=300', undefined, 301_000],
  ['"api";r=0;t=999999', undefined, undefined, MAX_WAIT_MS],
  ['"api";r=x;t=-3', undefined, undefined, undefined],
  [";;,=;", undefined, "2", 2_000],
])("RateLimit %p with policy %p and Retry-After %p asks for %p ms", (limit, policy, after, expected) => {
  const headers = new Headers({ ratelimit: limit });
  if (policy) headers.set("ratelimit-policy", policy);
  if (after) headers.set("retry-after", after);
  expect(retryAfterMs(headers, NOW)).toBe(expected);
});

test("an HTTP date is one of the three forms of RFC 9110, always UTC", () => {
  const time = Date.UTC(1994, 10, 6, 8, 49, 37);
  expect(parseHttpDate("Sun, 06 Nov 1994 08:49:37 GMT")).toBe(time);
  expect(parseHttpDate("Sunday, 06-Nov-94 08:49:37 GMT")).toBe(time);
  expect(parseHttpDate("Sun Nov  6 08:49:37 1994")).toBe(time);
  expect(parseHttpDate("1994-11-06")).toBeUndefined();
});
