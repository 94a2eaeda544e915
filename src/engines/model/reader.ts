import { type FileHandle, open } from "node:fs/promises";

const WINDOW = 256 * 1024;
/** The largest headers known (vocabularies of 260 000 tokens with their merges) are below 30 MB. */
const MOST_READ = 64 * 1024 * 1024;

/** The header ends behind the end of the file, or says what cannot be. The message completes "it …" for the user. */
export class BadHeader extends Error {
  override readonly name = "BadHeader";
}

/**
 * Reads a file from its beginning through a window of fixed size. What the file declares is never allocated: a value
 * is looked at where it lies, or skipped without being read, so that memory stays the same whatever a header claims.
 */
export class HeaderReader {
  readonly size: number;
  position = 0;
  littleEndian = true;
  readonly #handle: FileHandle;
  readonly #signal: AbortSignal | undefined;
  readonly #window = Buffer.alloc(WINDOW);
  readonly #view = new DataView(this.#window.buffer, this.#window.byteOffset, WINDOW);
  /** Offset in the file of the first byte of the window, and how many bytes of it are filled. */
  #start = 0;
  #filled = 0;
  #read = 0;

  private constructor(handle: FileHandle, size: number, signal: AbortSignal | undefined) {
    this.#handle = handle;
    this.size = size;
    this.#signal = signal;
  }

  static async open(path: string, signal?: AbortSignal): Promise<HeaderReader> {
    const handle = await open(path, "r");
    try {
      return new HeaderReader(handle, (await handle.stat()).size, signal);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  /** Whether the next `length` bytes lie in the window; if not, `fill` brings them. */
  has(length: number): boolean {
    const offset = this.position - this.#start;
    return offset >= 0 && offset + length <= this.#filled;
  }

  /** Makes the next `length` bytes (at most a window) readable by the synchronous calls below. */
  async fill(length: number): Promise<void> {
    this.#signal?.throwIfAborted();
    if (this.position + length > this.size)
      throw new BadHeader("is truncated: its header goes on behind its end");
    if (length > WINDOW) throw new BadHeader("has a header with a value no model has");
    this.#start = this.position;
    this.#filled = 0;
    while (this.#filled < length) {
      const { bytesRead } = await this.#handle.read(
        this.#window,
        this.#filled,
        WINDOW - this.#filled,
        this.#start + this.#filled,
      );
      if (bytesRead === 0) throw new BadHeader("was cut while it was read");
      this.#filled += bytesRead;
      this.#read += bytesRead;
    }
    if (this.#read > MOST_READ) throw new BadHeader("has a header larger than that of any model");
  }

  /** Passes over bytes without reading them. */
  skip(length: number): void {
    if (!(length >= 0 && this.position + length <= this.size))
      throw new BadHeader("is truncated: its header goes on behind its end");
    this.position += length;
  }

  /** The first bytes, at most `length`, without moving. */
  async peek(length: number): Promise<Buffer> {
    const wanted = Math.min(length, this.size - this.position);
    if (!this.has(wanted)) await this.fill(wanted);
    const offset = this.position - this.#start;
    return Buffer.from(this.#window.subarray(offset, offset + wanted));
  }

  /** The next bytes as text; they must be in the window. */
  text(length: number): string {
    const at = this.#take(length);
    return this.#window.toString("utf8", at, at + length);
  }

  u8 = (): number => this.#view.getUint8(this.#take(1));
  i8 = (): number => this.#view.getInt8(this.#take(1));
  u16 = (): number => this.#view.getUint16(this.#take(2), this.littleEndian);
  i16 = (): number => this.#view.getInt16(this.#take(2), this.littleEndian);
  u32 = (): number => this.#view.getUint32(this.#take(4), this.littleEndian);
  i32 = (): number => this.#view.getInt32(this.#take(4), this.littleEndian);
  f32 = (): number => this.#view.getFloat32(this.#take(4), this.littleEndian);
  f64 = (): number => this.#view.getFloat64(this.#take(8), this.littleEndian);
  i64 = (): number => Number(this.#view.getBigInt64(this.#take(8), this.littleEndian));
  /** Beyond 2^53 the nearest number: large enough to be refused wherever it is compared. */
  u64 = (): number => Number(this.#view.getBigUint64(this.#take(8), this.littleEndian));

  #take(length: number): number {
    if (!this.has(length)) throw new BadHeader("is truncated: its header goes on behind its end");
    const at = this.position - this.#start;
    this.position += length;
    return at;
  }
}
