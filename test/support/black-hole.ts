import { ptr } from "bun:ffi";
import { connect, type Socket } from "node:net";
import { libc } from "./origin/libc.ts";

const AF_INET = 2;
const SOCK_STREAM = 1;

export interface BlackHole extends Disposable {
  readonly port: number;
  readonly host: string;
}

/**
 * An address at which a connection attempt hears nothing (F59): a listener whose queue is full and that never
 * accepts, so that the kernel drops every further SYN. Linux only; throws elsewhere.
 */
export async function blackHole(host = "127.0.0.1"): Promise<BlackHole> {
  const system = libc();
  if (!system) throw new Error("a black hole needs the socket calls of glibc on Linux");
  const address = new Uint8Array(16);
  new DataView(address.buffer).setUint16(0, AF_INET, true);
  address.set(host.split(".").map(Number), 4);
  const fd = system.socket(AF_INET, SOCK_STREAM, 0);
  if (system.bind(fd, ptr(address), 16) !== 0 || system.listen(fd, 0) !== 0)
    throw new Error(`cannot bind ${host}`);
  system.getsockname(fd, ptr(address), ptr(Uint32Array.of(16)));
  const port = new DataView(address.buffer).getUint16(2, false);
  const filler = await fillQueue(port, host);
  const close = (): void => {
    filler.destroy();
    system.close(fd);
  };
  return { port, host, [Symbol.dispose]: close };
}

/** A queue of length 0 still holds one connection. */
function fillQueue(port: number, host: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, host, () => resolve(socket));
    socket.on("error", reject);
  });
}
