/** What this browser remembers; written as soon as it changes, shared by its windows. */
import { type Signal, signal } from "@preact/signals";

export const THEMES = ["auto", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];
export const DENSITIES = ["comfortable", "compact"] as const;
export type Density = (typeof DENSITIES)[number];
/** Seconds between two refreshes where nothing is live (R113). */
export const INTERVALS = [1, 2, 5, 10] as const;
export type Interval = (typeof INTERVALS)[number];
/** `active` is what is being worked on: downloading, verifying, creating_engine. */
export const FILTERS = ["all", "active", "queued", "paused", "completed", "failed", "cancelled"] as const;
export type Filter = (typeof FILTERS)[number];
/** `queue` is the order of work: what runs, what waits in the order it will be taken, then what has ended. */
export const SORTS = ["queue", "name", "size", "progress", "speed", "added", "ended"] as const;
export type Sort = (typeof SORTS)[number];

const PREFIX = "modelhaul.";
const restored: [key: string, restore: (text: string | null) => void][] = [];

export const prefs = {
  theme: word("theme", THEMES, "auto"),
  density: word("density", DENSITIES, "comfortable"),
  /** Off: the page asks at the interval instead of listening. */
  live: word<boolean>("live", [true, false], true),
  interval: word<Interval>("interval", INTERVALS, 2),
  notifications: word<boolean>("notifications", [true, false], false),
  filter: word("filter", FILTERS, "all"),
  sort: word("sort", SORTS, "queue"),
  descending: word<boolean>("descending", [true, false], false),
  search: words("search"),
};

/** Follows other windows of this browser. Call once. */
export function sharePrefs(): void {
  window.addEventListener("storage", ({ key, newValue }) => {
    for (const [name, restore] of restored) if (key === PREFIX + name) restore(newValue);
  });
}

/** One of `known`; what is stored and none of them is ignored. */
function word<T extends string | number | boolean>(
  key: string,
  known: readonly T[],
  otherwise: NoInfer<T>,
): Signal<T> {
  return stored(key, (text) => known.find((value) => String(value) === text) ?? otherwise);
}

function words(key: string): Signal<string> {
  return stored(key, (text) => (text ?? "").slice(0, 500));
}

function stored<T extends string | number | boolean>(key: string, parse: (text: string | null) => T) {
  const value: Signal<T> = signal(parse(read(key)));
  value.subscribe((now) => write(key, String(now)));
  restored.push([
    key,
    (text) => {
      value.value = parse(text);
    },
  ]);
  return value;
}

/** Storage may be refused, by private windows for example: then nothing is remembered. */
function read(key: string): string | null {
  try {
    return localStorage.getItem(PREFIX + key);
  } catch {
    return null;
  }
}

function write(key: string, text: string): void {
  try {
    if (localStorage.getItem(PREFIX + key) !== text) localStorage.setItem(PREFIX + key, text);
  } catch {}
}
