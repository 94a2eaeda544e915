import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

const digest = (text: string): Buffer => createHash("sha256").update(text, "utf8").digest();

/** A secret of which only the digest is kept; comparing takes the same time whatever is offered (F185, F188). */
export class SealedKey {
  readonly #digest: Buffer;

  constructor(key: string) {
    this.#digest = digest(key);
  }

  matches(offered: string): boolean {
    return timingSafeEqual(this.#digest, digest(offered));
  }
}

/** 256 random bits as text for cookies and query strings. */
export const randomToken = (): string => randomBytes(32).toString("base64url");

/** Random secrets that expire. Kept by digest: neither a dump nor a timing difference gives one away. */
export class TokenBook<T> {
  readonly #entries = new Map<string, { value: T; until: number }>();
  readonly #now: () => number;
  readonly #lifeMs: number;
  readonly #most: number;

  /** `now` is monotonic milliseconds; beyond `most` entries the oldest is forgotten. */
  constructor(now: () => number, lifeMs: number, most: number) {
    this.#now = now;
    this.#lifeMs = lifeMs;
    this.#most = most;
  }

  issue(value: T): string {
    const token = randomToken();
    this.#dropExpired();
    const oldest = this.#entries.size >= this.#most ? this.#entries.keys().next().value : undefined;
    if (oldest !== undefined) this.#entries.delete(oldest);
    this.#entries.set(digest(token).toString("hex"), { value, until: this.#now() + this.#lifeMs });
    return token;
  }

  peek(token: string): T | undefined {
    const entry = this.#entries.get(digest(token).toString("hex"));
    return entry && entry.until > this.#now() ? entry.value : undefined;
  }

  /** The value once: the token is good for nothing afterwards. */
  take(token: string): T | undefined {
    const value = this.peek(token);
    this.#entries.delete(digest(token).toString("hex"));
    return value;
  }

  /** Forgets every token whose value fits. */
  revoke(fits: (value: T) => boolean): void {
    for (const [key, { value }] of this.#entries) if (fits(value)) this.#entries.delete(key);
  }

  #dropExpired(): void {
    const now = this.#now();
    for (const [key, entry] of this.#entries) {
      if (entry.until > now) return;
      this.#entries.delete(key);
    }
  }
}
