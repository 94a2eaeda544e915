/** Numbers and times as the reader writes them. */
const locale = globalThis.navigator?.language;
const UNITS = ["B", "KB", "MB", "GB", "TB", "PB"];
const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
const twoDigits = new Intl.NumberFormat(locale, { minimumIntegerDigits: 2, maximumFractionDigits: 0 });
const share = new Intl.NumberFormat(locale, {
  style: "percent",
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
});
const tenths = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const hundredths = new Intl.NumberFormat(locale, { minimumFractionDigits: 2, maximumFractionDigits: 2 });

/** `1.50 GB`, powers of 1024, three figures at most. */
export function bytes(count: number): string {
  let unit = 0;
  let value = count;
  for (; value >= 999.5 && unit < UNITS.length - 1; unit += 1) value /= 1024;
  const format = unit === 0 || value >= 99.95 ? whole : value >= 9.995 ? tenths : hundredths;
  return `${format.format(value)} ${UNITS[unit]}`;
}

/** Of bytes per second. */
export const speed = (perSecond: number): string => `${bytes(perSecond)}/s`;

export const number = (value: number): string => whole.format(value);

/** Seconds it will still take; undefined while no bytes come, when what it has been on average says nothing. */
export const remaining = ({
  speed: now,
  timing,
}: {
  speed: number;
  timing: { estimated_remaining_seconds?: number };
}): number | undefined => (now > 0 ? timing.estimated_remaining_seconds : undefined);

/** `2:03`, `1:02:03`, `3 d 4 h`. */
export function duration(seconds: number): string {
  const two = (value: number): string => twoDigits.format(Math.floor(value));
  const days = Math.floor(seconds / 86_400);
  const hours = Math.floor((seconds % 86_400) / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  if (days > 0) return `${whole.format(days)} d ${whole.format(hours)} h`;
  const rest = two(seconds % 60);
  return hours > 0 ? `${whole.format(hours)}:${two(minutes)}:${rest}` : `${whole.format(minutes)}:${rest}`;
}

/** One decimal, rounded down: 100.0 means all of it (R120). */
export const percent = (percentage: number): string =>
  share.format(Math.floor(percentage * 10 + 1e-9) / 1000);

const clock = /* @__PURE__ */ new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit" });
const day = /* @__PURE__ */ new Intl.DateTimeFormat(locale, {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
});
const full = /* @__PURE__ */ new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" });

/** Epoch milliseconds: the hour today, else the day too. */
export function time(at: number, now = Date.now()): string {
  const isToday = new Date(at).toDateString() === new Date(now).toDateString();
  return (isToday ? clock : day).format(at);
}

const OF_CLOCK: readonly string[] = ["hour", "minute", "second", "dayPeriod"];

/** Epoch milliseconds, with everything. Where it is too long for its line it breaks between the day and the hour only. */
export function date(at: number): string {
  const parts = full.formatToParts(at);
  const isClock = (index: number): boolean => OF_CLOCK.includes(parts[index]?.type ?? "");
  return parts
    .map(({ type, value }, index) =>
      type === "literal" && isClock(index - 1) === isClock(index + 1)
        ? value.replaceAll(" ", "\u00a0")
        : value,
    )
    .join("");
}

const STATE_WORDS: Record<string, string> = { creating_engine: "creating engine" };
/** The API's word of a state, as people read it. */
export const stateWord = (state: string): string => STATE_WORDS[state] ?? state;
