import type { Validator } from "../core/download.ts";
import { DownloadError } from "../core/errors.ts";
import type { TransferJob } from "../core/ports.ts";
import type { Known } from "./answer.ts";
import type { RangeSet } from "./parts.ts";
import { isStrong } from "./validator.ts";

/** Thrown when everything so far is void and the file has to be fetched from the beginning. */
export class Restart extends Error {
  override readonly name = "Restart";

  constructor(
    /** For the user. */
    readonly reason: string,
    /** What to fail with when there have been too many. */
    readonly error: DownloadError,
    /** Fetch it in one answer on one connection. */
    readonly whole: boolean,
  ) {
    super(reason);
  }
}

/**
 * How bytes are asked for. `parts`: bounded ranges on several connections. `open`: ranges without an end, for servers
 * that refuse bounded ones (F41). `whole`: everything in one answer.
 */
export type Style = "parts" | "open" | "whole";

/** What is known of the file, and what of it is there. Outlives rounds. */
export class FileState {
  size: number | null;
  validator: Validator | null;
  style: Style = "parts";
  /** Somebody has answered well in this transfer, or bytes of an earlier one are there. */
  worked: boolean;
  /** Pieces with different validators were accepted because a digest will judge the whole (F28). */
  drifted = false;
  /** Good answers of this server call the file a web page; then that type says nothing. */
  page = false;
  /** An answer has said that the file is empty. */
  emptySeen = false;
  /** The present validator has been told to the observer. */
  told = false;
  /** Bytes written during this transfer, void ones included. */
  gained = 0;
  restarts = 0;

  constructor(
    private readonly job: TransferJob,
    public written: RangeSet,
  ) {
    this.size = job.size;
    this.validator = job.validator;
    this.worked = written.total > 0;
  }

  get known(): Known {
    const { label, digest } = this.job;
    return {
      label,
      size: this.size,
      validator: this.validator,
      digest: digest !== null,
      worked: this.worked,
      page: this.page,
    };
  }

  /** Bytes of several answers may be put together. */
  get provable(): boolean {
    return this.job.digest !== null || (this.validator !== null && isStrong(this.validator));
  }

  get complete(): boolean {
    return this.size !== null && this.written.total >= this.size;
  }

  /** The size that was promised before anybody was asked; undefined when it was learnt, never known, or 0 (F19). */
  get promisedSize(): number | undefined {
    const promised = this.job.digest !== null || this.job.validator === null;
    return promised && this.job.size ? this.job.size : undefined;
  }

  /** What to fail with when the file will not keep still. */
  get unstable(): DownloadError {
    return new DownloadError(
      "remote_changed",
      `${this.job.label}: the file on the server changes while it is downloaded. Try again later or pin a revision.`,
    );
  }
}
