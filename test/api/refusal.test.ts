import { expect, test } from "bun:test";
import { kolosalRefusal } from "../../src/api/envelope.ts";
import { DownloadError, type ErrorCode, VERDICTS } from "../../src/core/errors.ts";

test("every core code has a status and one of the seed's three types", () => {
  for (const code of Object.keys(VERDICTS) as ErrorCode[]) {
    const { status, error } = kolosalRefusal(new DownloadError(code, "text", { retryAfterMs: 1500 }));
    expect(status).toBeWithin(400, 600);
    const type =
      status === 404 ? "not_found_error" : status >= 500 ? "server_error" : "invalid_request_error";
    expect(error.type).toBe(type as typeof error.type);
  }
  expect(kolosalRefusal(new DownloadError("rate_limited", "x", { retryAfterMs: 1500 })).headers).toEqual({
    "Retry-After": "2",
  });
});
