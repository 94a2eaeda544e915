import type { DownloadError } from "../core/errors.ts";
import type { Clock } from "../core/ports.ts";

/** How a request ended, as far as the host's patience is concerned. */
export type Outcome =
  /** A good answer. */
  | "ok"
  /** 429, 503, or a reset before the answer while others ran: too many at once (F71). */
  | "refused";

/** The right to have one request open. */
export interface Permit {
  readonly host: string;
  /** The first host sent us on well, and another one answered: the permit counts there from now on. */
  moveTo(host: string): void;
  report(outcome: Outcome): void;
  release(): void;
}

export interface PermitLimits {
  perDownload: number;
  perHost: number;
  total: number;
}

interface Waiter {
  download: string;
  /** Age of the file's transfer: within a download the oldest goes first, so that few files are in pieces. */
  rank: number;
  host: string;
  grant: (permit: Permit) => void;
}

interface Host {
  active: number;
  /** Most at once; falls when the host refuses, and climbs back slowly (F71). */
  limit: number;
  climbAt: number;
  /** No new request before this time (F46). */
  gatedUntil: number;
  why: DownloadError | undefined;
  /** After a gate one request goes ahead alone (F47, F228). */
  halfOpen: boolean;
  backoffMs: number;
}

const CLIMB_MS = 5_000;
const MAX_BACKOFF_MS = 60_000;

/** Counts requests per host, per download and in all; waiting downloads take turns. */
export class Permits {
  private active = 0;
  private readonly perDownload = new Map<string, number>();
  private readonly hosts = new Map<string, Host>();
  /** Waiters per download, in the order of turns. */
  private readonly turns = new Map<string, Waiter[]>();
  private readonly closing = new AbortController();
  /** When somebody looks again whether a gate has opened. */
  private wakesAt = Number.POSITIVE_INFINITY;

  constructor(
    private readonly clock: Clock,
    readonly limits: PermitLimits,
    /** First pause for a host that does not say how long. */
    private readonly backoffMs = 500,
  ) {}

  /** A permit, at once where there is room. Rejects with the signal's reason. */
  acquire(download: string, rank: number, host: string, signal: AbortSignal): Permit | Promise<Permit> {
    if (signal.aborted) return Promise.reject(signal.reason);
    const now = this.clock.monotonic();
    if (!this.turns.has(download) && this.fits(download, host, now)) return this.grant(download, host);
    return new Promise((resolve, reject) => {
      const give = (permit: Permit): void => {
        signal.removeEventListener("abort", leave);
        resolve(permit);
      };
      const waiter: Waiter = { download, rank, host, grant: give };
      const leave = (): void => {
        this.drop(waiter);
        reject(signal.reason);
      };
      signal.addEventListener("abort", leave, { once: true });
      this.enqueue(waiter);
      this.pump();
    });
  }

  /**
   * Closes a host for `ms`, or for its own growing backoff when it did not say how long; `why` is what others that
   * cannot wait so long are told. Returns the wait.
   */
  gate(name: string, why: DownloadError, ms?: number): number {
    const host = this.host(name);
    const now = this.clock.monotonic();
    const wait = ms ?? host.backoffMs;
    if (host.gatedUntil <= now) host.backoffMs = Math.min(host.backoffMs * 2, MAX_BACKOFF_MS);
    host.gatedUntil = Math.max(host.gatedUntil, now + wait);
    host.halfOpen = true;
    host.why = why;
    this.schedule(now);
    return host.gatedUntil - now;
  }

  /** How long a host may not be asked yet, and why. */
  gated(name: string): { ms: number; why: DownloadError } | undefined {
    const host = this.hosts.get(name);
    const ms = host ? host.gatedUntil - this.clock.monotonic() : 0;
    return ms > 0 && host?.why ? { ms, why: host.why } : undefined;
  }

  /** Requests open to a host. */
  activeOn(name: string): number {
    return this.hosts.get(name)?.active ?? 0;
  }

  /** Whether it is the host that holds requests back, not one of our own limits. */
  hostIsFull(name: string): boolean {
    const host = this.hosts.get(name);
    return host !== undefined && host.limit < this.limits.perHost && host.active >= host.limit;
  }

  /** Limits were changed. */
  pump(): void {
    // One look at the clock: a gate that opens between two would be found closed by one, and past by the other.
    const now = this.clock.monotonic();
    for (let moved = true; moved; ) {
      moved = false;
      for (const [download, queue] of [...this.turns]) {
        const next = queue.findIndex((waiter) => this.fits(download, waiter.host, now));
        if (next < 0) continue;
        const [waiter] = queue.splice(next, 1) as [Waiter];
        this.turns.delete(download);
        if (queue.length > 0) this.turns.set(download, queue);
        waiter.grant(this.grant(download, waiter.host));
        moved = true;
      }
    }
    this.schedule(now);
  }

  close(): void {
    this.closing.abort();
  }

  private fits(download: string, name: string, now: number): boolean {
    const { total, perDownload } = this.limits;
    if (this.active >= total || (this.perDownload.get(download) ?? 0) >= perDownload) return false;
    const host = this.hosts.get(name);
    if (!host) return true;
    if (host.gatedUntil > now) return false;
    return host.active < (host.halfOpen ? 1 : Math.min(host.limit, this.limits.perHost));
  }

  private grant(download: string, name: string): Permit {
    this.active++;
    this.perDownload.set(download, (this.perDownload.get(download) ?? 0) + 1);
    let host = this.host(name);
    let at = name;
    let open = true;
    host.active++;
    return {
      get host() {
        return at;
      },
      moveTo: (other) => {
        if (other === at || !open) return;
        const [left, leftAt] = [host, at];
        at = other;
        host = this.host(other);
        host.active++;
        left.active--;
        // A hub that only redirects gives no other sign of being well again.
        this.report(left, "ok");
        this.forgetIdle(leftAt, left);
        if (this.turns.size > 0) this.pump();
      },
      report: (outcome) => this.report(host, outcome),
      release: () => {
        if (!open) return;
        open = false;
        host.active--;
        this.forgetIdle(at, host);
        this.active--;
        this.countDown(download);
        if (this.turns.size > 0) this.pump();
      },
    };
  }

  private report(host: Host, outcome: Outcome): void {
    const now = this.clock.monotonic();
    if (outcome === "ok") {
      host.backoffMs = this.backoffMs;
      const wasHalfOpen = host.halfOpen;
      host.halfOpen = false;
      if (host.limit < this.limits.perHost && now >= host.climbAt) {
        host.limit++;
        host.climbAt = now + CLIMB_MS;
      }
      if (wasHalfOpen) this.pump();
    } else {
      // What is open now is what it bears; each download halves its own wish.
      host.limit = Math.max(1, Math.min(host.limit, host.active));
      host.climbAt = now + CLIMB_MS;
    }
  }

  private countDown(download: string): void {
    const left = (this.perDownload.get(download) ?? 1) - 1;
    if (left > 0) this.perDownload.set(download, left);
    else this.perDownload.delete(download);
  }

  private host(name: string): Host {
    let host = this.hosts.get(name);
    if (!host) {
      const limit = this.limits.perHost;
      host = {
        active: 0,
        limit,
        climbAt: 0,
        gatedUntil: 0,
        why: undefined,
        halfOpen: false,
        backoffMs: this.backoffMs,
      };
      this.hosts.set(name, host);
    }
    return host;
  }

  /** A host in good standing that nobody uses needs no memory. */
  private forgetIdle(name: string, host: Host): void {
    if (host.active === 0 && !host.halfOpen && host.limit >= this.limits.perHost) this.hosts.delete(name);
  }

  private enqueue(waiter: Waiter): void {
    const queue = this.turns.get(waiter.download);
    if (!queue) this.turns.set(waiter.download, [waiter]);
    else {
      const at = queue.findIndex((other) => other.rank > waiter.rank);
      queue.splice(at < 0 ? queue.length : at, 0, waiter);
    }
  }

  private drop(waiter: Waiter): void {
    const queue = this.turns.get(waiter.download);
    const at = queue?.indexOf(waiter) ?? -1;
    if (at >= 0) queue?.splice(at, 1);
    if (queue?.length === 0) this.turns.delete(waiter.download);
  }

  /** Looks again when the next gate opens that was closed at `now`. */
  private schedule(now: number): void {
    if (this.turns.size === 0) return;
    let next = Number.POSITIVE_INFINITY;
    for (const { gatedUntil } of this.hosts.values()) if (gatedUntil > now) next = Math.min(next, gatedUntil);
    if (next >= this.wakesAt) return;
    this.wakesAt = next;
    const wake = (): void => {
      if (this.wakesAt === next) this.wakesAt = Number.POSITIVE_INFINITY;
      this.pump();
    };
    this.clock.sleep(next - now, this.closing.signal).then(wake, () => {});
  }
}
