import { ptr } from "bun:ffi";
import { libc } from "../../support/origin/libc.ts";
import { Ledger } from "./ledger.ts";
import { Reader, requestOf, type Surroundings, subscribeFrame, type Transport } from "./reader.ts";
import { EventWire, type Hearer, SocketWire, type Wire } from "./wire.ts";

const [AF_INET, SOCK_STREAM, SOL_SOCKET, SO_RCVBUF] = [2, 1, 1, 8];
const MSG_DONTWAIT = 0x40;
const POLLIN = 1;
/** The kernel takes twice this for one connection: it is full after a handful of events. */
const RECEIVE_BUFFER = 4096;
const WAIT_MS = 10_000;

/** A descriptor that something ended, or that can be read. */
function poll(fd: number, events: number, timeoutMs: number): number {
  const asked = new Uint8Array(8);
  const view = new DataView(asked.buffer);
  view.setInt32(0, fd, true);
  view.setInt16(4, events, true);
  libc()!.poll(ptr(asked), 1n, timeoutMs);
  return view.getInt16(6, true);
}

function connect(port: number): number {
  const calls = libc()!;
  const fd = calls.socket(AF_INET, SOCK_STREAM, 0);
  const size = new Int32Array([RECEIVE_BUFFER]);
  calls.setsockopt(fd, SOL_SOCKET, SO_RCVBUF, ptr(size), 4);
  const address = new Uint8Array(16);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_INET, true);
  view.setUint16(2, port, false);
  view.setUint32(4, 0x7f000001, false);
  if (fd < 0 || calls.connect(fd, ptr(address), 16) !== 0) throw new Error("a stalled reader cannot connect");
  return fd;
}

/**
 * A reader that is told what there is and takes nothing from then on, on a socket whose buffer is small, as a client
 * behind a thin line has it. Not on the event loop: nobody reads ahead for it.
 */
export class Stalled implements Hearer {
  readonly ledger = new Ledger();
  readonly transport: Transport;
  readonly #around: Surroundings;
  readonly #fd: number;
  readonly #wire: Wire;
  #isTold = false;

  constructor(transport: Transport, around: Surroundings) {
    this.transport = transport;
    this.#around = around;
    this.#wire = transport === "sse" ? new EventWire(this) : new SocketWire(this);
    this.#fd = connect(around.port);
    this.#send(Buffer.from(requestOf(transport, 0)));
    while (!this.#isTold) if (!this.#take(WAIT_MS)) throw new Error("a stalled reader was told nothing");
  }

  #send(bytes: Buffer): void {
    libc()!.send(this.#fd, ptr(bytes), BigInt(bytes.length), 0);
  }

  /** Takes what is there, once; false when there is nothing in time, or no more. */
  #take(timeoutMs: number): boolean {
    if ((poll(this.#fd, POLLIN, timeoutMs) & POLLIN) === 0) return false;
    const buffer = Buffer.alloc(64 * 1024);
    const size = Number(libc()!.recv(this.#fd, ptr(buffer), BigInt(buffer.length), MSG_DONTWAIT));
    if (size <= 0) return false;
    this.#wire.feed(buffer.subarray(0, size));
    return true;
  }

  /** Takes what is left, ends this connection and goes on as one that reads. */
  wake(): Reader {
    while (this.#take(0));
    libc()!.close(this.#fd);
    return new Reader(this.transport, this.#around, this.ledger);
  }

  close(): void {
    libc()!.close(this.#fd);
  }

  answered(status: number): void {
    if (status === 101) this.#send(subscribeFrame(0));
  }

  message(bytes: Buffer, start: number, end: number): void {
    const told = this.#around.messages.read(bytes, start, end);
    this.ledger.take(told);
    this.#isTold ||= told.type === "snapshot";
  }

  heartbeat(): void {}
  retry(): void {}
  ping(): void {}
}
