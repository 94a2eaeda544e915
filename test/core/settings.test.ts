import { describe, expect, test } from "bun:test";
import { canMove, STATES, TRANSITIONS } from "../../src/core/download.ts";
import { DownloadError } from "../../src/core/errors.ts";
import { applyPatch, DEFAULT_SETTINGS } from "../../src/core/settings.ts";

describe("F165 settings change as a whole or not at all", () => {
  test.each([
    [{ maxConcurrent: 0 }, "maxConcurrent"],
    [{ maxConcurrent: 1.5 }, "maxConcurrent"],
    [{ connectionsPerDownload: 65 }, "connectionsPerDownload"],
    [{ rateLimit: -1 }, "rateLimit"],
    [{ rateLimit: Number.NaN }, "rateLimit"],
    [{ rateLimit: 5, retry: { maxAttempts: 0 } }, "retry.maxAttempts"],
    [{ retry: { jitter: 1.1 } }, "retry.jitter"],
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
