/** Whether two answers speak of the same bytes (RFC 9110 §8.8, §13.1; protocols/others.md §2.2). */
import type { Validator } from "../core/download.ts";
import { strongDate } from "../core/wait.ts";

/** What an answer says its bytes belong to. Weak ETags and young dates prove nothing and are left out (F26, F29). */
export function validatorOf(headers: Headers, url: string, size: number | null): Validator {
  const etag = headers.get("etag");
  return {
    etag: etag !== null && /^"[^"]*"$/.test(etag) ? etag : null,
    lastModified: strongDate(headers),
    size,
    origin: new URL(url).origin,
  };
}

/** True when bytes of two answers with this validator may be put together without a digest. */
export const isStrong = (validator: Validator): boolean =>
  validator.etag !== null || validator.lastModified !== null;

/** `unproven`: nothing in the two can be compared. */
export type Sameness = "same" | "unproven" | "changed";

export function compare(known: Validator, now: Validator): Sameness {
  if (known.size !== null && now.size !== null && known.size !== now.size) return "changed";
  if (known.etag !== null && now.etag !== null) return known.etag === now.etag ? "same" : "changed";
  if (known.lastModified !== null && now.lastModified !== null)
    return known.lastModified === now.lastModified ? "same" : "changed";
  return "unproven";
}
