import type { Socket } from "bun";
import { Ledger, type Messages, type Told } from "./ledger.ts";
import { clientFrame, EventWire, type Hearer, pongFrame, SocketWire, type Wire } from "./wire.ts";

export type Transport = "sse" | "ws";

/** What the readers of one crowd share. */
export interface Surroundings {
  messages: Messages;
  port: number;
  /** Called with every message, before the ledger takes it. */
  noted(told: Told): void;
}

/** Of a WebSocket nobody says how long to wait; the same spread as the streams are told. */
const RETRY_MS = 1000;
const RETRY_SPREAD_MS = 2000;

/** The request that opens a stream, or asks for a WebSocket. */
export function requestOf(transport: Transport, since: number): string {
  const lines =
    transport === "sse"
      ? ["GET /v1/events HTTP/1.1", ...(since > 0 ? [`Last-Event-ID: ${since}`] : [])]
      : [
          "GET /v1/ws HTTP/1.1",
          "Connection: Upgrade",
          "Upgrade: websocket",
          "Sec-WebSocket-Version: 13",
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ];
  return [...lines, "Host: localhost", "", ""].join("\r\n");
}

export const subscribeFrame = (since: number): Buffer =>
  clientFrame(JSON.stringify({ type: "subscribe", ref: 1, ...(since > 0 ? { since } : {}) }));

/** One that watches everything, over one connection after the other; what it knows stays with it. */
export class Reader implements Hearer {
  readonly transport: Transport;
  readonly ledger: Ledger;
  /** Whether it comes back when its connection ends. */
  returns = false;
  isOpen = false;
  /** Last status that was no welcome, or what went wrong. */
  refusal = "";
  connections = 0;
  readonly #around: Surroundings;
  #socket: Socket | undefined;
  #wire: Wire;
  #retryMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #welcome = Promise.withResolvers<void>();

  constructor(transport: Transport, around: Surroundings, ledger = new Ledger()) {
    this.transport = transport;
    this.ledger = ledger;
    this.#around = around;
    this.#wire = this.#newWire();
    this.#retryMs = RETRY_MS + Math.random() * RETRY_SPREAD_MS;
  }

  /** Connects, and resolves when it has been told all there is. */
  async open(): Promise<void> {
    this.#welcome = Promise.withResolvers();
    this.#connect();
    await this.#welcome.promise;
  }

  #newWire(): Wire {
    return this.transport === "sse" ? new EventWire(this) : new SocketWire(this);
  }

  #connect(): void {
    this.#wire = this.#newWire();
    this.ledger.connected();
    this.connections++;
    Bun.connect({
      hostname: "127.0.0.1",
      port: this.#around.port,
      socket: {
        open: (socket) => {
          this.#socket = socket;
          socket.write(requestOf(this.transport, this.ledger.seq));
        },
        data: (_, chunk) => this.#wire.feed(chunk),
        close: () => this.#closed(),
        error: (_, error) => this.#failed(error),
        connectError: (_, error) => this.#unreached(error),
      },
    }).catch((error) => this.#unreached(error));
  }

  #failed(error: unknown): void {
    this.refusal = String(error);
  }

  #unreached(error: unknown): void {
    this.#failed(error);
    this.#closed();
  }

  #closed(): void {
    this.isOpen = false;
    this.#socket = undefined;
    clearTimeout(this.#timer);
    if (this.returns) this.#timer = setTimeout(() => this.#connect(), this.#retryMs);
    else this.#welcome.reject(new Error(`the connection ended: ${this.refusal}`));
  }

  answered(status: number): void {
    if (status !== 200 && status !== 101) this.refusal = `status ${status}`;
    else if (this.transport === "ws") this.#socket?.write(subscribeFrame(this.ledger.seq));
    else if (this.ledger.seq > 0) this.#arrived();
  }

  message(bytes: Buffer, start: number, end: number): void {
    const told = this.#around.messages.read(bytes, start, end);
    this.#around.noted(told);
    if (told.type === "ping") this.heartbeat();
    else this.ledger.take(told);
    const isThere =
      (told.type === "snapshot" && !told.more) || (told.type === "reply" && this.ledger.seq > 0);
    if (isThere && !this.isOpen) this.#arrived();
  }

  #arrived(): void {
    this.isOpen = true;
    this.#welcome.resolve();
  }

  heartbeat(): void {
    this.ledger.heartbeats++;
  }

  retry(ms: number): void {
    this.#retryMs = ms;
  }

  ping(payload: Buffer): void {
    this.#socket?.write(pongFrame(payload));
  }

  close(): void {
    this.returns = false;
    clearTimeout(this.#timer);
    this.#welcome.promise.catch(() => {});
    this.#socket?.terminate();
  }
}
