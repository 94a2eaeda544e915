import { DownloadError, toDownloadError } from "../core/errors.ts";
import type { HttpResponse, TransferJob } from "../core/ports.ts";
import { parseHttpDate } from "../core/wait.ts";
import type { Verdict } from "./answer.ts";
import { isPointer } from "./content.ts";
import type { Lease } from "./lease.ts";
import type { Engine } from "./options.ts";
import { PatienceCounter } from "./patience.ts";
import type { PullEnd, Puller } from "./puller.ts";
import { type FileState, Restart } from "./state.ts";

/** Whether the puller's place goes on with another request. */
export type Next = "again" | "retire";

/** What goes on beside the request that ended. */
export interface Beside {
  /** Other requests for the same file that deliver. */
  moving: number;
  signal: AbortSignal;
  /** The server did not want this one as well. */
  crowded(): void;
}

/** Codes of a host that nobody answers for. */
const UNREACHABLE = new Set(["connect", "dns", "timeout"]);
const MAX_SKEW_MS = 5 * 60_000;
const SMALL_ANSWER = 1024;

/** Decides what follows from the end of a request that did not bring all of its claim. Throws what ends the round. */
export class Troubles {
  private readonly patience: PatienceCounter;
  /** Addresses in a row that were refused from the beginning. */
  private refusals = 0;

  constructor(
    private readonly engine: Engine,
    private readonly job: TransferJob,
    private readonly state: FileState,
    private readonly lease: Lease,
  ) {
    this.patience = new PatienceCounter(engine.patience);
  }

  async after(puller: Puller, end: PullEnd, beside: Beside): Promise<Next> {
    switch (end.kind) {
      case "done":
        return "again";
      case "fatal":
        throw end.error;
      case "useless":
        this.state.style = "whole";
        return "again";
      case "short":
        if (puller.bytes > 0 && this.state.provable) return "again";
        return this.broken(puller, this.ended(puller), beside);
      case "cut":
        return this.cut(puller, end.why, beside);
      case "broken":
        return this.broken(puller, end.error, beside);
      case "answer":
        if (end.verdict.kind !== "changed") await end.response.cancel();
        return this.answered(puller, end.verdict, end.response, beside);
    }
  }

  private cut(
    puller: Puller,
    why: Extract<PullEnd, { kind: "cut" }>["why"],
    beside: Beside,
  ): Next | Promise<Next> {
    if (why === "stopped") return "retire";
    if (why !== "silent" || (beside.moving > 0 && this.state.provable)) return "again";
    const seconds = this.engine.stall.silentMs / 1000;
    const error = new DownloadError(
      "timeout",
      `${this.job.label}: ${puller.permit.host} sent nothing for ${seconds} s.`,
    );
    return this.broken(puller, error, beside);
  }

  private ended(puller: Puller): DownloadError {
    const { size, written } = this.state;
    const of = size === null ? "" : ` of ${size}`;
    const text = `${this.job.label}: the answer of ${puller.permit.host} ended after ${written.total}${of} bytes.`;
    return new DownloadError(puller.bytes > 0 ? "size_mismatch" : "network", text);
  }

  private async broken(puller: Puller, thrown: unknown, beside: Beside): Promise<Next> {
    const error = toDownloadError(thrown);
    if (!this.state.provable && this.state.written.total > 0)
      throw new Restart(
        "the connection broke and the server gives no proof that a second answer would continue the first",
        error,
        true,
      );
    if (puller.bytes === 0 && puller.latencyMs === 0) {
      const { host } = puller.permit;
      if (beside.moving > 0) {
        puller.permit.report("refused");
        beside.crowded();
        return "retire";
      }
      // Whoever else wants this host waits until one has got through (F47, F228).
      if (UNREACHABLE.has(error.code) && this.engine.permits.activeOn(host) === 0)
        this.engine.permits.gate(host, error);
    }
    return this.again(puller, error, beside);
  }

  /** The source could not say where the file is now. */
  unlocated(thrown: unknown, askedAt: number, beside: Beside): Promise<Next> {
    const error = toDownloadError(thrown);
    if (error.verdict !== "retry") throw error;
    return this.again({ askedAt, bytes: 0 }, error, beside);
  }

  /** Waits and tries again, or throws when that has been done often enough without a new byte. */
  private async again(
    { askedAt, bytes }: Pick<Puller, "askedAt" | "bytes">,
    error: DownloadError,
    beside: Beside,
  ): Promise<Next> {
    const now = this.engine.clock.monotonic();
    const pause = this.patience.failed(bytes, this.state.gained, askedAt, now, Math.random());
    if (pause === undefined) {
      const hopeless = error.code === "protocol" && !this.state.worked;
      throw hopeless
        ? new DownloadError(error.code, error.message, { verdict: "final", cause: error })
        : error;
    }
    await this.engine.clock.sleep(pause, beside.signal);
    return "again";
  }

  private answered(
    puller: Puller,
    verdict: Verdict,
    response: HttpResponse,
    beside: Beside,
  ): Next | Promise<Next> {
    switch (verdict.kind) {
      case "refused":
        return this.refused(puller, verdict.error, response);
      case "limited":
        return this.limited(puller, verdict.error, beside);
      case "failed":
        return this.again(puller, verdict.error, beside);
      case "changed":
        return this.changed(verdict, response);
      case "end":
        return this.beyondEnd(puller, verdict.size, response, beside);
      case "fatal":
        throw this.job.explain?.(response.status, response.headers) ?? verdict.error;
      default:
        throw new Error(`a good answer (${verdict.kind}) is no trouble`);
    }
  }

  /** The address is a lease: asked for again once for all, and believed when it fails twice in a row (F40, F42). */
  private refused(puller: Puller, error: DownloadError, response: HttpResponse): Next | Promise<Next> {
    const version = puller.addressVersion;
    if (version !== this.lease.version) return "again";
    if (this.lease.workedVersion === version) this.refusals = 0;
    this.refusals++;
    // Not the source itself but the place it led to refused, or one that has worked before.
    const led = response.hops.length > 0 || this.lease.workedVersion > 0;
    if (this.refusals === 1 && led) {
      this.lease.expire(version);
      return "again";
    }
    if (led && (response.status === 403 || response.status === 400) && this.loosen()) return "again";
    throw this.refusal(error, response);
  }

  /** Some signatures cover the range: larger ranges, then one answer for everything (F41). */
  private loosen(): boolean {
    if (this.state.style === "whole") return false;
    this.state.style = this.state.style === "parts" ? "open" : "whole";
    return true;
  }

  private refusal(error: DownloadError, { status, headers, url }: HttpResponse): Error {
    if (this.state.worked && (status === 404 || status === 410))
      return new DownloadError(
        "gone",
        `${this.job.label}: ${new URL(url).host} does not have the file any more.`,
        { status },
      );
    const explained = this.job.explain?.(status, headers);
    if (explained) return explained;
    const date = parseHttpDate(headers.get("date") ?? "");
    const skew = date === undefined ? 0 : this.engine.clock.now() - date;
    if (status !== 404 && status !== 410 && Math.abs(skew) > MAX_SKEW_MS) {
      const minutes = Math.round(Math.abs(skew) / 60_000);
      const where = `${minutes} minutes ${skew > 0 ? "ahead of" : "behind"} the server's`;
      const text = `Perhaps because the clock of this machine is ${where}. Set it and try again.`;
      return new DownloadError("clock", `${error.message} ${text}`, { status });
    }
    return error;
  }

  /** The host's gate is closed; connections that run go on (F46). */
  private limited(puller: Puller, error: DownloadError, beside: Beside): Next {
    const wait = puller.waitMs;
    puller.permit.report("refused");
    beside.crowded();
    if (beside.moving > 0) return "retire";
    if (this.patience.mayWait(wait, this.state.gained)) return "again";
    throw new DownloadError(error.code, error.message, {
      status: error.status,
      retryAfterMs: Math.round(wait),
    });
  }

  private async changed(
    { size, why }: Extract<Verdict, { kind: "changed" }>,
    response: HttpResponse,
  ): Promise<Next> {
    const { state, job } = this;
    const promised = state.promisedSize;
    if (promised !== undefined && size !== null && size !== promised) {
      if (state.worked) {
        await response.cancel();
        throw new DownloadError(
          "remote_changed",
          `${job.label}: the file on the server is another one now: ${why}.`,
        );
      }
      throw await this.notTheFile(promised, size, response);
    }
    await response.cancel();
    throw new Restart(`the file on the server is another one now: ${why}`, state.unstable, false);
  }

  private async notTheFile(promised: number, size: number, response: HttpResponse): Promise<DownloadError> {
    const host = new URL(response.url).host;
    const text = size <= SMALL_ANSWER ? await response.text(SMALL_ANSWER) : "";
    await response.cancel();
    if (isPointer(text))
      return new DownloadError(
        "lfs_pointer",
        `${this.job.label}: ${host} sent a Git LFS pointer instead of the file.`,
      );
    return new DownloadError(
      "unexpected_content",
      `${this.job.label}: ${host} sent ${size} bytes where ${promised} were promised; this is not the file.`,
    );
  }

  /** 416: the file is complete, shorter than what we have, or the range is not liked (F49, F50, F51). */
  private beyondEnd(
    puller: Puller,
    size: number | null,
    response: HttpResponse,
    beside: Beside,
  ): Next | Promise<Next> {
    const { state } = this;
    if (size !== null && state.size !== null && size !== state.size)
      return this.changed(
        { kind: "changed", size, why: `its size was ${state.size} and is ${size} bytes` },
        response,
      );
    if (size !== null && size < state.written.end)
      throw new Restart(`the file on the server has only ${size} bytes`, state.unstable, false);
    const all = state.written.prefix;
    if (
      state.size === null &&
      all > 0 &&
      all === state.written.end &&
      (size === all || (size === null && this.job.digest))
    ) {
      state.size = all;
      return "again";
    }
    // Nothing at byte 0, or a range that has to be good is refused: one plain question tells (F19, F20, F41).
    if (this.loosen()) return "again";
    const text = `${this.job.label}: ${puller.permit.host} refuses every range (416).`;
    return this.again(puller, new DownloadError("bad_range", text, { status: 416 }), beside);
  }
}
