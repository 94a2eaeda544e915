import type { RetryPolicy } from "./download.ts";
import { DownloadError } from "./errors.ts";
import { DEFAULT_RETRY } from "./retry.ts";

/** What can be changed while running; kept in the database, in force at once. */
export interface Settings {
  maxConcurrent: number;
  connectionsPerDownload: number;
  /** Bytes per second for everything together, 0 = no limit. */
  rateLimit: number;
  retry: RetryPolicy;
  /** No download is led while this is true. */
  paused: boolean;
}

export type SettingsPatch = Partial<Omit<Settings, "retry">> & { retry?: Partial<RetryPolicy> };

export const DEFAULT_SETTINGS: Settings = {
  maxConcurrent: 3,
  connectionsPerDownload: 8,
  rateLimit: 0,
  retry: DEFAULT_RETRY,
  paused: false,
};

type Bounds = readonly [min: number, max: number];
const BOUNDS: Record<"maxConcurrent" | "connectionsPerDownload" | "rateLimit", Bounds> = {
  maxConcurrent: [1, 100],
  connectionsPerDownload: [1, 64],
  rateLimit: [0, Number.MAX_SAFE_INTEGER],
};
const RETRY_BOUNDS: Record<keyof RetryPolicy, Bounds> = {
  maxAttempts: [1, 1000],
  baseMs: [0, 3_600_000],
  maxMs: [0, 86_400_000],
  jitter: [0, 1],
};

/** The settings with the patch applied: all of it or, when one value is out of bounds, `invalid_request` (F165). */
export function applyPatch(settings: Settings, patch: SettingsPatch): Settings {
  for (const [key, bounds] of Object.entries(BOUNDS))
    within(key, patch[key as keyof typeof BOUNDS], bounds, true);
  const retry = applyRetry(settings.retry, patch.retry ?? {});
  const { retry: _, ...plain } = patch;
  const given = Object.fromEntries(Object.entries(plain).filter(([, v]) => v !== undefined));
  return { ...settings, ...given, retry };
}

/** A retry policy with some of its values changed; `invalid_request` names the one out of bounds. */
export function applyRetry(policy: RetryPolicy, patch: Partial<RetryPolicy>): RetryPolicy {
  for (const [key, bounds] of Object.entries(RETRY_BOUNDS)) {
    within(`retry.${key}`, patch[key as keyof RetryPolicy], bounds, key !== "jitter");
  }
  const given = Object.fromEntries(Object.entries(patch).filter(([, v]) => v !== undefined));
  return { ...policy, ...given };
}

function within(name: string, value: number | undefined, [min, max]: Bounds, integer: boolean): void {
  if (value === undefined) return;
  if (Number.isFinite(value) && value >= min && value <= max && (!integer || Number.isInteger(value))) return;
  const kind = integer ? "an integer" : "a number";
  throw new DownloadError("invalid_request", `'${name}' must be ${kind} between ${min} and ${max}.`, {
    param: name,
  });
}
