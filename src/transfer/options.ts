import type { Clock, Http, Log } from "../core/ports.ts";
import type { DigestPool } from "./digest.ts";
import type { Garbage } from "./garbage.ts";
import type { Permits } from "./permits.ts";
import type { Shaper } from "./rate.ts";
import type { StallRules } from "./stall.ts";
import type { Ticker } from "./ticker.ts";

/** How long one `fetch` helps itself before it hands the trouble to whoever called it. */
export interface Patience {
  /** Failures in a row without a new byte. */
  tries: number;
  /** First pause between them; doubles. */
  baseMs: number;
  /** Longest wait for a host that asks for one; beyond that the caller is told. */
  hostMs: number;
  /** First pause for a host that refuses without saying how long, or does not answer; doubles, up to a minute. */
  hostBackoffMs: number;
}

export interface TransferOptions {
  http: Http;
  clock: Clock;
  log: Log;
  /** Most connections of one download; may be changed while running. */
  connectionsPerDownload: number;
  /** Default 160. */
  maxConnectionsPerHost?: number;
  /** Default 200, which leaves the client some of its 250 for listings. */
  maxConnections?: number;
  /** Default: one per core. */
  digestWorkers?: number;
  stall?: Partial<StallRules>;
  patience?: Partial<Patience>;
  /** Least length of a part; default 16 MiB. */
  partBytes?: number;
  /** Files up to this size are hashed where they arrive, without a worker; default 1 MiB. */
  smallBytes?: number;
  /** Where a body without a known size is stopped; default 2 TiB. */
  maxUnknownBytes?: number;
  /** How far the network may run ahead of the digest; default 128 MiB. */
  digestLagBytes?: number;
}

/** What all running transfers share. */
export interface Engine {
  readonly http: Http;
  readonly clock: Clock;
  readonly permits: Permits;
  readonly shaper: Shaper;
  readonly digests: DigestPool;
  readonly stall: StallRules;
  readonly patience: Patience;
  readonly partBytes: number;
  readonly smallBytes: number;
  readonly maxUnknownBytes: number;
  readonly digestLagBytes: number;
  readonly ticker: Ticker;
  readonly garbage: Garbage;
}

export const PATIENCE: Patience = { tries: 3, baseMs: 200, hostMs: 10_000, hostBackoffMs: 500 };

export const DEFAULTS = {
  maxConnectionsPerHost: 160,
  maxConnections: 200,
  partBytes: 16 << 20,
  smallBytes: 1 << 20,
  maxUnknownBytes: 2 ** 41,
  digestLagBytes: 128 << 20,
};
