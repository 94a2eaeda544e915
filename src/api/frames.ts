import type { FeedEvent, Snapshot } from "../core/feed.ts";
import { present } from "./downloads/present.ts";

export type FrameType = "snapshot" | "download" | "removed";

const utf8 = new TextEncoder();

interface FrameParts {
  type: FrameType;
  seq: number;
  /** The download it speaks of; null for a snapshot. */
  id: string | null;
  /** Only a newer number for a state already told; may be replaced by the next one. */
  isProgress: boolean;
  /** Row and bytes it shows, to tell what a snapshot already holds. */
  shows: { rowSeq: number; bytes: number } | null;
  /** Members beside type and seq; called once, when the first reader gets it. */
  body: () => object;
}

/**
 * One numbered message, encoded at most once for each of the two transports, whatever the number of readers. The JSON
 * is the same on both: a WebSocket text frame, or the data of a server-sent event.
 */
export class Frame {
  readonly type: FrameType;
  readonly seq: number;
  readonly id: string | null;
  readonly isProgress: boolean;
  readonly shows: FrameParts["shows"];
  readonly #body: () => object;
  #text: string | undefined;
  #event: Uint8Array | undefined;

  constructor(parts: FrameParts) {
    this.type = parts.type;
    this.seq = parts.seq;
    this.id = parts.id;
    this.isProgress = parts.isProgress;
    this.shows = parts.shows;
    this.#body = parts.body;
  }

  /** The message as JSON. */
  get text(): string {
    this.#text ??= JSON.stringify({ type: this.type, seq: this.seq, ...this.#body() });
    return this.#text;
  }

  /** The message as a server-sent event. JSON has no line ends of its own. */
  get event(): Uint8Array {
    this.#event ??= utf8.encode(`id: ${this.seq}\nevent: ${this.type}\ndata: ${this.text}\n\n`);
    return this.#event;
  }
}

/** `now` gives epoch milliseconds, for elapsed times. */
export function frameOf(event: FeedEvent, now: () => number): Frame {
  const { type, seq } = event;
  if (type === "removed") {
    const { id, modelId } = event;
    return new Frame({
      type,
      seq,
      id,
      isProgress: false,
      shows: null,
      body: () => ({ id, model_id: modelId }),
    });
  }
  const { download, previousState, stateChanged } = event;
  return new Frame({
    type,
    seq,
    id: download.id,
    isProgress: !stateChanged,
    shows: { rowSeq: download.seq, bytes: download.bytes },
    body: () => ({ previous_state: previousState, download: present(download, now()) }),
  });
}

/** Everything there is to see, as of event `seq`. */
export function snapshotFrame(seq: number, downloads: readonly Snapshot[], now: number): Frame {
  const body = () => ({ downloads: downloads.map((download) => present(download, now)) });
  return new Frame({ type: "snapshot", seq, id: null, isProgress: false, shows: null, body });
}
