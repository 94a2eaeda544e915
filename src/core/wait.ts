/** Longest wait another machine can impose on us; beyond that it is only a hint (F45). */
export const MAX_WAIT_MS = 3_600_000;

/** The three date forms of RFC 9110 §5.6.7; anything else `Date.parse` would read is no HTTP date. */
const HTTP_DATE = [
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/,
  /^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, \d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT$/,
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/,
];

/** Epoch milliseconds of an HTTP date, or undefined when the text is none. */
export function parseHttpDate(text: string): number | undefined {
  const form = HTTP_DATE.findIndex((pattern) => pattern.test(text));
  if (form < 0) return undefined;
  // The asctime form names no zone although it is always UTC.
  const time = Date.parse(form === 2 ? `${text} GMT` : text);
  return Number.isNaN(time) ? undefined : time;
}

/** How much older than Date a Last-Modified has to be before two changes within it can be ruled out (F29). */
const STRONG_AFTER_MS = 60_000;

/** Last-Modified of an answer where it tells one content from another (F29), else null. */
export function strongDate(headers: Headers): string | null {
  const text = headers.get("last-modified");
  const modified = parseHttpDate(text ?? "");
  const date = parseHttpDate(headers.get("date") ?? "");
  return modified !== undefined && date !== undefined && date - modified >= STRONG_AFTER_MS ? text : null;
}

/**
 * Milliseconds an answer asks us to wait before the next request: 0 to {@link MAX_WAIT_MS}, or undefined when it
 * does not say. 0 (also for a date in the past) means: nothing beyond our own backoff. Ask it of 429 and 503 only;
 * hubs send their limits with every answer. `now` is epoch milliseconds.
 *
 * An exhausted `RateLimit` goes before `Retry-After` (protocols/huggingface.md §6.1).
 */
export function retryAfterMs(headers: Headers, now: number): number | undefined {
  const wait = exhaustedMs(headers) ?? retryAfterHeaderMs(headers, now);
  return wait === undefined ? undefined : Math.min(Math.max(wait, 0), MAX_WAIT_MS);
}

function retryAfterHeaderMs(headers: Headers, now: number): number | undefined {
  const text = headers.get("retry-after")?.trim();
  if (!text) return undefined;
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const until = parseHttpDate(text);
  // Measured on the sender's own clock where it tells it, so that a wrong local clock does no harm (F74).
  return until === undefined ? undefined : until - (parseHttpDate(headers.get("date") ?? "") ?? now);
}

/** One second more than the reset of the slowest exhausted bucket, or undefined when none is exhausted. */
function exhaustedMs(headers: Headers): number | undefined {
  let wait: number | undefined;
  for (const [bucket, { r, t }] of limits(headers.get("ratelimit"))) {
    const seconds = t ?? limits(headers.get("ratelimit-policy")).get(bucket)?.w;
    if (r !== 0 || seconds === undefined) continue;
    wait = Math.max(wait ?? 0, (seconds + 1) * 1000);
  }
  return wait;
}

/**
 * `"api";r=12;t=50, "pages";r=0;t=3` -> the numeric parameters of each named bucket. The hub's policy header names
 * the kind of policy before the bucket (`"fixed window";"api";q=500;w=300`): the last quoted name counts.
 */
function limits(header: string | null): Map<string, Record<string, number | undefined>> {
  const buckets = new Map<string, Record<string, number | undefined>>();
  for (const item of (header ?? "").slice(0, 4096).split(",")) {
    const parts = item.split(";").map((part) => part.trim());
    const bucket = parts.findLast((part) => /^"[^"]*"$/.test(part));
    if (bucket === undefined) continue;
    const values: Record<string, number | undefined> = {};
    for (const part of parts) {
      const match = /^([a-z]+)=(\d+)$/.exec(part);
      if (match) values[match[1]!] = Number(match[2]);
    }
    buckets.set(bucket, values);
  }
  return buckets;
}
