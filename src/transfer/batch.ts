const BLOCK_BYTES = 64 << 10;
/** Chunks up to this size are copied together; larger ones come too fast for that, and go to disk as they are. */
const SMALL_CHUNK = 48 << 10;
/** Blocks kept for later; more than these are left to the garbage collector. */
const MOST_SPARE = 256;

const spare: Uint8Array[] = [];

/**
 * Chunks that are written together. Small ones are copied to memory of our own: where the runtime holds them they live
 * just long enough to count as old, and old memory it gives back so late that 160 slow connections held 200 MiB of it.
 */
export class Batch {
  readonly chunks: Uint8Array[] = [];
  length = 0;
  private readonly blocks: Uint8Array[] = [];
  /** Bytes used of the last block. */
  private used = BLOCK_BYTES;
  /** Where in it the last chunk begins; undefined when the last chunk is somewhere else. */
  private from: number | undefined;

  add(chunk: Uint8Array): void {
    this.length += chunk.length;
    if (chunk.length <= SMALL_CHUNK) this.copy(chunk);
    else {
      this.chunks.push(chunk);
      this.from = undefined;
    }
  }

  /** Nobody reads the chunks any more. */
  release(): void {
    this.chunks.length = 0;
    for (const block of this.blocks.splice(0)) if (spare.length < MOST_SPARE) spare.push(block);
  }

  private copy(chunk: Uint8Array): void {
    for (let rest = chunk; rest.length > 0; ) {
      if (this.used === BLOCK_BYTES) this.nextBlock();
      const block = this.blocks.at(-1)!;
      const part = rest.subarray(0, BLOCK_BYTES - this.used);
      block.set(part, this.used);
      if (this.from === undefined) this.from = this.used;
      else this.chunks.pop();
      this.used += part.length;
      this.chunks.push(block.subarray(this.from, this.used));
      rest = rest.subarray(part.length);
    }
  }

  private nextBlock(): void {
    this.blocks.push(spare.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES));
    this.used = 0;
    this.from = undefined;
  }
}
