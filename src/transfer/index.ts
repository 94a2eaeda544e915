import type { Digests, Transfer } from "../core/ports.ts";
import { DigestPool } from "./digest.ts";
import { Garbage } from "./garbage.ts";
import { fetchFile } from "./job.ts";
import { DEFAULTS, type Engine, PATIENCE, type TransferOptions } from "./options.ts";
import { Permits } from "./permits.ts";
import { Shaper } from "./rate.ts";
import { STALL_RULES } from "./stall.ts";
import { Ticker } from "./ticker.ts";

export type { Patience, TransferOptions } from "./options.ts";
export type { StallRules } from "./stall.ts";

/** How bytes move: parts over several connections, verified while they arrive, resumable at every byte. */
export function createTransfer(
  options: TransferOptions,
): Transfer & { digests: Digests; close(): Promise<void> } {
  const { http, clock, log } = options;
  const { partBytes, smallBytes, maxUnknownBytes, digestLagBytes, ...given } = {
    ...DEFAULTS,
    ...definedOf(options),
  };
  const patience = { ...PATIENCE, ...options.patience };
  const limits = {
    perDownload: options.connectionsPerDownload,
    perHost: given.maxConnectionsPerHost,
    total: given.maxConnections,
  };
  const permits = new Permits(clock, limits, patience.hostBackoffMs);
  const shaper = new Shaper(clock);
  const digests = new DigestPool(options.digestWorkers);
  const ticker = new Ticker(clock, log);
  const garbage = new Garbage();
  const stall = { ...STALL_RULES, ...options.stall };
  const sizes = { partBytes, smallBytes, maxUnknownBytes, digestLagBytes };
  const engine: Engine = {
    http,
    clock,
    permits,
    shaper,
    digests,
    ticker,
    garbage,
    stall,
    patience,
    ...sizes,
  };

  let rank = 0;
  return {
    digests,
    fetch: (job) => fetchFile(engine, job, rank++),
    setGlobalRate: (bps) => shaper.setGlobal(bps),
    setDownloadRate: (downloadId, bps) => shaper.setDownload(downloadId, bps),
    setConnections(perDownload) {
      limits.perDownload = Math.max(1, perDownload);
      permits.pump();
    },
    forget: (downloadId) => shaper.setDownload(downloadId, 0),
    async close() {
      ticker.close();
      permits.close();
      shaper.close();
      await digests.close();
    },
  };
}

/** Options that are there; one that is `undefined` leaves the default alone. */
function definedOf(options: TransferOptions): Partial<TransferOptions> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}
