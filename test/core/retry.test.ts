import { describe, expect, test } from "bun:test";
import { VERDICTS } from "../../src/core/errors.ts";
import { MAX_RETRY_AFTER_MS, retryDelay } from "../../src/core/retry.ts";

const policy = { maxAttempts: 5, baseMs: 1000, maxMs: 8000, jitter: 1 };

describe("F44 retry policy", () => {
  test.each([
    // attempt, retryAfter, random, expected
    [1, undefined, 0.5, 500],
    [2, undefined, 0.5, 1000],
    [4, undefined, 0.999999, 8000],
    [4, undefined, 0, 0],
    [5, undefined, 0.5, undefined],
    [50, undefined, 0.5, undefined],
  ])("attempt %p, Retry-After %p, random %p waits %p ms", (attempt, retryAfter, random, expected) => {
    expect(retryDelay(policy, attempt, retryAfter, random)).toBe(expected);
  });

  test("without jitter the ceiling itself is waited", () => {
    expect(retryDelay({ ...policy, jitter: 0 }, 3, undefined, 0.1)).toBe(4000);
  });

  test("F45 the server's own time is a floor, and at most an hour", () => {
    expect(retryDelay(policy, 1, 30_000, 0)).toBe(30_000);
    expect(retryDelay(policy, 1, 30_000, 0.999999)).toBe(31_000);
    expect(retryDelay(policy, 1, 10 * 365 * 86_400_000, 0)).toBe(MAX_RETRY_AFTER_MS);
  });

  test("I10 the verdict is part of the code", () => {
    expect(VERDICTS.rate_limited).toBe("retry");
    expect(VERDICTS.gated).toBe("final");
    expect(VERDICTS.no_space).toBe("wait");
  });
});
