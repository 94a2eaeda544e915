import ipaddr from "ipaddr.js";
import type { Clock } from "../core/ports.ts";

/** Wrong keys one address may send before its tries are spaced out. */
const FREE_TRIES = 10;
const WINDOW_MS = 60_000;
const SPACING_MS = 100;
const LONGEST_QUEUE = 20;
/** With this many wrong keys a minute from everywhere, each address is spaced out after its first. */
const GLOBAL_TRIES = 300;
const MOST_SOURCES = 10_000;

interface Source {
  wrong: number;
  since: number;
  /** Monotonic time the next try may be judged. */
  nextAt: number;
}

/**
 * Slows down guessing of the key, per source address, of IPv6 per network of one host (F186). Right and wrong keys wait alike, so the delay tells
 * nothing, and whoever has the key gets through after his turn instead of being locked out.
 */
export class Attempts {
  readonly #clock: Clock;
  readonly #sources = new Map<string, Source>();
  #wrong = 0;
  #since = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves when this source may be judged; false when too many of its tries are waiting already. */
  async turn(address: string): Promise<boolean> {
    const now = this.#clock.monotonic();
    const source = this.#sources.get(networkOf(address));
    if (!source || now - source.since > WINDOW_MS) return true;
    const free = this.#wrongLately(now) > GLOBAL_TRIES ? 1 : FREE_TRIES;
    if (source.wrong < free) return true;
    const at = Math.max(source.nextAt, now);
    if (at - now > LONGEST_QUEUE * SPACING_MS) return false;
    source.nextAt = at + SPACING_MS;
    if (at > now) await this.#clock.sleep(at - now);
    return true;
  }

  /** A wrong key came from there. */
  failed(address: string): void {
    const now = this.#clock.monotonic();
    if (this.#wrongLately(now) === 0) this.#since = now;
    this.#wrong++;
    const network = networkOf(address);
    const known = this.#sources.get(network);
    if (known && now - known.since <= WINDOW_MS) {
      known.wrong++;
      return;
    }
    if (this.#sources.size >= MOST_SOURCES) this.#sources.clear();
    this.#sources.set(network, { wrong: 1, since: now, nextAt: 0 });
  }

  #wrongLately(now: number): number {
    if (now - this.#since > WINDOW_MS) this.#wrong = 0;
    return this.#wrong;
  }
}

/** Bits of an IPv6 address that name the network; the others its host chooses, a new one for each try if it likes. */
const NETWORK_BITS = 64;

/** What counts as one source: an IPv4 address, or everything that one IPv6 host can call itself. */
function networkOf(address: string): string {
  if (!ipaddr.isValid(address)) return address;
  const parsed = ipaddr.process(address);
  if (!(parsed instanceof ipaddr.IPv6)) return parsed.toString();
  return ipaddr.IPv6.networkAddressFromCIDR(`${parsed.toString()}/${NETWORK_BITS}`).toString();
}
