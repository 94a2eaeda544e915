import type { Digest } from "../core/download.ts";
import { DownloadError } from "../core/errors.ts";
import type { TransferJob, TransferResult } from "../core/ports.ts";
import { type DigestSession, digestOf } from "./digest.ts";
import { Lease } from "./lease.ts";
import type { Engine } from "./options.ts";
import { RangeSet } from "./parts.ts";
import { Round } from "./round.ts";
import { FileState, Restart } from "./state.ts";
import { Troubles } from "./trouble.ts";

/** Automatic restarts of one transfer; the next takes the file in one answer, and is the last (F24, F28). */
const MAX_RESTARTS = 2;

/** Leads the transfer of one file: rounds until every byte is there, then its digest. `rank`: its age among others. */
export async function fetchFile(engine: Engine, job: TransferJob, rank: number): Promise<TransferResult> {
  job.signal.throwIfAborted();
  const state = new FileState(job, trusted(job));
  if (job.size === 0) {
    const empty = job.digest && digestOf(job.digest.algorithm, [], 0);
    if (empty && empty.hex === job.digest?.hex) return emptyFile(job, empty);
    // Nobody vouches for it but the size itself, which has been seen to be a lie (F19): asked for once.
    Object.assign(state, { size: null, style: "whole", emptySeen: true });
  }
  if (state.written.total > 0 && !state.provable) await startOver(job, state, unprovable(job));
  const lease = new Lease(() => job.locate());
  const troubles = new Troubles(engine, job, state, lease);
  const judged = { mismatches: 0 };
  for (;;) {
    const session = openSession(engine, job, state);
    try {
      const round = new Round(engine, job, state, lease, troubles, rank, session);
      if (!state.complete) await round.run();
      return await conclude(engine, job, state, session, round.kept, judged);
    } catch (error) {
      session?.cancel();
      if (!(error instanceof Restart)) throw error;
      await startOver(job, state, error);
    }
  }
}

/** Receipts whose bytes are in the file; what lies beyond its length is not there (F88). */
function trusted(job: TransferJob): RangeSet {
  return RangeSet.of(job.receipts, Math.min(job.part.initialLength, job.size ?? Number.POSITIVE_INFINITY));
}

function unprovable(job: TransferJob): Restart {
  const reason = "the server gives no proof that it still has the same file";
  return new Restart(reason, new DownloadError("remote_changed", `${job.label}: ${reason}.`), false);
}

async function emptyFile(job: TransferJob, digest: Digest): Promise<TransferResult> {
  if (job.part.initialLength > 0) await job.part.truncate(0);
  job.observer.identified({ size: 0, validator: null, ranges: false });
  return { size: 0, digest, verified: true };
}

/** The digest follows the front of a large file; small ones are hashed at the end, where they lie in memory. */
function openSession(engine: Engine, job: TransferJob, state: FileState): DigestSession | undefined {
  const { digest, part } = job;
  if (!digest || (state.size !== null && state.size <= engine.smallBytes)) return undefined;
  if (digest.algorithm === "git-sha1" && state.size === null) return undefined;
  const session = engine.digests.open(part.path, digest.algorithm, state.size);
  session.advance(state.written.prefix);
  return session;
}

/** All bytes are written: the length of the file on disk, and the digest. */
async function conclude(
  engine: Engine,
  job: TransferJob,
  state: FileState,
  session: DigestSession | undefined,
  kept: readonly Uint8Array[] | undefined,
  judged: { mismatches: number },
): Promise<TransferResult> {
  const size = state.size!;
  if (job.part.initialLength > size && state.restarts === 0) await job.part.truncate(size);
  if (!job.digest) return { size, digest: null, verified: false };
  job.observer.verifying();
  const digest = kept
    ? digestOf(job.digest.algorithm, kept, size)
    : await finishDigest(engine, job, size, session);
  if (digest.hex === job.digest.hex) return { size, digest, verified: true };
  throw mismatch(job, state, digest, ++judged.mismatches);
}

async function finishDigest(
  engine: Engine,
  job: TransferJob,
  size: number,
  running: DigestSession | undefined,
): Promise<Digest> {
  const { algorithm } = job.digest!;
  const session = running ?? engine.digests.open(job.part.path, algorithm, size);
  if (session.hashed < size) job.observer.bottleneck("digest");
  const cancel = (): void => session.cancel();
  job.signal.addEventListener("abort", cancel, { once: true });
  if (job.signal.aborted) cancel();
  try {
    return await session.finish(size);
  } catch (error) {
    job.signal.throwIfAborted();
    throw error;
  } finally {
    job.signal.removeEventListener("abort", cancel);
  }
}

/** Never promoted; fetched once more from scratch, then given up with both digests (F75). */
function mismatch(job: TransferJob, state: FileState, actual: Digest, count: number): Restart {
  const promised = job.digest!;
  const digests = `promised ${promised.hex}, received ${actual.hex}`;
  const text = `${job.label}: the content does not match its ${promised.algorithm} digest: ${digests}.`;
  const error = new DownloadError(
    "checksum",
    `${text} The file on the server is damaged, or is not the one that was promised.`,
  );
  // What went wrong with pieces put together may come right in one.
  if (count > 1) state.restarts = Number.POSITIVE_INFINITY;
  else state.restarts = Math.min(state.restarts, MAX_RESTARTS - 1);
  return new Restart("its checksum did not match", error, state.drifted);
}

/** Everything so far is void. Throws what the restart was for when there have been enough. */
async function startOver(job: TransferJob, state: FileState, restart: Restart): Promise<void> {
  state.restarts++;
  state.size = state.promisedSize ?? null;
  state.validator = null;
  state.told = false;
  state.drifted = false;
  state.written = new RangeSet();
  job.observer.restarted(restart.reason);
  await job.part.truncate(0);
  const allowed = restart.whole ? MAX_RESTARTS : MAX_RESTARTS + 1;
  if (state.restarts > allowed) throw restart.error;
  state.style = restart.whole || state.restarts > MAX_RESTARTS ? "whole" : "parts";
}
