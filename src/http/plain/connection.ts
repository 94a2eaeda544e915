import type { Socket, SocketHandler } from "bun";
import { DownloadError } from "../../core/errors.ts";
import type { Address } from "../addresses.ts";
import { connectFailed, cut, tooSlow } from "../faults.ts";

/** Bytes that may wait for a reader; the rest waits in the system's buffers, and then at the sender. */
const MOST_WAITING = 64 * 1024;

/**
 * Makes a TCP connection whose events go to these handlers, as `Bun.connect` does: all that this room reads and writes
 * without TLS passes through it, so that each of it can be made to fail (FAULTS G5).
 */
export type Connect = (options: {
  hostname: string;
  port: number;
  data: Connection;
  socket: SocketHandler<Connection>;
}) => Promise<Socket<Connection>>;

export const systemConnect: Connect = (options) => Bun.connect<Connection>(options);

interface Reader {
  resolve(bytes: Uint8Array | null): void;
  reject(reason: unknown): void;
}

/** One TCP connection, read piece by piece at the reader's own speed. */
export class Connection {
  /** Something has come since the last request. */
  heard = false;
  /** Called when it breaks, ends or speaks while nobody listens. */
  onIdleEvent: (() => void) | undefined;
  private socket: Socket<Connection> | undefined;
  private unsent: Uint8Array | undefined;
  private waiting: Uint8Array[] = [];
  private waitingBytes = 0;
  private paused = false;
  private reader: Reader | undefined;
  private finished = false;
  private failure: unknown;

  private constructor(
    /** Host and port, for messages. */
    private readonly host: string,
  ) {}

  /** Connects within `limitMs`. Rejects with DownloadError `connect`, or the signal's reason. */
  static async open(
    address: Address,
    port: number,
    host: string,
    limitMs: number,
    signal: AbortSignal,
    connect: Connect,
  ): Promise<Connection> {
    signal.throwIfAborted();
    const connection = new Connection(host);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const late = () => reject(tooSlow("connect", host, "accepted no connection", limitMs));
    const timer = setTimeout(late, limitMs);
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    connect({ hostname: address.address, port, data: connection, socket: EVENTS }).then(
      (socket) => {
        connection.socket = socket;
        resolve();
      },
      (error) => reject(connectFailed(host, error)),
    );
    try {
      await promise;
      return connection;
    } catch (error) {
      connection.close(error);
      throw error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    }
  }

  send(bytes: Uint8Array): void {
    this.heard = false;
    this.unsent = bytes;
    this.flush();
  }

  /** The next bytes, or null when the peer has sent its last. Rejects with `network` when it broke off. */
  read(): Promise<Uint8Array | null> {
    const next = this.waiting.shift();
    if (next) {
      this.waitingBytes -= next.length;
      if (this.paused && this.waitingBytes < MOST_WAITING) {
        this.paused = false;
        this.socket?.resume();
      }
      return Promise.resolve(next);
    }
    if (this.failure !== undefined) return Promise.reject(this.failure);
    if (this.finished) return Promise.resolve(null);
    return new Promise((resolve, reject) => {
      this.reader = { resolve, reject };
    });
  }

  /** Gives back what was read too much. */
  unread(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.waiting.unshift(bytes);
    this.waitingBytes += bytes.length;
  }

  /** Nothing waits and nothing has ended: another request may be sent. */
  get isQuiet(): boolean {
    return !this.finished && this.failure === undefined && this.waiting.length === 0 && !this.unsent;
  }

  /** Whether the process is kept alive by it: not while it waits for a next request. */
  holdProcess(hold: boolean): void {
    if (hold) this.socket?.ref();
    else this.socket?.unref();
  }

  /** Ends it; a pending read rejects with `reason`. */
  close(reason: unknown = new DOMException("closed", "AbortError")): void {
    this.fail(reason);
    this.waiting = [];
    this.waitingBytes = 0;
    this.socket?.terminate();
  }

  /* -------------------------------------------------------------- what the socket tells */

  opened(socket: Socket<Connection>): void {
    this.socket = socket;
    if (this.failure !== undefined) socket.terminate();
  }

  flush(): void {
    if (!this.unsent || !this.socket) return;
    const written = this.socket.write(this.unsent);
    this.unsent = written >= this.unsent.length ? undefined : this.unsent.subarray(Math.max(0, written));
  }

  received(bytes: Uint8Array): void {
    this.heard = true;
    const { reader } = this;
    if (reader) {
      this.reader = undefined;
      reader.resolve(bytes);
      return;
    }
    this.waiting.push(bytes);
    this.waitingBytes += bytes.length;
    if (this.waitingBytes >= MOST_WAITING && !this.paused) {
      this.paused = true;
      this.socket?.pause();
    }
    this.onIdleEvent?.();
  }

  ended(): void {
    this.finished = true;
    const { reader } = this;
    this.reader = undefined;
    reader?.resolve(null);
    this.onIdleEvent?.();
  }

  broke(error: unknown): void {
    // After the orderly end of what was sent a reset of the rest is no news.
    if (this.finished) return;
    this.fail(error instanceof DownloadError ? error : cut(this.host));
    this.onIdleEvent?.();
  }

  private fail(reason: unknown): void {
    this.failure ??= reason;
    const { reader } = this;
    this.reader = undefined;
    reader?.reject(this.failure);
  }
}

const EVENTS = {
  open: (socket: Socket<Connection>) => socket.data.opened(socket),
  data: (socket: Socket<Connection>, bytes: Uint8Array) => socket.data.received(bytes),
  drain: (socket: Socket<Connection>) => socket.data.flush(),
  end: (socket: Socket<Connection>) => socket.data.ended(),
  close: (socket: Socket<Connection>, error?: Error) =>
    error ? socket.data.broke(error) : socket.data.ended(),
  error: (socket: Socket<Connection>, error: Error) => socket.data.broke(error),
};
