import type { FeedEvent, Snapshot } from "../core/feed.ts";
import { present } from "./downloads/present.ts";

export type FrameType = "snapshot" | "download" | "removed";

const utf8 = new TextEncoder();

/** What a frame tells, as the core has it. */
export type Told = FeedEvent | { type: "snapshot"; seq: number; downloads: readonly Snapshot[] };

/** How a family with a stream of its own says what frames tell. */
export interface Tongue {
  /** One or several server-sent events, each with its empty line; empty where the family has no word for it. */
  say(told: Told): string;
}

interface FrameParts {
  type: FrameType;
  seq: number;
  /** The download it speaks of; null for a snapshot. */
  id: string | null;
  /** Only a newer number for a state already told; may be replaced by the next one. */
  isProgress: boolean;
  /** Row and bytes it shows, to tell what a snapshot already holds. */
  shows: { rowSeq: number; bytes: number } | null;
  told: Told;
  /** The message; called once, when the first reader gets it. */
  text: () => string;
  /** The server-sent event of a text. */
  event: (text: string) => string;
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
  readonly #parts: FrameParts;
  #text: string | undefined;
  #event: Uint8Array | undefined;
  readonly #said = new Map<Tongue, Frame>();

  constructor(parts: FrameParts) {
    this.type = parts.type;
    this.seq = parts.seq;
    this.id = parts.id;
    this.isProgress = parts.isProgress;
    this.shows = parts.shows;
    this.#parts = parts;
  }

  /**
   * Characters it adds to what waits for a reader. A part of a snapshot adds none: it is written only when its turn
   * comes, and shared.
   */
  get size(): number {
    return this.type === "snapshot" ? 0 : this.text.length;
  }

  /** The message as JSON; in a tongue's words, the whole of its events. */
  get text(): string {
    this.#text ??= this.#parts.text();
    return this.#text;
  }

  /** The message as a server-sent event. JSON has no line ends of its own. */
  get event(): Uint8Array {
    this.#event ??= utf8.encode(this.#parts.event(this.text));
    return this.#event;
  }

  /** The same in a family's words, said once for all its readers; its text is empty where there are none for this. */
  in(tongue: Tongue): Frame {
    let frame = this.#said.get(tongue);
    if (!frame) {
      const { told } = this.#parts;
      frame = new Frame({ ...this.#parts, text: () => tongue.say(told), event: (text) => text });
      this.#said.set(tongue, frame);
    }
    return frame;
  }
}

/** Type and number stand in the message and, for EventSource, beside it: there it is what to continue after. */
function native(
  type: FrameType,
  seq: number,
  body: () => object,
  isContinued = true,
): Pick<FrameParts, "text" | "event"> {
  const id = isContinued ? `id: ${seq}\n` : "";
  return {
    text: () => JSON.stringify({ type, seq, ...body() }),
    event: (text) => `${id}event: ${type}\ndata: ${text}\n\n`,
  };
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
      told: event,
      ...native(type, seq, () => ({ id, model_id: modelId })),
    });
  }
  const { download, previousState, stateChanged } = event;
  return new Frame({
    type,
    seq,
    id: download.id,
    isProgress: !stateChanged,
    shows: { rowSeq: download.seq, bytes: download.bytes },
    told: event,
    ...native(type, seq, () => ({ previous_state: previousState, download: present(download, now()) })),
  });
}

/** Most downloads of one part of a snapshot: some hundred kilobytes. */
export const PART_ROWS = 100;

/**
 * Everything there is to see, as of event `seq`, in as many parts as it takes. All but the last say `more`, and have no
 * number as server-sent events: whoever is cut off between them has to be told everything again (F211).
 */
export function snapshotFrames(seq: number, downloads: readonly Snapshot[], now: number): Frame[] {
  const parts: Frame[] = [];
  for (let from = 0; from === 0 || from < downloads.length; from += PART_ROWS) {
    const isLast = from + PART_ROWS >= downloads.length;
    parts.push(snapshotPart(seq, downloads.slice(from, from + PART_ROWS), isLast, now));
  }
  return parts;
}

function snapshotPart(seq: number, downloads: readonly Snapshot[], isLast: boolean, now: number): Frame {
  const type = "snapshot";
  const body = () => ({
    ...(isLast ? {} : { more: true }),
    downloads: downloads.map((download) => present(download, now)),
  });
  return new Frame({
    type,
    seq,
    id: null,
    isProgress: false,
    shows: null,
    told: { type, seq, downloads },
    ...native(type, seq, body, isLast),
  });
}
