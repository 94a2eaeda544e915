import type { Clock } from "../core/ports.ts";
import type { SystemCalls } from "./system.ts";

/** Some hundred changes, and what the database itself has to grow for them. */
const BYTES = 1 << 20;
/** How long to leave a volume alone that was full a moment ago. */
const AGAIN_MS = 1_000;

/**
 * Room on the volume that is kept for the database. On a full disk it is given up, so that a download can still be
 * recorded as waiting, paused or cancelled, which is what makes room again (F80).
 */
export class Reserve {
  readonly #calls: SystemCalls;
  readonly #path: string;
  readonly #clock: Clock;
  #isThere = false;
  #notBefore = Number.NEGATIVE_INFINITY;

  constructor(calls: SystemCalls, path: string, clock: Clock) {
    this.#calls = calls;
    this.#path = path;
    this.#clock = clock;
    this.#isThere = this.#sizeNow() === BYTES;
  }

  /** Sets the room aside unless that is done; where there is none, later. */
  keep(): void {
    if (this.#isThere || this.#clock.monotonic() < this.#notBefore) return;
    try {
      this.#write();
      this.#isThere = true;
    } catch {
      this.#giveUp();
    }
  }

  /** Leaves the room to whoever writes now; false when there is none to leave. */
  spend(): boolean {
    if (!this.#isThere) return false;
    this.#isThere = false;
    return this.#giveUp();
  }

  #sizeNow(): number {
    try {
      return this.#calls.statSync(this.#path).size;
    } catch {
      return 0;
    }
  }

  #write(): void {
    const fd = this.#calls.openSync(this.#path, "w", 0o600);
    try {
      // Zeros take no room on a volume that compresses.
      const bytes = crypto.getRandomValues(new Uint8Array(64 * 1024));
      for (let at = 0; at < BYTES; ) at += this.#calls.writeSync(fd, bytes.subarray(0, BYTES - at));
    } finally {
      this.#calls.closeSync(fd);
    }
  }

  #giveUp(): boolean {
    this.#notBefore = this.#clock.monotonic() + AGAIN_MS;
    try {
      this.#calls.unlinkSync(this.#path);
      return true;
    } catch {
      return false;
    }
  }
}
