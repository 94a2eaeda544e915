import type { Download, File } from "./download.ts";
import type { Engines } from "./engines.ts";
import type { DownloadError } from "./errors.ts";
import type { Journal } from "./journal.ts";
import type { Meter } from "./meter.ts";
import type {
  Clock,
  Database,
  Digests,
  DownloadPatch,
  EngineRuntime,
  Log,
  Plan,
  Reservation,
  Secret,
  Secrets,
  Source,
  Storage,
  Transfer,
} from "./ports.ts";
import type { Turns } from "./turns.ts";

/** What the composition root puts together. */
export interface Rooms {
  db: Database;
  clock: Clock;
  log: Log;
  sources: readonly Source[];
  storage: Storage;
  transfer: Transfer;
  digests: Digests;
  runtimes: readonly EngineRuntime[];
  secrets: Secrets;
  journal: Journal;
}

/** Everything an attempt works with. */
export interface Tools extends Rooms {
  engines: Engines;
}

/** One attempt on one download, as its parts see it. */
export interface Attempt {
  readonly tools: Tools;
  readonly source: Source;
  readonly secret: Secret;
  readonly signal: AbortSignal;
  readonly meter: Meter;
  /** The row as last written by this attempt. */
  row: Download;
  files: File[];
  plan: Plan;
  /** Guarded write by the owner; throws the interruption when the row is no longer ours. */
  write(patch: DownloadPatch): Promise<void>;
  warn(text: string): void;
  /** Ends the attempt with this error. */
  abort(error: DownloadError): void;
  /** Space kept for bytes still to come. */
  readonly reservations: Reservation[];
  /** Files whose bytes are all there while their digest is still being computed. */
  readonly verifying: Set<number>;
  /** Who brings a file that several downloads share. */
  readonly turns: Turns;
}
