/** The server's settings as text in fields, and back. */
import type { Settings } from "../../state/types.ts";

export const NAMES = ["concurrent", "connections", "rate", "attempts", "first", "longest", "jitter"] as const;
export type Name = (typeof NAMES)[number];
export type Draft = Record<Name, string>;

const MIB = 1024 ** 2;

/** Bounds as the API has them; seconds and megabytes as people have them. */
export const BOUNDS: Record<Name, { min: number; max: number; whole: boolean }> = {
  concurrent: { min: 1, max: 100, whole: true },
  connections: { min: 1, max: 64, whole: true },
  rate: { min: 0, max: 1_000_000, whole: false },
  attempts: { min: 1, max: 1000, whole: true },
  first: { min: 0, max: 3600, whole: false },
  longest: { min: 0, max: 86_400, whole: false },
  jitter: { min: 0, max: 100, whole: true },
};

const text = (value: number): string => String(Math.round(value * 1000) / 1000);

export const draftOf = (settings: Settings): Draft => ({
  concurrent: text(settings.max_concurrent),
  connections: text(settings.connections_per_download),
  rate: settings.rate_limit_bps === 0 ? "" : text(settings.rate_limit_bps / MIB),
  attempts: text(settings.retry.max_attempts),
  first: text(settings.retry.base_ms / 1000),
  longest: text(settings.retry.max_ms / 1000),
  jitter: text(settings.retry.jitter * 100),
});

/** What is wrong with a field; undefined when nothing is. No limit of the rate may be left empty. */
export function fault(name: Name, typed: string): string | undefined {
  const { min, max, whole } = BOUNDS[name];
  if (name === "rate" && typed.trim() === "") return undefined;
  const value = Number(typed);
  if (typed.trim() !== "" && value >= min && value <= max && (!whole || Number.isInteger(value)))
    return undefined;
  return `${whole ? "A whole number" : "A number"} from ${min} to ${max}`;
}

/** Only what was changed: another window may have changed the rest. */
export function changesOf(draft: Draft, settings: Settings) {
  const before = draftOf(settings);
  const isNew = (name: Name): boolean => Number(draft[name]) !== Number(before[name]);
  const changed = <T extends object>(name: Name, change: (value: number) => T): T | undefined =>
    isNew(name) ? change(Number(draft[name])) : undefined;
  const retry = {
    ...changed("attempts", (max_attempts) => ({ max_attempts })),
    ...changed("first", (seconds) => ({ base_ms: Math.round(seconds * 1000) })),
    ...changed("longest", (seconds) => ({ max_ms: Math.round(seconds * 1000) })),
    ...changed("jitter", (share) => ({ jitter: share / 100 })),
  };
  return {
    ...changed("concurrent", (max_concurrent) => ({ max_concurrent })),
    ...changed("connections", (connections_per_download) => ({ connections_per_download })),
    ...changed("rate", (rate) => ({ rate_limit_bps: Math.round(rate * MIB) })),
    ...(Object.keys(retry).length === 0 ? {} : { retry }),
  };
}
