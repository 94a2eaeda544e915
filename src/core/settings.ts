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

interface Bounds {
  /** As the native API spells it. */
  name: string;
  min: number;
  max: number;
  /** Default true. */
  whole?: boolean;
}

const BOUNDS: Record<"maxConcurrent" | "connectionsPerDownload" | "rateLimit", Bounds> = {
  maxConcurrent: { name: "max_concurrent", min: 1, max: 100 },
  connectionsPerDownload: { name: "connections_per_download", min: 1, max: 64 },
  rateLimit: { name: "rate_limit_bps", min: 0, max: Number.MAX_SAFE_INTEGER },
};
const RETRY_BOUNDS: Record<keyof RetryPolicy, Bounds> = {
  maxAttempts: { name: "retry.max_attempts", min: 1, max: 1000 },
  baseMs: { name: "retry.base_ms", min: 0, max: 3_600_000 },
  maxMs: { name: "retry.max_ms", min: 0, max: 86_400_000 },
  jitter: { name: "retry.jitter", min: 0, max: 1, whole: false },
};

/**
 * The settings with the patch applied: all of it or, when one value is out of bounds or contradicts another,
 * `invalid_request` that names it (F165).
 */
export function applyPatch(settings: Settings, patch: SettingsPatch): Settings {
  checkAll(BOUNDS, patch);
  const retry = applyRetry(settings.retry, patch.retry ?? {});
  const { retry: _, ...plain } = patch;
  return { ...settings, ...given(plain), retry };
}

/** A retry policy with some of its values changed; `invalid_request` names the one that cannot be. */
export function applyRetry(policy: RetryPolicy, patch: Partial<RetryPolicy>): RetryPolicy {
  checkAll(RETRY_BOUNDS, patch);
  const after = { ...policy, ...given(patch) };
  if (after.baseMs > after.maxMs) throw contradiction(after, patch);
  return after;
}

/** A policy of one's own over `defaults`, of which nobody has said that they must hold: they give way to what is given. */
export function retryOver(defaults: RetryPolicy, own: Partial<RetryPolicy>): RetryPolicy {
  const { baseMs = 0, maxMs = Number.POSITIVE_INFINITY } = own;
  const fitted = {
    ...defaults,
    baseMs: Math.min(defaults.baseMs, maxMs),
    maxMs: Math.max(defaults.maxMs, baseMs),
  };
  return applyRetry(fitted, own);
}

/** Settings that an earlier version has saved, when the first wait could be longer than the longest: what they did stays. */
export function savedSettings(saved: SettingsPatch): Settings {
  const { baseMs, maxMs } = { ...DEFAULT_RETRY, ...saved.retry };
  const retry = { ...saved.retry, baseMs: Math.min(baseMs, maxMs) };
  return applyPatch(DEFAULT_SETTINGS, { ...saved, retry });
}

function contradiction({ baseMs, maxMs }: RetryPolicy, patch: Partial<RetryPolicy>): DownloadError {
  const [first, longest] = [RETRY_BOUNDS.baseMs.name, RETRY_BOUNDS.maxMs.name];
  const isFirst = patch.baseMs !== undefined;
  const message = isFirst
    ? `'${first}' must be at most '${longest}', which is ${maxMs}.`
    : `'${longest}' must be at least '${first}', which is ${baseMs}.`;
  return new DownloadError("invalid_request", message, { param: isFirst ? first : longest });
}

const given = <T extends object>(patch: T): Partial<T> =>
  Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined)) as Partial<T>;

function checkAll<K extends string>(all: Record<K, Bounds>, values: Partial<Record<K, unknown>>): void {
  for (const key of Object.keys(all) as K[]) check(all[key], values[key]);
}

function check({ name, min, max, whole = true }: Bounds, value: unknown): void {
  if (value === undefined) return;
  const isWithin = typeof value === "number" && value >= min && value <= max;
  if (isWithin && (!whole || Number.isInteger(value))) return;
  const kind = whole ? "an integer" : "a number";
  throw new DownloadError("invalid_request", `'${name}' must be ${kind} between ${min} and ${max}.`, {
    param: name,
  });
}
