import type { FetchRequest, HttpResponse } from "../core/ports.ts";

/** A request that can be made now. The leader's is the one that finds out where the address leads. */
export interface Grant {
  readonly request: FetchRequest;
  readonly version: number;
  readonly leader: boolean;
}

/**
 * A signed address is a lease. One puller follows the redirects, all others go to where they led; when that address
 * has expired, one asks the source again for all (F40). The original is not asked once per part.
 */
export class Lease {
  /** Grows with every fresh address. */
  version = 1;
  /** The latest address that has answered well; 0 while there was none. */
  workedVersion = 0;
  private current: { request: FetchRequest; resolved: boolean } | undefined;
  private leading: PromiseWithResolvers<void> | undefined;

  constructor(private readonly locate: () => Promise<FetchRequest>) {}

  /** The request to make now; waits while another finds the way. Every grant has to be settled. */
  async take(): Promise<Grant> {
    while (this.leading) await this.leading.promise;
    if (this.current?.resolved)
      return { request: this.current.request, version: this.version, leader: false };
    const leading = Promise.withResolvers<void>();
    this.leading = leading;
    try {
      this.current ??= { request: await this.locate(), resolved: false };
    } catch (error) {
      // Whoever waits is told as well: the source is not asked once per puller.
      leading.promise.catch(() => {});
      this.leading = undefined;
      leading.reject(error);
      throw error;
    }
    return { request: this.current.request, version: this.version, leader: true };
  }

  /** Reports how a grant ended: with the answer it led to, or undefined when there was none. */
  settle(grant: Grant, answer?: Pick<HttpResponse, "url" | "hops">): void {
    if (answer) this.workedVersion = Math.max(this.workedVersion, grant.version);
    if (!grant.leader) return;
    if (answer && grant.version === this.version && this.current)
      this.current = { request: behind(this.current.request, answer), resolved: true };
    this.release();
  }

  /** The address of this version is no good any more. False when a later one is there already. */
  expire(version: number): boolean {
    if (version !== this.version || !this.current) return false;
    this.current = undefined;
    this.version++;
    return true;
  }

  private release(): void {
    const leading = this.leading;
    this.leading = undefined;
    leading?.resolve();
  }
}

/**
 * The request that goes straight to where this one was led. After a change of origin it is a bare address: nothing
 * that was meant for the first origin goes to another, or comes back after a detour (F35, F36).
 */
function behind(request: FetchRequest, answer: Pick<HttpResponse, "url" | "hops">): FetchRequest {
  const origin = new URL(request.url).origin;
  const stayed = [...answer.hops, answer].every((hop) => new URL(hop.url).origin === origin);
  return stayed ? { ...request, url: answer.url } : { url: answer.url };
}
