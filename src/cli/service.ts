/** What `main` injects into the command line. */
import type { Config, Flags, Purpose } from "../config.ts";
import type { Downloads } from "../core/downloads.ts";
import type { Http, Log, StartRequest } from "../core/ports.ts";

/** The whole product, open on one data folder. */
export interface Service {
  readonly downloads: Downloads;
  readonly log: Log;
  /** Binds every listener of the config; answers `http://host:port` of each, `unix:PATH` of a Unix socket. */
  listen(): Promise<string[]>;
  /** Starts what `OpenOptions.startup` named, as far as it is neither under way nor there; failures are logged. */
  startup(signal: AbortSignal): Promise<void>;
  /** The OpenAPI document of all families. */
  openapi(): Promise<unknown>;
  /** The AsyncAPI document of all live streams. */
  asyncapi(): Promise<unknown>;
  /** Gives running downloads back with their bytes synced, closes listeners and database. */
  stop(): Promise<void>;
}

export interface OpenOptions {
  /** Overrides the saved setting for this process: `true` leads no download, `false` does. */
  paused?: boolean;
  /** Nothing is led but what `Downloads.lead` names. */
  onlyNamed?: boolean;
  /** Downloads that are wanted at every start; a bad one rejects with `invalid_request` before anything is opened. */
  startup?: readonly StartRequest[];
  /** Aborted, opening rejects with an AbortError where it would take long; what is open by then is left to the caller. */
  signal?: AbortSignal;
}

/** One copy of the database. */
export interface Backup {
  /** Of the file. */
  bytes: number;
  downloads: number;
}

export interface Services {
  /** Throws ConfigError. */
  loadConfig(flags: Flags, purpose?: Purpose): Config;
  /** Rejects with DownloadError `locked` when another process owns the data folder. */
  openService(config: Config, options?: OpenOptions): Promise<Service>;
  /** Copies the database of a data folder, also under a running daemon, to a file that must not exist yet. Throws DownloadError. */
  backup(dataDir: string, file: string): Backup;
  /** Client for the operator's own daemon at `server` (as in the config): no proxy, the config's CA file. */
  connect(config: Config, server: string): Http;
}
