/** Pure algebra of byte ranges: what is written, what is missing, what is being fetched by whom. */
import type { Receipt } from "../core/download.ts";

/** Bytes [start, end). */
export interface Range {
  start: number;
  end: number;
}

/** A set of bytes, kept as disjoint ranges in ascending order that do not touch. */
export class RangeSet {
  private ranges: Range[] = [];
  /** How many bytes are in the set. */
  total = 0;

  /** Bytes of receipts that lie below `limit`; what a file holds beyond it is not trusted (F88). */
  static of(receipts: readonly Receipt[], limit: number): RangeSet {
    const set = new RangeSet();
    for (const { start, length } of receipts) if (start >= 0) set.add(start, Math.min(start + length, limit));
    return set;
  }

  /** Adds [start, end) and returns how many of these bytes are new. */
  add(start: number, end: number): number {
    if (end <= start) return 0;
    const from = this.firstEndingAtOrAfter(start);
    let to = from;
    let covered = 0;
    let low = start;
    let high = end;
    for (let range = this.ranges[to]; range && range.start <= end; range = this.ranges[++to]) {
      covered += Math.max(0, Math.min(range.end, end) - Math.max(range.start, start));
      low = Math.min(low, range.start);
      high = Math.max(high, range.end);
    }
    const only = to - from === 1 ? this.ranges[from] : undefined;
    if (only) {
      only.start = low;
      only.end = high;
    } else this.ranges.splice(from, to - from, { start: low, end: high });
    const gained = end - start - covered;
    this.total += gained;
    return gained;
  }

  /** End of the range that begins at byte 0. */
  get prefix(): number {
    const first = this.ranges[0];
    return first?.start === 0 ? first.end : 0;
  }

  /** How far the bytes from `at` on are in the set; `at` itself when that byte is not. */
  coveredUntil(at: number): number {
    const range = this.ranges[this.firstEndingAtOrAfter(at + 1)];
    return range && range.start <= at ? range.end : at;
  }

  /** First byte of the set at or after `at`; Infinity when there is none. */
  nextFrom(at: number): number {
    const range = this.ranges[this.firstEndingAtOrAfter(at + 1)];
    return range ? Math.max(at, range.start) : Number.POSITIVE_INFINITY;
  }

  /** One past the last byte. */
  get end(): number {
    return this.ranges.at(-1)?.end ?? 0;
  }

  toRanges(): readonly Readonly<Range>[] {
    return this.ranges;
  }

  private firstEndingAtOrAfter(at: number): number {
    let low = 0;
    let high = this.ranges.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.ranges[middle]!.end < at) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Smallest gaps of [0, size) that neither set nor `taken` covers, in order. `taken` need not be sorted. */
export function gaps(set: RangeSet, taken: readonly Range[], size: number): Range[] {
  const blocks = [...set.toRanges(), ...taken].sort((a, b) => a.start - b.start);
  const found: Range[] = [];
  let at = 0;
  for (const block of blocks) {
    if (at >= size) break;
    if (block.start > at) found.push({ start: at, end: Math.min(block.start, size) });
    at = Math.max(at, block.end);
  }
  if (at < size) found.push({ start: at, end: size });
  return found;
}

const MIN_PART = 16 << 20;
const MAX_PARTS = 10_000;
const PART_STEP = 1 << 20;

/** Length of the parts that a file of `size` bytes is cut into (DESIGN §4); a multiple of 1 MiB. */
export function partLength(size: number, least = MIN_PART): number {
  const bySize = Math.ceil(size / MAX_PARTS / PART_STEP) * PART_STEP;
  return Math.max(least, bySize);
}

/** No claim is shorter than this unless the gap is. */
const LEAST_CLAIM = 1 << 20;
/** Length of claims while nothing is known, and of those that the digest waits for. */
export const SHORT_CLAIM = 2 << 20;
/** About so many claims are left to be made at any time, so that their receipts stay few. */
const CLAIMS_LEFT = 256;
/** A claim should take so many round trips that waiting for its answer does not matter. */
const ROUND_TRIPS = 20;
const MOST_PARTS = 16;
/** Bytes that a digest takes in a millisecond, about (SHA-256 on one core). */
const DIGEST_RATE = 350_000;

export interface ClaimRule {
  /** Length of a part. */
  part: number;
  /** Bytes one connection brings in a millisecond; 0 while nothing is known. */
  laneRate: number;
  /** Milliseconds from a request to its answer. */
  latencyMs: number;
  /** Bytes nobody has claimed, and how many pullers share them. */
  unclaimed: number;
  pullers: number;
  /** Bytes at the front of the file that the digest can go on with; undefined without one. */
  backlog: number | undefined;
}

/**
 * How much of the first gap one puller takes: a part, but less where the digest would run dry before the part is
 * there, more where round trips are long, and less towards the end, so that all end together.
 */
export function claimLength({ part, laneRate, latencyMs, unclaimed, pullers, backlog }: ClaimRule): number {
  if (laneRate === 0) return Math.min(SHORT_CLAIM, part);
  const worth = Math.min(ROUND_TRIPS * laneRate * latencyMs, MOST_PARTS * part);
  const few = Math.max(SHORT_CLAIM, unclaimed / CLAIMS_LEFT);
  const inTime = backlog === undefined ? part : (laneRate * backlog) / DIGEST_RATE;
  const wished = Math.max(worth, Math.min(part, Math.max(few, inTime)));
  const share = Math.max(worth, unclaimed / (2 * Math.max(1, pullers)));
  return Math.ceil(Math.max(LEAST_CLAIM, Math.min(wished, share)));
}

/** End of a claim that begins at `start`: on a part boundary where that moves it by little. */
export function claimEnd(gap: Range, length: number, part: number): number {
  const end = gap.start + length;
  const boundary = Math.ceil(end / part) * part;
  const aligned =
    length >= part ? Math.floor(end / part) * part : boundary - end < length / 2 ? boundary : end;
  return Math.min(gap.end, aligned > gap.start ? aligned : end);
}

/**
 * Where the rest [at, end) of a slow claim is cut so that its owner and a helper end together; the helper gets
 * [cut, end). Rates in bytes per second; an owner that does not move keeps nothing.
 */
export function splitPoint(at: number, end: number, ownerRate: number, helperRate: number): number {
  const both = ownerRate + helperRate;
  const kept = both > 0 ? ownerRate / both : 0.5;
  return Math.min(end, at + Math.round((end - at) * kept));
}
