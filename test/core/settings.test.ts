import { describe, expect, test } from "bun:test";
import { canMove, STATES, TRANSITIONS } from "../../src/core/download.ts";
import { DownloadError } from "../../src/core/errors.ts";
import { retryDelay } from "../../src/core/retry.ts";
import { applyPatch, DEFAULT_SETTINGS, retryOver, savedSettings } from "../../src/core/settings.ts";

describe("F165 settings change as a whole or not at all", () => {
  test.each([
    [{ maxConcurrent: 0 }, "max_concurrent"],
    [{ maxConcurrent: 1.5 }, "max_concurrent"],
    [{ connectionsPerDownload: 65 }, "connections_per_download"],
    [{ rateLimit: -1 }, "rate_limit_bps"],
    [{ rateLimit: Number.NaN }, "rate_limit_bps"],
    [{ rateLimit: 5, retry: { maxAttempts: 0 } }, "retry.max_attempts"],
    [{ retry: { jitter: 1.1 } }, "retry.jitter"],
    [{ paused: true, retry: { baseMs: 60_001 } }, "retry.base_ms"],
    [{ retry: { maxMs: 999 } }, "retry.max_ms"],
    [{ retry: { baseMs: 2, maxMs: 1 } }, "retry.base_ms"],
  ])("%p is refused and names %s", (patch, param) => {
    try {
      applyPatch(DEFAULT_SETTINGS, patch);
      throw new Error("accepted");
    } catch (error) {
      expect(error).toBeInstanceOf(DownloadError);
      expect((error as DownloadError).param).toBe(param);
    }
  });

  test("a part of the retry policy leaves the rest", () => {
    const changed = applyPatch(DEFAULT_SETTINGS, { paused: true, retry: { maxAttempts: 3 } });
    expect(changed).toEqual({
      ...DEFAULT_SETTINGS,
      paused: true,
      retry: { ...DEFAULT_SETTINGS.retry, maxAttempts: 3 },
    });
  });

  test("a first wait as long as the longest is no contradiction", () => {
    const { retry } = applyPatch(DEFAULT_SETTINGS, { retry: { baseMs: 500, maxMs: 500 } });
    expect([retry.baseMs, retry.maxMs]).toEqual([500, 500]);
  });
});

describe("a first wait longer than the longest", () => {
  const { retry } = DEFAULT_SETTINGS;

  test.each([
    [{ maxMs: 200 }, 200, 200],
    [{ baseMs: 120_000 }, 120_000, 120_000],
    [{ baseMs: 5 }, 5, 60_000],
  ])("F165 a download that asks for %p only: the settings give way", (own, baseMs, maxMs) => {
    expect(retryOver(retry, own)).toEqual({ ...retry, baseMs, maxMs });
  });

  test("F165 a download that asks for both is refused", () => {
    expect(() => retryOver(retry, { baseMs: 2, maxMs: 1 })).toThrow("'retry.base_ms' must be at most");
  });

  test("saved by an earlier version keeps no service from starting, and waits as it did", () => {
    const before = { retry: { ...retry, baseMs: 9_000, maxMs: 4_000 } };
    expect(savedSettings(before).retry).toEqual({ ...retry, baseMs: 4_000, maxMs: 4_000 });
    expect([0, 1, 5].map((n) => retryDelay(savedSettings(before).retry, n, undefined, 0.5))).toEqual(
      [0, 1, 5].map((n) => retryDelay(before.retry, n, undefined, 0.5)),
    );
    expect(savedSettings({})).toEqual(DEFAULT_SETTINGS);
  });
});

describe("states", () => {
  test("a completed record never changes (A10), and every state is left or final", () => {
    expect(TRANSITIONS.completed).toEqual([]);
    for (const state of STATES) expect(TRANSITIONS[state]).not.toContain(state);
  });

  test("pausing never goes through a failure, retry never through running", () => {
    expect(canMove("paused", "downloading")).toBe(false);
    expect(canMove("failed", "downloading")).toBe(false);
    expect(canMove("paused", "queued")).toBe(true);
  });
});
