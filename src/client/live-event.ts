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

/** What servers send: with `more`, further parts of the snapshot follow. */
export type LiveFrame = (SnapshotEvent & { more?: boolean }) | DownloadEvent | RemovedEvent;

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

export const isLiveFrame = (frame: { type?: unknown }): frame is LiveFrame =>
  frame.type === "snapshot" || frame.type === "download" || frame.type === "removed";

/** Makes one snapshot of the parts that come over a connection. */
export class SnapshotParts {
  #downloads: Download[] = [];

  /** The event of a frame; undefined while further parts are to come. */
  whole(frame: LiveFrame): LiveEvent | undefined {
    if (frame.type !== "snapshot") return frame;
    const { more, ...event } = frame;
    for (const download of event.downloads) this.#downloads.push(download);
    if (more) return undefined;
    const downloads = this.#downloads;
    this.#downloads = [];
    return { ...event, downloads };
  }
}
