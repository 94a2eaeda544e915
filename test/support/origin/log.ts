import type { WireRequest } from "./request.ts";

/** `open` while bytes may still flow; `gone` when the client left before the end. */
export type Outcome = "open" | "complete" | "stalled" | "cut" | "reset" | "gone";

/** What the origin remembers of a request. Times are milliseconds of `performance.now()`. */
export interface LoggedRequest {
  /** From 1, in the order of arrival. */
  readonly number: number;
  readonly connection: number;
  readonly method: string;
  readonly target: string;
  readonly path: string;
  readonly query: string;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  /** The Range header, as sent. */
  readonly range: string | undefined;
  readonly body: string;
  readonly startedAt: number;
  /** 0 until a head has been sent. */
  status: number;
  /** Body bytes that the kernel took. */
  sent: number;
  headAt?: number;
  endedAt?: number;
  outcome: Outcome;
}

export interface Stats {
  requests: number;
  /** Body bytes, all requests together. */
  bytesSent: number;
  /** Connections accepted since the start. */
  connections: number;
  openConnections: number;
  maxOpenConnections: number;
  /** Requests being answered at this moment, and the most there ever were. */
  active: number;
  maxActive: number;
}

const KEPT = 200_000;

export class Log {
  readonly requests: LoggedRequest[] = [];
  readonly stats: Stats = {
    requests: 0,
    bytesSent: 0,
    connections: 0,
    openConnections: 0,
    maxOpenConnections: 0,
    active: 0,
    maxActive: 0,
  };
  private readonly watchers = new Set<() => void>();

  opened(): void {
    this.stats.connections++;
    this.stats.openConnections++;
    this.stats.maxOpenConnections = Math.max(this.stats.maxOpenConnections, this.stats.openConnections);
    this.changed();
  }

  closed(): void {
    this.stats.openConnections--;
    this.changed();
  }

  begin(request: WireRequest, connection: number): LoggedRequest {
    const { method, target, path, query, headers, body } = request;
    const entry: LoggedRequest = {
      number: ++this.stats.requests,
      connection,
      method,
      target,
      path,
      query,
      headers,
      range: headers.range,
      body,
      startedAt: performance.now(),
      status: 0,
      sent: 0,
      outcome: "open",
    };
    this.requests.push(entry);
    if (this.requests.length > 2 * KEPT) this.requests.splice(0, KEPT);
    this.stats.active++;
    this.stats.maxActive = Math.max(this.stats.maxActive, this.stats.active);
    this.changed();
    return entry;
  }

  sent(entry: LoggedRequest, bytes: number): void {
    entry.sent += bytes;
    this.stats.bytesSent += bytes;
    this.changed();
  }

  end(entry: LoggedRequest, outcome: Outcome): void {
    entry.outcome = outcome;
    entry.endedAt = performance.now();
    this.stats.active--;
    this.changed();
  }

  /** Tells everybody who waits that a counter has moved. */
  changed(): void {
    for (const look of [...this.watchers]) look();
  }

  /** Resolves as soon as `holds` does; it is asked again whenever a counter has moved. */
  waitFor(holds: () => boolean, what: string, timeoutMs: number): Promise<void> {
    if (holds()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const settle = (end: () => void): void => {
        clearTimeout(timer);
        this.watchers.delete(look);
        end();
      };
      const look = (): void => {
        if (holds()) settle(resolve);
      };
      const timer = setTimeout(
        () => settle(() => reject(new Error(this.explain(what, timeoutMs)))),
        timeoutMs,
      );
      this.watchers.add(look);
    });
  }

  private explain(what: string, timeoutMs: number): string {
    const last = this.requests.slice(-12).map((it) => {
      const range = it.range ? ` ${it.range}` : "";
      return `  #${it.number} c${it.connection} ${it.method} ${it.target}${range} -> ${it.status}, ${it.sent} bytes, ${it.outcome}`;
    });
    return `the origin waited ${timeoutMs} ms for ${what}; last requests:\n${last.join("\n") || "  (none)"}`;
  }
}
