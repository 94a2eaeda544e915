/** What the command line reads of the native API's objects. A daemon may be of another version: what may lack is optional. */
import type { State } from "../core/download.ts";

export interface WireDownload {
  id: string;
  model_id: string;
  state: State;
  url?: string;
  local_path?: string;
  progress: { downloaded_bytes: number; total_bytes: number; percentage: number };
  timing?: { estimated_remaining_seconds?: number };
  /** Smoothed bytes per second. */
  speed?: number;
  waiting?: { reason: string; until?: number };
  bottleneck?: string;
  /** What another program that fetches says it is doing. */
  status_line?: string;
  error_code?: string;
  error_message?: string;
  /** What made it wait, while it is not failed. */
  last_error?: { code: string; message: string };
  warnings?: string[];
  files?: WirePart[];
}

/** A file of a download. */
export interface WirePart {
  path: string;
  /** 0 while unknown. */
  size: number;
  bytes: number;
  state: string;
  verified?: boolean;
  matches?: boolean;
}

/** An item of `GET /v1/files`. */
export interface WireFile {
  id: number;
  model_id: string;
  path: string;
  size: number;
  verified: boolean;
  exists?: boolean;
  verification?: string;
  download_state?: State;
  /** `algorithm:hex` */
  digest?: string;
  local_path?: string;
}

export type WatchEvent =
  /** With `more`, further parts follow. */
  | { type: "snapshot"; more: boolean; downloads: WireDownload[] }
  | { type: "download"; previousState: State | null; download: WireDownload }
  | { type: "removed"; id: string };
