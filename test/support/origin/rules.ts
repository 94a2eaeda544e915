import type { Fault } from "./faults.ts";
import { askedRange, type WireRequest } from "./request.ts";

/** One number, or a run of them: `{ from: 3 }` is the third and all later, `{ every: 2 }` the 2nd, 4th, … */
export type Nth = number | { from?: number; to?: number; every?: number };

/** Which requests a rule is for. All that is given must hold; `{}` matches every request. Plain data. */
export interface Match {
  /** Decoded path without query; `*` stands for any run of characters. */
  path?: string;
  method?: string;
  /** True: only with a Range header. False: only without. */
  ranged?: boolean;
  /** Only when the range asked for contains this byte of the file (a request without Range contains all). */
  covers?: number;
  /** Only when the range asked for starts at this byte (0 without Range). */
  start?: number;
  /** Only with this header; `value` may hold `*`. */
  header?: { name: string; value?: string };
  /** Number of the connection, from 1 in the order of arrival at this origin. */
  connection?: Nth;
  /** True: only on a connection that has carried a request before. False: only on a new one. */
  reused?: boolean;
  /** Which of the requests that match everything above, from 1. */
  nth?: Nth;
  /** How often the rule may act in all. Default: no limit. */
  times?: number;
}

/** A rule in force. */
export interface Rule {
  readonly match: Match;
  readonly faults: readonly Fault[];
  /** How many requests it has acted on. */
  readonly hits: number;
  /** Lets every answer that this rule stalls go on, now and later. */
  release(): void;
  /** Ends the rule for requests to come. */
  remove(): void;
}

export class ActiveRule implements Rule {
  hits = 0;
  private seen = 0;
  private released = false;
  private readonly stalled = new Set<() => void>();

  constructor(
    readonly match: Match,
    readonly faults: readonly Fault[],
    private readonly forget: (rule: ActiveRule) => void,
  ) {}

  /** Counts the request and says whether the rule acts on it. */
  takes(request: WireRequest, connection: number, reused: boolean): boolean {
    if (!describes(this.match, request, connection, reused)) return false;
    this.seen++;
    if (!isNth(this.match.nth, this.seen) || this.hits >= (this.match.times ?? Number.POSITIVE_INFINITY))
      return false;
    this.hits++;
    return true;
  }

  /** Registers a stalled answer; returns how to forget it. */
  hold(resume: () => void): () => void {
    if (this.released) {
      queueMicrotask(resume);
      return () => {};
    }
    this.stalled.add(resume);
    return () => this.stalled.delete(resume);
  }

  release(): void {
    this.released = true;
    for (const resume of [...this.stalled]) resume();
  }

  remove(): void {
    this.forget(this);
  }
}

function isNth(wanted: Nth | undefined, number: number): boolean {
  if (wanted === undefined) return true;
  if (typeof wanted === "number") return number === wanted;
  const { from = 1, to = Number.POSITIVE_INFINITY, every = 1 } = wanted;
  return number >= from && number <= to && number % every === 0;
}

const patterns = new Map<string, RegExp>();

/** Whether `text` fits a pattern in which `*` stands for any run of characters. */
export function fits(pattern: string, text: string): boolean {
  let expression = patterns.get(pattern);
  if (!expression) {
    const parts = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
    expression = new RegExp(`^${parts.join(".*")}$`, "s");
    patterns.set(pattern, expression);
  }
  return expression.test(text);
}

function describes(match: Match, request: WireRequest, connection: number, reused: boolean): boolean {
  if (match.path !== undefined && !fits(match.path, request.path)) return false;
  if (match.method !== undefined && match.method !== request.method) return false;
  if (match.ranged !== undefined && match.ranged !== "range" in request.headers) return false;
  if (match.reused !== undefined && match.reused !== reused) return false;
  if (!isNth(match.connection, connection)) return false;
  return headerFits(match, request) && rangeFits(match, request);
}

function headerFits({ header }: Match, request: WireRequest): boolean {
  if (!header) return true;
  const value = request.headers[header.name.toLowerCase()];
  return value !== undefined && fits(header.value ?? "*", value);
}

function rangeFits({ start, covers }: Match, request: WireRequest): boolean {
  if (start === undefined && covers === undefined) return true;
  const asked = askedRange(request) ?? { start: 0 };
  if ("suffix" in asked) return false;
  if (start !== undefined && asked.start !== start) return false;
  return covers === undefined || (asked.start <= covers && covers <= (asked.end ?? Number.POSITIVE_INFINITY));
}
