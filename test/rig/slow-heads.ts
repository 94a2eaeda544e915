import { connect, type Socket } from "node:net";

/** Connections that begin a request and never finish its head. */
export interface SlowHeads {
  /** Resolves with the milliseconds from the first connection to the end of the last one. */
  readonly ended: Promise<number>;
  close(): void;
}

const AT_ONCE = 128;

function one(port: number): Promise<{ socket: Socket; ended: Promise<void> }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ socket: Socket; ended: Promise<void> }>();
  const socket = connect({ port, host: "127.0.0.1" });
  const ended = new Promise<void>((end) => socket.once("close", () => end()));
  socket.once("error", reject);
  socket.on("error", () => {});
  socket.once("connect", () => {
    socket.write("GET /v1/downloads HTTP/1.1\r\nHost: localhost\r\nX-");
    socket.resume();
    resolve({ socket, ended });
  });
  return promise;
}

/** Opens so many; every tenth goes on with a byte each second. */
export async function slowHeads(port: number, count: number): Promise<SlowHeads> {
  const begun = performance.now();
  const all: { socket: Socket; ended: Promise<void> }[] = [];
  while (all.length < count)
    all.push(
      ...(await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - all.length) }, () => one(port)))),
    );
  const trickling = all.filter((_, index) => index % 10 === 0);
  const timer = setInterval(() => {
    for (const { socket } of trickling) if (!socket.destroyed) socket.write("a");
  }, 1000);
  const ended = Promise.all(all.map((each) => each.ended)).then(() => performance.now() - begun);
  return {
    ended: ended.finally(() => clearInterval(timer)),
    close() {
      clearInterval(timer);
      for (const { socket } of all) socket.destroy();
    },
  };
}
