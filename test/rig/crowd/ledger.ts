/** What readers are told, understood once per frame, and what each of them has made of it. */

/** One message, as far as it is looked at. */
export interface Told {
  type: string;
  seq: number;
  id: string;
  state: string;
  previous: string | null;
  priority: number;
  /** Of a snapshot, with whether further parts follow. */
  downloads: readonly { id: string; state: string }[];
  more: boolean;
}

const REMEMBERED = 4096;
/** So much of a message holds its number and what it begins with: parts of a snapshot have one number. */
const HEAD = 200;
const SEQ = /^\{"type":"\w+","seq":(\d+)/;

interface Wire {
  type?: string;
  seq?: number;
  id?: string;
  previous_state?: string | null;
  download?: { id: string; state: string; priority: number };
  downloads?: { id: string; state: string }[];
  more?: boolean;
}

/** Messages by number, length and beginning: all readers get the same bytes, so each is parsed once. */
export class Messages {
  readonly #known = new Map<number, { length: number; head: string; told: Told }[]>();

  read(bytes: Buffer, start: number, end: number): Told {
    const head = bytes.toString("latin1", start, Math.min(end, start + HEAD));
    const seq = Number(SEQ.exec(head)?.[1] ?? -1);
    const length = end - start;
    const same = seq < 0 ? undefined : this.#known.get(seq);
    const known = same?.find((each) => each.length === length && each.head === head);
    if (known) return known.told;
    const told = toldBy(JSON.parse(bytes.toString("utf8", start, end)) as Wire);
    if (same) same.push({ length, head, told });
    else if (seq >= 0) this.#known.set(seq, [{ length, head, told }]);
    if (this.#known.size > REMEMBERED) this.#known.delete(this.#known.keys().next().value!);
    return told;
  }
}

function toldBy({
  type = "",
  seq = -1,
  id,
  previous_state,
  download,
  downloads = [],
  more = false,
}: Wire): Told {
  return {
    type,
    seq,
    id: download?.id ?? id ?? "",
    state: download?.state ?? "",
    previous: previous_state ?? null,
    priority: download?.priority ?? 0,
    downloads: downloads.map((each) => ({ id: each.id, state: each.state })),
    more,
  };
}

/** What one reader knows; kept across its connections. */
export class Ledger {
  seq = 0;
  states = new Map<string, string>();
  /** The parts of a snapshot that have come so far. */
  #parts = new Map<string, string>();
  frames = 0;
  heartbeats = 0;
  snapshots = 0;
  /** Changes of state since `begin`, and a sum of their numbers that differs when one is missing or out of order. */
  changes = 0;
  sum = 0;
  /** A change that does not follow from the state told before: one in between was lost. */
  gaps = 0;
  /** The first thing that was not in order. */
  trouble = "";

  /** A new connection: what was half told is told again. */
  connected(): void {
    this.#parts.clear();
  }

  /** Counts from here. */
  begin(): void {
    this.frames = this.heartbeats = this.snapshots = this.changes = this.sum = this.gaps = 0;
  }

  take(told: Told): void {
    if (told.type === "snapshot") this.#snapshot(told);
    else if (told.type === "download" || told.type === "removed") this.#event(told);
  }

  #event(told: Told): void {
    this.frames++;
    if (told.seq <= this.seq) this.trouble ||= `number ${told.seq} came after ${this.seq}`;
    this.seq = told.seq;
    if (told.type === "removed") this.states.delete(told.id);
    else this.#download(told);
  }

  #snapshot({ seq, downloads, more }: Told): void {
    for (const { id, state } of downloads) this.#parts.set(id, state);
    if (more) return;
    this.states = this.#parts;
    this.#parts = new Map();
    this.snapshots++;
    this.seq = Math.max(seq, this.seq);
  }

  #download({ seq, id, state, previous }: Told): void {
    const before = this.states.get(id);
    if (previous !== null && before !== undefined && previous !== before) {
      this.gaps++;
      this.trouble ||= `event ${seq}: ${previous} -> ${state}, but ${before} was told before`;
    }
    if (previous === null && before === state) return;
    this.changes++;
    this.sum = (Math.imul(this.sum, 31) + seq) | 0;
    this.states.set(id, state);
  }
}
