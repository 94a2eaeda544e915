import { connect, createServer, type Socket } from "node:net";

const HOST = "127.0.0.1";
const ANSWER_MS = 5000;
const STATUS_LINE = /^HTTP\/1\.[01] (\d{3})/;

/** A port nobody listens on now. Another process may take it before it is used: then the child fails and gets another. */
export function freePort(): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const server = createServer();
  server.once("error", reject);
  server.listen(0, HOST, () => {
    const address = server.address();
    server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
  });
  return promise;
}

/**
 * Status of `GET /health`, or undefined when nobody answers. On a socket of its own: this never leaves the machine, so
 * no proxy or address rule may have a say in it.
 */
export function healthStatus(port: number): Promise<number | undefined> {
  const { promise, resolve } = Promise.withResolvers<number | undefined>();
  let socket: Socket | undefined;
  let head = "";
  const settle = (status: number | undefined): void => {
    socket?.destroy();
    resolve(status);
  };
  socket = connect({ host: HOST, port }, () => {
    socket?.write(`GET /health HTTP/1.1\r\nHost: ${HOST}:${port}\r\nConnection: close\r\n\r\n`);
  });
  socket.setEncoding("latin1").setTimeout(ANSWER_MS, () => settle(undefined));
  socket.on("data", (text: string) => {
    head += text;
    const status = STATUS_LINE.exec(head)?.[1];
    if (status !== undefined || head.length > 64) settle(status === undefined ? undefined : Number(status));
  });
  socket.on("error", () => settle(undefined));
  socket.on("close", () => settle(undefined));
  return promise;
}
