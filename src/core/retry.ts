import type { RetryPolicy } from "./download.ts";

export const DEFAULT_RETRY: RetryPolicy = { maxAttempts: 10, baseMs: 1000, maxMs: 60_000, jitter: 1 };

/** The longest wait a server may ask for (F45). */
export const MAX_RETRY_AFTER_MS = 3_600_000;

/**
 * How long to wait before the next attempt, or `undefined` to give up.
 *
 * @param attempt consecutive attempts that brought no new bytes, this one included (1 = first failure)
 * @param retryAfterMs what the server asked for; a floor, never shortened by jitter
 * @param random in [0, 1)
 */
export function retryDelay(
  policy: RetryPolicy,
  attempt: number,
  retryAfterMs: number | undefined,
  random: number,
): number | undefined {
  if (attempt >= policy.maxAttempts) return undefined;
  const ceiling = Math.min(policy.maxMs, policy.baseMs * 2 ** Math.min(Math.max(attempt, 1) - 1, 30));
  const backoff = ceiling * (1 - policy.jitter) + ceiling * policy.jitter * random;
  const floor = Math.min(retryAfterMs ?? 0, MAX_RETRY_AFTER_MS);
  return Math.round(floor > 0 ? floor + Math.min(backoff, 1000) : backoff);
}
