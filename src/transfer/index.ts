import type { Digests, Transfer } from "../core/ports.ts";
import { DigestPool } from "./digest.ts";
import { fetchFile } from "./job.ts";
import { DEFAULTS, type Engine, PATIENCE, stallRules, type TransferOptions } from "./options.ts";
import { Permits } from "./permits.ts";
import { Shaper } from "./rate.ts";

export type { Patience, TransferOptions } from "./options.ts";
export type { StallRules } from "./stall.ts";

const TICK_MS = 10;
/** The wall clock went so far ahead of the other one: the machine has slept, or the clock was set (F112). */
const SLEPT_MS = 10_000;

/** How bytes move: parts over several connections, verified while they arrive, resumable at every byte. */
export function createTransfer(
  options: TransferOptions,
): Transfer & { digests: Digests; close(): Promise<void> } {
  const { http, clock, log } = options;
  const given = { ...DEFAULTS, ...definedOf(options) };
  const patience = { ...PATIENCE, ...options.patience };
  const limits = {
    perDownload: options.connectionsPerDownload,
    perHost: given.maxConnectionsPerHost,
    total: given.maxConnections,
  };
  const permits = new Permits(clock, limits, patience.hostBackoffMs);
  const shaper = new Shaper(clock);
  const digests = new DigestPool(options.digestWorkers);
  const ticks = new Set<(now: number, woke: boolean) => void>();
  let timer: Timer | undefined;
  let offset = clock.now() - clock.monotonic();
  const tickAll = (): void => {
    const now = clock.monotonic();
    const ahead = clock.now() - now - offset;
    offset += ahead;
    for (const tick of ticks) {
      try {
        tick(now, ahead > SLEPT_MS);
      } catch (error) {
        // An observer's mistake costs its own file a look, not the process its life (F115).
        log.error("a transfer could not be looked after", { error: String(error) });
      }
    }
  };

  const engine: Engine = {
    http,
    clock,
    log,
    permits,
    shaper,
    digests,
    stall: stallRules(options.stall),
    patience,
    partBytes: given.partBytes,
    smallBytes: given.smallBytes,
    maxUnknownBytes: given.maxUnknownBytes,
    digestLagBytes: given.digestLagBytes,
    watch(tick) {
      ticks.add(tick);
      if (timer === undefined) {
        offset = clock.now() - clock.monotonic();
        timer = setInterval(tickAll, TICK_MS);
      }
      return () => {
        ticks.delete(tick);
        if (ticks.size > 0) return;
        clearInterval(timer);
        timer = undefined;
      };
    },
  };

  let rank = 0;
  return {
    digests,
    fetch: (job) => fetchFile(engine, job, rank++),
    setGlobalRate: (bps) => shaper.setGlobal(bps),
    setDownloadRate: (downloadId, bps) => shaper.setDownload(downloadId, bps),
    setConnections(perDownload) {
      permits.limits.perDownload = Math.max(1, perDownload);
      permits.pump();
    },
    forget: (downloadId) => shaper.setDownload(downloadId, 0),
    async close() {
      clearInterval(timer);
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
