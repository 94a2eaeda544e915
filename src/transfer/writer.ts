import type { Clock, PartFile } from "../core/ports.ts";
import { Batch } from "./batch.ts";

export interface Written {
  /** First byte of the run this writer has written without a gap. */
  runStart: number;
  /** Bytes just written: [start, end). */
  start: number;
  end: number;
}

/**
 * Gathers what one connection brings and writes it in batches, one write in flight while the next batch fills, so
 * that a slow disk holds up neither the event loop nor more than two batches of memory.
 */
export class BatchWriter {
  private batch = new Batch();
  private flushedAt: number;
  private runStart: number;
  /** Position of the batch. */
  private at: number;
  private inFlight: Promise<void> | undefined;
  private failure: unknown;

  constructor(
    private readonly part: PartFile,
    start: number,
    /** A batch of so many bytes is written at once … */
    private readonly limit: number,
    /** … a smaller one after so many milliseconds; together with the journal's rhythm this is what a kill costs. */
    private readonly maxAgeMs: number,
    private readonly clock: Clock,
    private readonly onWritten: (written: Written) => void,
  ) {
    this.runStart = start;
    this.at = start;
    this.flushedAt = clock.monotonic();
  }

  /** Where the next chunk belongs. */
  get next(): number {
    return this.at + this.batch.length;
  }

  /** Takes a chunk that belongs behind everything given so far; the caller waits for the promise, if there is one. */
  push(chunk: Uint8Array): Promise<void> | undefined {
    if (this.failure !== undefined) throw this.failure;
    this.batch.add(chunk);
    this.tick(this.clock.monotonic());
    if (this.batch.length < this.limit) return undefined;
    if (!this.inFlight) {
      this.flush();
      return undefined;
    }
    return this.drained();
  }

  /** Continues at another position. */
  async seek(position: number): Promise<void> {
    await this.finish();
    this.runStart = position;
    this.at = position;
  }

  /** Writes what has been waiting too long. Called every few milliseconds, and by chunks that come late enough. */
  tick(now: number): void {
    // Behind a gap nothing is written: the run would seem to be whole.
    if (this.failure !== undefined || this.batch.length === 0 || this.inFlight) return;
    if (now - this.flushedAt >= this.maxAgeMs) this.flush();
  }

  /** Everything given is on disk when this resolves. Rejects with the error of the first write that failed. */
  async finish(): Promise<void> {
    while (this.failure === undefined && (this.inFlight || this.batch.length > 0)) {
      if (!this.inFlight) this.flush();
      await this.inFlight;
    }
    if (this.failure !== undefined) throw this.failure;
  }

  private async drained(): Promise<void> {
    await this.inFlight;
    if (this.failure !== undefined) throw this.failure;
    if (!this.inFlight && this.batch.length >= this.limit) this.flush();
  }

  private flush(): void {
    const { batch, at: start } = this;
    this.batch = new Batch();
    this.at += batch.length;
    const end = this.at;
    this.flushedAt = this.clock.monotonic();
    this.inFlight = this.write(start, end, batch);
  }

  private async write(start: number, end: number, batch: Batch): Promise<void> {
    try {
      await this.part.write(start, batch.chunks);
      this.onWritten({ runStart: this.runStart, start, end });
    } catch (error) {
      this.failure ??= error ?? new Error("write failed");
    } finally {
      batch.release();
      this.inFlight = undefined;
    }
  }
}
