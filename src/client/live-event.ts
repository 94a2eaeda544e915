import type { Download, State } from "./download.ts";

/** Everything there is to see; comes first, and again where too much was missed to be told one by one. */
export interface SnapshotEvent {
  type: "snapshot";
  /** Number of the newest event it contains; numbers grow, across restarts of the server too. */
  seq: number;
  downloads: Download[];
}

/** A download has changed its state, or made progress. */
export interface DownloadEvent {
  type: "download";
  seq: number;
  /** The state before; null for progress. */
  previous_state: State | null;
  download: Download;
}

/** A record is gone. */
export interface RemovedEvent {
  type: "removed";
  seq: number;
  id: string;
  model_id: string;
}

export type LiveEvent = SnapshotEvent | DownloadEvent | RemovedEvent;

/** What is watched: these downloads by `model_id` or UUID, or all; and from which event on. */
export interface Watched {
  ids: readonly string[] | undefined;
  since: number | undefined;
  signal: AbortSignal;
  /** Called when the connection stands: on a quiet server no event says so. */
  onOpen?: () => void;
}

/** The transport does not work here, another one may: nothing was told over it. */
export class Refused extends Error {}

export const isLiveEvent = (frame: { type?: unknown }): frame is LiveEvent =>
  frame.type === "snapshot" || frame.type === "download" || frame.type === "removed";
