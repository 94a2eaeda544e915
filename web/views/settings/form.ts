/** The server's settings as text in fields, and back. */
import { numberFault, numberOf, type Range, rateFault, rateOf } from "../../parts/number.tsx";
import type { Settings } from "../../state/types.ts";

export const NAMES = ["concurrent", "connections", "rate", "attempts", "first", "longest", "jitter"] as const;
export type Name = (typeof NAMES)[number];
export type Draft = Record<Name, string>;

export type Faults = Partial<Record<Name, string>>;

const MIB = 1024 ** 2;

/** Bounds as the API has them, in seconds and percent as people have them. */
export const RANGES: Record<Exclude<Name, "rate">, Range> = {
  concurrent: { min: 1, max: 100, whole: true },
  connections: { min: 1, max: 64, whole: true },
  attempts: { min: 1, max: 1000, whole: true },
  first: { min: 0, max: 3600, whole: false },
  longest: { min: 0, max: 86_400, whole: false },
  jitter: { min: 0, max: 100, whole: true },
};

/** The API's parameters. */
const FIELDS: Record<string, Name> = {
  max_concurrent: "concurrent",
  connections_per_download: "connections",
  rate_limit_bps: "rate",
  "retry.max_attempts": "attempts",
  "retry.base_ms": "first",
  "retry.max_ms": "longest",
  "retry.jitter": "jitter",
};
export const fieldOf = (param: string | null): Name | undefined =>
  param === null ? undefined : FIELDS[param];

/** Three decimals, more where nothing would be left; never with an exponent. */
function text(value: number): string {
  const short = Math.round(value * 1000) / 1000;
  return short !== 0 || value === 0 ? String(short) : value.toFixed(9).replace(/0+$/, "");
}

export const draftOf = (settings: Settings): Draft => ({
  concurrent: text(settings.max_concurrent),
  connections: text(settings.connections_per_download),
  rate: settings.rate_limit_bps === 0 ? "" : text(settings.rate_limit_bps / MIB),
  attempts: text(settings.retry.max_attempts),
  first: text(settings.retry.base_ms / 1000),
  longest: text(settings.retry.max_ms / 1000),
  jitter: text(settings.retry.jitter * 100),
});

/** What is wrong in which fields, in words that say what to write instead. */
export function faultsOf(draft: Draft, settings: Settings): Faults {
  const faults: Faults = {};
  for (const name of NAMES) {
    const fault = name === "rate" ? rateFault(draft.rate, MIB) : numberFault(draft[name], RANGES[name]);
    if (fault !== undefined) faults[name] = fault;
  }
  if (faults.first !== undefined || faults.longest !== undefined) return faults;
  const [first, longest] = [numberOf(draft.first), numberOf(draft.longest)];
  if (first <= longest) return faults;
  // It is said where something was changed.
  if (isNew("longest", draft, settings) && !isNew("first", draft, settings))
    faults.longest = `Write at least the first wait, which is ${first} s, or make that shorter.`;
  else faults.first = `Write at most the longest wait, which is ${longest} s, or make that longer.`;
  return faults;
}

const read = (name: Name, typed: string): number => (name === "rate" ? rateOf(typed, MIB) : numberOf(typed));

/** Something else than the settings have, or nothing that could be set. */
const isNew = (name: Name, draft: Draft, settings: Settings): boolean =>
  read(name, draft[name]) !== read(name, draftOf(settings)[name]);

/** The draft on newer settings: what was typed stays, the rest is as another window has saved it. */
export function rebased(draft: Draft, before: Settings, settings: Settings): Draft {
  const now = draftOf(settings);
  const kept = NAMES.filter((name) => isNew(name, draft, before)).map((name) => [name, draft[name]] as const);
  return { ...now, ...Object.fromEntries(kept) };
}

/** Only what was changed: another window may have changed the rest. */
export function changesOf(draft: Draft, settings: Settings) {
  const changed = <T extends object>(name: Name, change: (value: number) => T): T | undefined =>
    isNew(name, draft, settings) ? change(read(name, draft[name])) : undefined;
  const retry = {
    ...changed("attempts", (max_attempts) => ({ max_attempts })),
    ...changed("first", (seconds) => ({ base_ms: Math.round(seconds * 1000) })),
    ...changed("longest", (seconds) => ({ max_ms: Math.round(seconds * 1000) })),
    ...changed("jitter", (share) => ({ jitter: share / 100 })),
  };
  return {
    ...changed("concurrent", (max_concurrent) => ({ max_concurrent })),
    ...changed("connections", (connections_per_download) => ({ connections_per_download })),
    ...changed("rate", (rate_limit_bps) => ({ rate_limit_bps })),
    ...(Object.keys(retry).length === 0 ? {} : { retry }),
  };
}
