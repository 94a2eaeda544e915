import type { Downloads } from "../../core/downloads.ts";
import type { Snapshot } from "../../core/feed.ts";
import { KeyedLock } from "../../core/keyed-lock.ts";
import { Problem } from "../problem.ts";
import type { StartBody } from "./schemas.ts";

export const REPLAY_HEADER = "Idempotency-Key";
const KEY = /^[\x21-\x7e]{1,255}$/;

type Labels = Record<string, string>;

/**
 * Requests that are sent again because their answer was lost (F155): the download that the first one began remembers the
 * key and what was asked, as hashes among its labels, for as long as there is a record of it.
 */
export class Replays {
  readonly #downloads: Downloads;
  readonly #lock = new KeyedLock();

  constructor(downloads: Downloads) {
    this.#downloads = downloads;
  }

  /**
   * What an earlier request with this key has begun, whatever has become of it, else what `start` begins with these
   * labels. Throws `invalid_request` for a key that is none, or that came with another body.
   */
  once(key: string, body: StartBody, start: (labels: Labels) => Promise<Snapshot>): Promise<Snapshot> {
    if (!KEY.test(key)) throw invalid("is 1 to 255 visible ASCII characters");
    const label = { idempotency_key: hashOf(key) };
    // Labels are shown: no hash of a secret is among them (F193).
    const { token: _, headers: __, ...asked } = body;
    const request = hashOf(JSON.stringify(asked, sorted));
    return this.#lock.run(label.idempotency_key, async () => {
      const [first] = (await this.#downloads.list({ labels: label }, { limit: 1 })).items;
      if (first === undefined) return start({ ...label, idempotency_request: request });
      if (first.labels.idempotency_request === request) return first;
      throw invalid("belongs to another request: choose a new one for each download");
    });
  }
}

const invalid = (what: string): Problem =>
  new Problem("invalid_request", `${REPLAY_HEADER} ${what}`, { param: REPLAY_HEADER });

const hashOf = (text: string): string => new Bun.CryptoHasher("sha256").update(text).digest("hex");

/** The same text for the same members, whatever their order. */
const sorted = (_: string, value: unknown): unknown =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : value;
