import type { Socket } from "bun";
import { libc } from "./libc.ts";
import { delivered } from "./queue.ts";
import { RequestReader, type WireRequest } from "./request.ts";

/** Thrown inside an exchange when the peer has gone, or the origin is being stopped. */
export class Gone extends Error {}

/** After this many bytes without a pause the other connections get a turn. */
const TURN_BYTES = 4 << 20;

/**
 * One accepted socket. Requests on it are answered one after the other, so at most one thing waits at a time.
 * What counts as sent is what the kernel took.
 */
export class Connection {
  /** Body bytes sent on this connection so far. */
  bodySent = 0;
  /** Requests read from this connection so far. */
  served = 0;
  closed = false;
  private readonly reader = new RequestReader();
  private waiting: { finish: () => void; abort: () => void } | undefined;
  private sinceTurn = 0;
  private wakeOn: "data" | "drain" | undefined;

  constructor(
    /** 1 for the first connection that the origin accepted. */
    readonly id: number,
    readonly socket: Socket<unknown>,
  ) {}

  /** Socket events. */
  onData(chunk: Uint8Array): void {
    this.reader.push(chunk);
    this.wake("data");
  }

  onDrain(): void {
    this.wake("drain");
  }

  onClose(): void {
    this.closed = true;
    this.waiting?.abort();
  }

  private wake(event: "data" | "drain"): void {
    if (this.wakeOn === event) this.waiting?.finish();
  }

  /** Waits until `arm` calls its argument. `arm` returns how to disarm. Throws Gone when the peer leaves first. */
  async wait(arm: (done: () => void) => () => void): Promise<void> {
    if (this.closed) throw new Gone();
    await new Promise<void>((resolve, reject) => {
      let disarm = (): void => {};
      const settle = (end: () => void) => () => {
        this.waiting = undefined;
        disarm();
        end();
      };
      this.waiting = { finish: settle(resolve), abort: settle(() => reject(new Gone())) };
      disarm = arm(this.waiting.finish);
    });
  }

  sleep(ms: number): Promise<void> {
    return this.wait((done) => {
      const timer = setTimeout(done, ms);
      return () => clearTimeout(timer);
    });
  }

  private event(name: "data" | "drain"): Promise<void> {
    return this.wait(() => {
      this.wakeOn = name;
      return () => {
        this.wakeOn = undefined;
      };
    });
  }

  /** The next request; undefined when the peer closed the connection. Throws MalformedRequest. */
  async next(): Promise<WireRequest | undefined> {
    try {
      for (;;) {
        const request = this.reader.next();
        if (request) {
          this.served++;
          return request;
        }
        await this.event("data");
      }
    } catch (error) {
      if (error instanceof Gone) return undefined;
      throw error;
    }
  }

  /** Hands all bytes to the kernel; `onSent` hears of each portion that it took. */
  async write(bytes: Uint8Array, onSent?: (count: number) => void): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      if (this.closed) throw new Gone();
      const taken = this.socket.write(bytes, at, bytes.length - at);
      if (taken < 0) throw new Gone();
      at += taken;
      this.sinceTurn += taken;
      if (taken > 0) onSent?.(taken);
      if (at < bytes.length) await this.event("drain");
    }
    if (this.sinceTurn >= TURN_BYTES) {
      this.sinceTurn = 0;
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }

  /** Ends the connection in order: what was written arrives, then FIN. */
  finish(): void {
    if (!this.closed) this.socket.end();
  }

  /** FIN below TLS, without its close_notify; on a plain connection the same as `finish`. */
  truncate(): void {
    const SHUT_WR = 1;
    if (this.closed || libc()?.shutdown(this.fd, SHUT_WR) === 0) return;
    this.finish();
  }

  /** Breaks the connection: what was written arrives, then a TCP reset. */
  async reset(): Promise<void> {
    if (this.closed) return;
    await delivered(this.fd);
    this.terminate();
  }

  /** A TCP reset at once. */
  terminate(): void {
    if (!this.closed) this.socket.terminate();
  }

  /** Bun has it, its types do not. */
  private get fd(): number {
    return (this.socket as unknown as { fd?: number }).fd ?? -1;
  }
}
