import { DownloadError } from "../core/errors.ts";
import type { HttpResponse, TransferJob } from "../core/ports.ts";
import { type Ask, judge, type Known, rangeHeader, type Verdict } from "./answer.ts";
import { foreignContent, HEAD_BYTES, isWebPage, magicWarning } from "./content.ts";
import type { Grant, Lease } from "./lease.ts";
import type { Engine } from "./options.ts";
import type { RangeSet } from "./parts.ts";
import type { Permit } from "./permits.ts";
import type { Lane } from "./stall.ts";
import { BatchWriter, type Written } from "./writer.ts";

/** Bytes [start, end) that one puller brings; `at` is the next to come. Others may take from its end. */
export interface Claim {
  start: number;
  end: number;
  at: number;
}

/** Why we cut a connection ourselves. */
export type CutReason = "silent" | "slow" | "laggard" | "overtaken" | "stopped";

export type PullEnd =
  /** The claim is received and written. */
  | { kind: "done" }
  /** The answer ended before the claim did. */
  | { kind: "short" }
  | { kind: "cut"; why: CutReason }
  /** The request or the connection failed. */
  | { kind: "broken"; error: unknown }
  /** No body to read. */
  | { kind: "answer"; verdict: Verdict; response: HttpResponse }
  /** The answer is good but cannot be used the way it was asked for. */
  | { kind: "useless" }
  /** No other connection can mend it. */
  | { kind: "fatal"; error: unknown };

/** What a puller needs of the round it belongs to. */
export interface Desk {
  readonly engine: Engine;
  readonly job: TransferJob;
  readonly lease: Lease;
  readonly written: RangeSet;
  known(): Known;
  /** Takes a good answer as the truth about the file and fits the claim to it; or says why it is of no use. */
  accept(puller: Puller, verdict: Verdict & { kind: "part" | "whole" }): PullEnd | undefined;
  received(bytes: number): void;
  /** A wait for the digest, when the network is too far ahead of it. */
  pace(): Promise<void> | undefined;
  wrote(written: Written): void;
}

/** Memory for batches of all connections together, and bounds for one. */
const BATCH_BUDGET = 48 << 20;
const MIN_BATCH = 128 << 10;
const MAX_BATCH = 512 << 10;
/** A batch waits no longer than this for more bytes, or half a millisecond per connection, so that writes stay few. */
const BATCH_AGE_MS = 10;

let open = 0;

/** One request for a claim, from the question to the last written byte. */
export class Puller implements Lane {
  state: Lane["state"] = "asking";
  /** What holds the bytes while the state is `held`. */
  heldBy: "rate" | "disk" | "digest" | undefined;
  quietSince: number;
  movedAt = Number.NEGATIVE_INFINITY;
  startedAt = Number.POSITIVE_INFINITY;
  rate = 0;
  bytes = 0;
  readonly askedAt: number;
  latencyMs = 0;
  /** How long the host wants to be left alone. */
  waitMs = 0;
  /** The answer calls the file a web page. */
  page = false;
  /** The end of the body can be told from a cut. */
  framed = true;
  /** Chunks of a small file, to be hashed without reading it again. */
  kept: Uint8Array[] | undefined;
  private writer: BatchWriter | undefined;
  private skipping = false;
  private position = 0;
  private cutFor: CutReason | undefined;
  private readonly controller = new AbortController();
  private rated = { at: 0, bytes: 0 };

  constructor(
    private readonly desk: Desk,
    readonly claim: Claim,
    private readonly ask: Ask,
    private readonly grant: Grant,
    readonly permit: Permit,
  ) {
    this.askedAt = desk.engine.clock.monotonic();
    this.quietSince = this.askedAt;
  }

  get left(): number {
    return this.claim.end - this.claim.at;
  }

  get addressVersion(): number {
    return this.grant.version;
  }

  /** Gives the connection up; what has come is written. */
  cut(why: CutReason): void {
    if (this.cutFor) return;
    this.cutFor = why;
    this.controller.abort(new DOMException(why, "AbortError"));
  }

  /** Smooths the rate and writes what has waited long enough. */
  tick(now: number): void {
    this.writer?.tick(now);
    const span = now - this.rated.at;
    if (this.startedAt > now || span <= 0) return;
    const present = (this.bytes - this.rated.bytes) / span;
    const weight = this.rate === 0 ? 1 : 1 - Math.exp(-span / 300);
    this.rate += (present - this.rate) * weight;
    this.rated = { at: now, bytes: this.bytes };
  }

  async run(): Promise<PullEnd> {
    let response: HttpResponse;
    try {
      response = await this.request();
    } catch (error) {
      this.desk.lease.settle(this.grant);
      return this.stopped(error);
    }
    const { clock } = this.desk.engine;
    this.latencyMs = clock.monotonic() - this.askedAt;
    this.permit.moveTo(new URL(response.url).host);
    this.framed = response.headers.has("content-length") || response.headers.has("transfer-encoding");
    this.page = isWebPage(this.desk.known().label, response.headers.get("content-type"));
    const verdict = judge(this.ask, this.desk.known(), response, clock.now());
    const good = verdict.kind === "part" || verdict.kind === "whole";
    this.desk.lease.settle(this.grant, good ? response : undefined);
    if (verdict.kind === "limited") this.waitMs = this.gate(verdict.error);
    if (!good) return { kind: "answer", verdict, response };
    this.permit.report("ok");
    const refusal = this.desk.accept(this, verdict);
    if (refusal) {
      await response.cancel();
      return refusal;
    }
    return this.receive(response);
  }

  /** Closes the host before the permit is given on: nobody asks it before it wants to be asked (F45, F46). */
  private gate(error: DownloadError): number {
    return this.desk.engine.permits.gate(this.permit.host, error, error.retryAfterMs || undefined);
  }

  private request(): Promise<HttpResponse> {
    const { request } = this.grant;
    const range = rangeHeader(this.ask);
    return this.desk.engine.http.request({
      ...request,
      headers: range ? { ...request.headers, range } : request.headers,
      signal: this.controller.signal,
    });
  }

  private async receive(response: HttpResponse): Promise<PullEnd> {
    open++;
    const limit = Math.max(MIN_BATCH, Math.min(MAX_BATCH, BATCH_BUDGET / (2 * open)));
    const age = Math.max(BATCH_AGE_MS, open / 2);
    const { engine, job, written } = this.desk;
    const writer = new BatchWriter(job.part, this.claim.at, limit, age, engine.clock, (w) =>
      this.desk.wrote(w),
    );
    this.writer = writer;
    this.position = this.claim.at;
    this.skipping = this.claim.at === 0 && written.total > 0;
    let end: PullEnd;
    try {
      end = await this.readAll(response);
    } catch (error) {
      end = this.stopped(error);
    }
    try {
      await writer.finish();
    } catch (error) {
      end = { kind: "fatal", error };
    } finally {
      open--;
      this.writer = undefined;
      await response.cancel();
    }
    return end;
  }

  private async readAll(response: HttpResponse): Promise<PullEnd> {
    const { engine, job } = this.desk;
    const { claim } = this;
    this.become("reading");
    if (claim.at === 0 && claim.at < claim.end) {
      const wrong = await this.first(response);
      if (wrong) return wrong;
    }
    while (claim.at < claim.end) {
      const chunk = await response.read();
      if (chunk === null) return { kind: "short" };
      const used = this.arrived(chunk);
      const ahead = this.desk.pace();
      if (ahead) await this.hold("digest", ahead);
      const wait = engine.shaper.limits(job.downloadId) ? this.shaped(used) : this.put(used);
      if (wait) await this.hold("disk", wait);
    }
    return { kind: "done" };
  }

  /** Looks at the first bytes of the file before any of them is written (F54, F55). */
  private async first(response: HttpResponse): Promise<PullEnd | undefined> {
    const { job } = this.desk;
    const { label, size } = this.desk.known();
    const chunks: Uint8Array[] = [];
    let length = 0;
    while (length < Math.min(HEAD_BYTES, this.claim.end)) {
      const chunk = await response.read();
      if (chunk === null) break;
      chunks.push(chunk);
      length += chunk.length;
    }
    const bytes = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
    const head = bytes.subarray(0, Math.min(HEAD_BYTES, this.claim.end));
    const { host } = new URL(response.url);
    const promised = job.digest !== null && job.size !== null && size === job.size;
    const error = foreignContent({
      label,
      contentType: response.headers.get("content-type"),
      bytes: head,
      promised,
      host,
    });
    if (error) return { kind: "fatal", error };
    const note = magicWarning(label, head);
    if (note && !this.skipping) job.observer.warning(note);
    const used = this.arrived(bytes);
    const { shaper } = this.desk.engine;
    await (shaper.limits(job.downloadId) ? this.shaped(used) : this.put(used));
    return length === 0 ? { kind: "short" } : undefined;
  }

  /** Counts a chunk and cuts off what lies beyond the claim (F5, F12, F69). */
  private arrived(chunk: Uint8Array): Uint8Array {
    const now = this.desk.engine.clock.monotonic();
    if (this.bytes === 0) {
      this.startedAt = now;
      this.rated = { at: now, bytes: 0 };
    }
    this.quietSince = now;
    this.movedAt = now;
    const { claim } = this;
    const used = chunk.length > claim.end - claim.at ? chunk.subarray(0, claim.end - claim.at) : chunk;
    claim.at += used.length;
    this.bytes += used.length;
    this.desk.received(used.length);
    this.desk.engine.garbage.arrived(used.length, now);
    return used;
  }

  /** Passes a chunk on in the portions that the rate limits allow. */
  private async shaped(chunk: Uint8Array): Promise<void> {
    const { engine, job } = this.desk;
    for (let from = 0; from < chunk.length; ) {
      const grant = engine.shaper.grant(job.downloadId, chunk.length - from, this.controller.signal);
      const bytes = typeof grant === "number" ? grant : await this.hold("rate", grant);
      const wait = this.put(chunk.subarray(from, from + bytes));
      if (wait) await this.hold("disk", wait);
      from += bytes;
    }
  }

  private put(chunk: Uint8Array): Promise<void> | undefined {
    this.kept?.push(chunk);
    const start = this.position;
    this.position += chunk.length;
    return this.skipping ? this.fill(start, chunk) : this.writer!.push(chunk);
  }

  /** Writes only what is missing; the rest is there already, from this very version of the file (F1). */
  private async fill(start: number, chunk: Uint8Array): Promise<void> {
    const { written } = this.desk;
    const writer = this.writer!;
    const end = start + chunk.length;
    for (let at = start; at < end; ) {
      const covered = written.coveredUntil(at);
      if (covered > at) {
        at = Math.min(covered, end);
        continue;
      }
      const until = Math.min(end, written.nextFrom(at));
      if (writer.next !== at) await writer.seek(at);
      await writer.push(chunk.subarray(at - start, until - start));
      at = until;
    }
  }

  private async hold<T>(by: "rate" | "disk" | "digest", wait: Promise<T>): Promise<T> {
    this.heldBy = by;
    this.become("held");
    try {
      return await wait;
    } finally {
      this.heldBy = undefined;
      this.become("reading");
    }
  }

  private become(state: Lane["state"]): void {
    this.state = state;
    this.quietSince = this.desk.engine.clock.monotonic();
  }

  private stopped(error: unknown): PullEnd {
    if (this.cutFor) return { kind: "cut", why: this.cutFor };
    return error instanceof DownloadError && error.verdict === "final"
      ? { kind: "fatal", error }
      : { kind: "broken", error };
  }
}
