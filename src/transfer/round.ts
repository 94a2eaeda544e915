import type { Bottleneck } from "../core/download.ts";
import { DownloadError } from "../core/errors.ts";
import type { TransferJob } from "../core/ports.ts";
import type { Known, Verdict } from "./answer.ts";
import type { DigestSession } from "./digest.ts";
import { Gauge, holdUp } from "./gauge.ts";
import type { Grant, Lease } from "./lease.ts";
import type { Engine } from "./options.ts";
import type { RangeSet } from "./parts.ts";
import type { Permit } from "./permits.ts";
import { type Desk, type PullEnd, Puller } from "./puller.ts";
import { Scale } from "./scale.ts";
import { complaint, type Lane } from "./stall.ts";
import { type FileState, Restart } from "./state.ts";
import type { Beside, Troubles } from "./trouble.ts";
import { Work } from "./work.ts";
import type { Written } from "./writer.ts";

const REPLACE_EVERY_MS = 500;

/** Fetches what is missing of one file with as many pullers as help, until all bytes are written. */
export class Round implements Desk {
  private readonly pullers = new Set<Puller>();
  /** Places that hold a puller, or are about to. */
  private lanes = 0;
  private readonly ended = Promise.withResolvers<void>();
  private over = false;
  private readonly stop = new AbortController();
  private readonly scale = new Scale();
  private readonly gauge = new Gauge();
  private readonly work: Work;
  private replaceAt = 0;
  /** Asked last, or about to be. */
  private host = "";
  private shown = 0;
  private idle: (() => void) | undefined;
  /** Pullers wait here for the digest. */
  private behind: PromiseWithResolvers<void> | undefined;
  /** The one that reads the whole file in one answer. */
  private stream: Puller | undefined;
  /** All of a small file, to be hashed without reading it again. */
  kept: Uint8Array[] | undefined;

  constructor(
    readonly engine: Engine,
    readonly job: TransferJob,
    readonly state: FileState,
    readonly lease: Lease,
    private readonly troubles: Troubles,
    private readonly rank: number,
    private readonly session: DigestSession | undefined,
  ) {
    this.work = new Work(engine, state, this.pullers, this.gauge, session);
  }

  get written(): RangeSet {
    return this.state.written;
  }

  known(): Known {
    return this.state.known;
  }

  /** Resolves when every byte is on disk. Rejects with Restart, DownloadError or the signal's reason. */
  async run(): Promise<void> {
    const { signal } = this.job;
    const interrupt = (): void => this.finish(() => this.ended.reject(signal.reason));
    signal.addEventListener("abort", interrupt, { once: true });
    if (signal.aborted) interrupt();
    const unwatch = this.engine.ticker.watch((now, woke) => this.tick(now, woke));
    if (this.session) {
      this.session.onProgress = () => this.catchUp();
      this.session.onFailure = (error) => this.finish(() => this.ended.reject(error));
    }
    try {
      this.spawn();
      await this.ended.promise;
    } finally {
      signal.removeEventListener("abort", interrupt);
      unwatch();
      if (this.session) this.session.onProgress = undefined;
      await this.quiet();
      this.showConnections();
    }
  }

  /* ---------------------------------------------------------------- lanes */

  private get most(): number {
    const { style, size, provable } = this.state;
    const single =
      this.stream !== undefined ||
      style !== "parts" ||
      size === null ||
      !(provable && this.lease.workedVersion > 0);
    return single ? 1 : this.engine.permits.limits.perDownload;
  }

  private spawn(): void {
    const wanted = Math.min(this.scale.target, this.most);
    while (!this.over && this.lanes < wanted && this.work.offers(this.lanes - this.pullers.size, this.most))
      void this.lane();
  }

  private async lane(): Promise<void> {
    this.lanes++;
    try {
      let goOn = true;
      while (goOn && !this.over)
        goOn = (await this.turn()) && this.lanes <= Math.min(this.scale.target, this.most);
    } catch (error) {
      this.finish(() => this.ended.reject(error));
    } finally {
      this.lanes--;
    }
  }

  /** One request; false when this place is not needed any more. */
  private async turn(): Promise<boolean> {
    const grant = await this.locate();
    if (!grant) return !this.over;
    const permit = await this.permit(grant);
    const claim =
      permit && !this.over && grant.version === this.lease.version
        ? this.work.claim(this.scale.target, this.most)
        : undefined;
    if (!permit || !claim) {
      permit?.release();
      this.lease.settle(grant);
      return permit !== undefined && grant.version !== this.lease.version;
    }
    const puller = new Puller(this, claim, this.work.ask(claim), grant, permit);
    const end = await this.pull(puller);
    if (this.over) return false;
    if (end.kind === "short" && this.endIsHere(puller)) return !this.over;
    const next = await this.troubles.after(puller, end, this.beside());
    if (this.state.complete) this.finish(() => this.ended.resolve());
    return next === "again";
  }

  private async pull(puller: Puller): Promise<PullEnd> {
    if (this.work.plain && this.job.digest) puller.kept = [];
    this.pullers.add(puller);
    // Between two requests of one place the number stays as it is; the tick tells when it has fallen.
    if (this.pullers.size > this.shown) this.showConnections();
    try {
      const end = await puller.run();
      if (end.kind === "done") this.kept = puller.kept;
      return end;
    } finally {
      if (this.stream === puller) this.stream = undefined;
      this.pullers.delete(puller);
      puller.permit.release();
      if (this.pullers.size === 0) this.idle?.();
    }
  }

  /** Where to ask; undefined when the source has to be asked again. */
  private async locate(): Promise<Grant | undefined> {
    const askedAt = this.engine.clock.monotonic();
    try {
      return await this.lease.take();
    } catch (error) {
      if (!this.over) await this.troubles.unlocated(error, askedAt, this.beside());
      return undefined;
    }
  }

  private beside(): Beside {
    return { moving: this.moving(), signal: this.stop.signal, crowded: () => this.crowded() };
  }

  /** The right to ask; undefined when the place is better given up. */
  private async permit(grant: Grant): Promise<Permit | undefined> {
    const { permits, patience } = this.engine;
    const { host } = new URL(grant.request.url);
    try {
      const gate = permits.gated(host);
      if (gate && gate.ms > patience.hostMs) {
        if (this.pullers.size > 0) return undefined;
        const { code, message, status } = gate.why;
        throw new DownloadError(code, message, { status, retryAfterMs: Math.round(gate.ms) });
      }
      this.host = host;
      return await permits.acquire(this.job.downloadId, this.rank, host, this.stop.signal);
    } catch (error) {
      this.lease.settle(grant);
      throw error;
    }
  }

  /** How many connections deliver, or would if we let them. */
  private moving(): number {
    const since = this.engine.clock.monotonic() - this.engine.stall.siblingSilentMs;
    let count = 0;
    for (const { state, movedAt } of this.pullers) if (state === "held" || movedAt > since) count++;
    return count;
  }

  private crowded(): void {
    this.scale.refused(this.moving(), this.engine.clock.monotonic());
  }

  private finish(settle: () => void): void {
    if (this.over) return;
    this.over = true;
    settle();
    this.stop.abort(
      this.job.signal.aborted ? this.job.signal.reason : new DOMException("over", "AbortError"),
    );
    for (const puller of this.pullers) if (puller.left > 0) puller.cut("stopped");
    this.catchUp();
  }

  /** Resolves when no puller is left: nothing is written afterwards. */
  private quiet(): Promise<void> {
    if (this.pullers.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.idle = resolve;
    });
  }

  private showConnections(): void {
    if (this.pullers.size === this.shown) return;
    this.shown = this.pullers.size;
    this.job.observer.connections(this.shown);
  }

  /* ---------------------------------------------------------------- what pullers report */

  accept(puller: Puller, verdict: Verdict & { kind: "part" | "whole" }): PullEnd | undefined {
    const { state, job } = this;
    this.gauge.answered(puller.latencyMs);
    // Others may hold bytes of the version before, written or about to be.
    if (verdict.kind === "whole" && !verdict.same && (state.written.total > 0 || this.pullers.size > 1)) {
      const reason = "the server sends the file from the beginning and gives no proof that it is the same";
      return { kind: "fatal", error: new Restart(reason, state.unstable, true) };
    }
    if (verdict.kind === "part" && verdict.size === null && state.size === null) return { kind: "useless" };
    // A first answer without bytes is believed when the plain question gets it too (F19).
    if (verdict.kind === "whole" && verdict.size === 0 && state.size === null && !state.emptySeen) {
      state.emptySeen = true;
      return { kind: "useless" };
    }
    state.size ??= verdict.size;
    if (!state.validator || verdict.validator.etag !== null || !state.worked)
      state.validator = verdict.validator;
    if (verdict.kind === "part" && !state.provable && !(verdict.start === 0 && verdict.end === state.size))
      return { kind: "useless" };
    state.drifted ||= verdict.drifted;
    state.page ||= !state.worked && puller.page;
    state.worked = true;
    if (verdict.kind === "whole") this.takeWhole(puller);
    else puller.claim.end = Math.min(puller.claim.end, verdict.end);
    if (!state.told) {
      state.told = true;
      const { size, validator } = state;
      if (size !== null) job.part.expect?.(size);
      job.observer.identified({ size, validator, ranges: verdict.kind === "part" });
    }
    return undefined;
  }

  /** One answer brings everything from byte 0: it is the only one from now on (F1). */
  private takeWhole(puller: Puller): void {
    this.stream = puller;
    for (const other of this.pullers) if (other !== puller) other.cut("stopped");
    const { claim } = puller;
    claim.start = 0;
    claim.at = 0;
    claim.end = this.state.size ?? Number.POSITIVE_INFINITY;
  }

  /** So far ahead of the digest that the network waits: what it has to read would leave the cache. */
  private get ahead(): boolean {
    const { session } = this;
    return session !== undefined && this.written.prefix - session.hashed > this.engine.digestLagBytes;
  }

  pace(): Promise<void> | undefined {
    if (!this.ahead || this.over) return undefined;
    this.behind ??= Promise.withResolvers();
    return this.behind.promise;
  }

  private catchUp(): void {
    if (!this.behind || (this.ahead && !this.over)) return;
    this.behind.resolve();
    this.behind = undefined;
  }

  received(bytes: number): void {
    this.gauge.received += bytes;
  }

  wrote({ runStart, start, end }: Written): void {
    const { state, engine, job } = this;
    const gained = state.written.add(start, end);
    state.gained += gained;
    job.observer.written(runStart, end - runStart, gained);
    this.session?.advance(state.written.prefix);
    if (state.complete) this.finish(() => this.ended.resolve());
    else if (state.size === null && state.written.total > engine.maxUnknownBytes) {
      const text = `the server sends more than ${engine.maxUnknownBytes} bytes and does not say how many there are`;
      this.finish(() => this.ended.reject(new DownloadError("too_large", `${job.label}: ${text}.`)));
    }
  }

  /** Whether a body ended where nobody had said that it would: then that is the end of the file (F15, F16). */
  private endIsHere(puller: Puller): boolean {
    const { state, job } = this;
    if (state.size !== null || puller.claim.end !== Number.POSITIVE_INFINITY) return false;
    if (puller.claim.at === 0 && !state.emptySeen) {
      state.emptySeen = true;
      state.style = "whole";
      return true;
    }
    state.size = puller.claim.at;
    if (!puller.framed && !job.digest)
      job.observer.warning("the server did not say how long the file is, so a cut would look like its end");
    this.finish(() => this.ended.resolve());
    return true;
  }

  /* ---------------------------------------------------------------- every few milliseconds */

  private tick(now: number, woke: boolean): void {
    if (this.over) return;
    if (woke) for (const puller of this.pullers) puller.cut("silent");
    for (const puller of this.pullers) puller.tick(now);
    this.gauge.tick(now, this.pullers);
    this.complain(now);
    const cause = this.cause();
    let receiving = 0;
    for (const puller of this.pullers) if (puller.bytes > 0) receiving++;
    this.scale.observe({
      now,
      received: this.gauge.received,
      receiving,
      most: this.most,
      latencyMs: this.gauge.latencyMs,
      held: cause !== "remote" || this.lanes < this.scale.target,
    });
    const main = cause && this.gauge.cause(cause, now);
    if (main) this.job.observer.bottleneck(main);
    this.showConnections();
    this.spawn();
  }

  private complain(now: number): void {
    const all = [...this.pullers];
    for (const puller of all) {
      const others = all.filter((it): it is Puller & Lane => it !== puller);
      const what = complaint(puller, others, now, this.engine.stall, this.gauge.latencyMs);
      // One answer with everything would have to begin again: however slow, it goes on.
      if (what === undefined || (what !== "silent" && puller === this.stream)) continue;
      if (what === "laggard") {
        if (now < this.replaceAt) continue;
        this.replaceAt = now + REPLACE_EVERY_MS;
      }
      puller.cut(what);
    }
  }

  /** What holds the bytes back at this moment; undefined while they wait for other files of the download. */
  private cause(): Bottleneck | undefined {
    if (this.pullers.size > 0) return holdUp(this.pullers);
    const { permits } = this.engine;
    return permits.gated(this.host) || permits.hostIsFull(this.host) ? "host_limit" : undefined;
  }
}
