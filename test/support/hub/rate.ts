/** The three budgets of protocols/huggingface.md §6.1. */
export type RateBucket = "api" | "resolvers" | "pages";

export type Quotas = Record<RateBucket, number>;

/** What the real Hub grants an address without a token. */
export const ANONYMOUS_QUOTAS: Quotas = { api: 500, resolvers: 3_000, pages: 100 };

/** Enough for every test that is not about limits. */
export const GENEROUS_QUOTAS: Quotas = { api: 1_000_000, resolvers: 1_000_000, pages: 1_000_000 };

const WINDOW_S = 300;

interface Window {
  used: number;
  endsAt: number;
}

/** Fixed windows, one per budget, for all callers together. */
export class RateLimits {
  private readonly windows: Partial<Record<RateBucket, Window>> = {};

  constructor(public quotas: Quotas) {}

  /** Counts a request. `headers` go on every answer; `exceeded` says that this one has to be a 429. */
  count(bucket: RateBucket): { exceeded: boolean; headers: [string, string][] } {
    const window = this.windowOf(bucket);
    const quota = this.quotas[bucket];
    const exceeded = window.used >= quota;
    if (!exceeded) window.used++;
    const left = quota - window.used;
    const seconds = Math.ceil((window.endsAt - Date.now()) / 1000);
    return {
      exceeded,
      headers: [
        ["RateLimit", `"${bucket}";r=${left};t=${seconds}`],
        ["RateLimit-Policy", `"fixed window";"${bucket}";q=${quota};w=${WINDOW_S}`],
      ],
    };
  }

  /** Nothing is left of the budget for so many seconds; after exactly that time it is full again. */
  exhaust(bucket: RateBucket, seconds: number): void {
    this.windows[bucket] = { used: this.quotas[bucket], endsAt: Date.now() + seconds * 1000 };
  }

  private windowOf(bucket: RateBucket): Window {
    const current = this.windows[bucket];
    if (current && current.endsAt > Date.now()) return current;
    const fresh = { used: 0, endsAt: Date.now() + WINDOW_S * 1000 };
    this.windows[bucket] = fresh;
    return fresh;
  }
}
