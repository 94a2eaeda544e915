/** What has passed through is collected after so many bytes … */
const EVERY_BYTES = 32 << 20;
/** … and no more often than this. */
const EVERY_MS = 500;

/**
 * Reminds the runtime to collect what has passed through, beside the work. Left to itself it waits until there is a lot,
 * then holds everything up for some hundred milliseconds.
 */
export class Garbage {
  private bytes = 0;
  private at = 0;

  constructor(private readonly collect: () => void = () => Bun.gc(false)) {}

  arrived(bytes: number, now: number): void {
    this.bytes += bytes;
    if (this.bytes < EVERY_BYTES || now - this.at < EVERY_MS) return;
    this.bytes = 0;
    this.at = now;
    this.collect();
  }
}
