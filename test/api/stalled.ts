import { connect } from "node:net";

/** A client that sends a request and then takes nothing, until told to. */
export async function stalledClient(port: number, request: string | Buffer) {
  const socket = connect({ port, host: "127.0.0.1" });
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", () => resolve());
    socket.once("error", reject);
  });
  let received = "";
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.on("error", () => {});
  socket.pause();
  socket.write(request);
  return {
    closed,
    /** Its own end of the connection. */
    port: socket.localPort ?? 0,
    close: () => void socket.destroy(),
    /** Takes everything until the text has come or the peer has closed; answers all of it. */
    async take(last: string): Promise<string> {
      const done = new Promise<void>((resolve) => {
        socket.on("data", (chunk: Buffer) => {
          received += chunk.toString("latin1");
          if (received.includes(last)) resolve();
        });
      });
      socket.resume();
      await Promise.race([done, closed]);
      return received;
    },
  };
}
