import { createHmac, randomBytes } from "node:crypto";

/**
 * Signed links, as object stores and CDNs make them: `?expires=<epoch ms>&sig=…` opens one path until then.
 * Rotating the key makes every link issued so far look expired.
 */
export class Signer {
  private key = randomBytes(16);

  /** The query of a link to `path` that is good for `ttlMs`. */
  sign(path: string, ttlMs: number): string {
    const expires = Math.round(Date.now() + ttlMs);
    return `expires=${expires}&sig=${this.seal(`${path}\n${expires}`)}`;
  }

  /** Whether the query opens `path` now. */
  opens(path: string, query: string): boolean {
    const params = new URLSearchParams(query);
    const expires = params.get("expires") ?? "";
    return params.get("sig") === this.seal(`${path}\n${expires}`) && Date.now() < Number(expires);
  }

  /** From now on no link issued before opens anything. */
  expireAll(): void {
    this.key = randomBytes(16);
  }

  /** The signature of any text under the key of the moment. */
  seal(text: string): string {
    return createHmac("sha256", this.key).update(text).digest("base64url");
  }
}
