import { expect, setDefaultTimeout, test } from "bun:test";
import { connect } from "node:net";
import { EventClient } from "./event-client.ts";
import { serve } from "./support.ts";

/** Bun looks at idle connections every few seconds. */
setDefaultTimeout(60_000);

test("F217 a connection without a further request is closed after a while, a quiet stream is not", async () => {
  await using served = await serve({
    idleSeconds: 1,
    live: { heartbeatMs: 60_000 },
    product: { settings: { paused: true } },
  });
  const stream = await EventClient.open(`${served.base}/v1/events`);
  await stream.waitFor(({ event }) => event === "snapshot");
  for (const request of [
    "GET /v1/downloads HTTP/1.1",
    "GET /nothing HTTP/1.1",
    "POST /v1/downloads HTTP/1.1",
  ]) {
    const socket = connect(served.port, "127.0.0.1");
    const closed = new Promise<string>((resolve) => socket.once("close", () => resolve("closed")));
    let text = "";
    socket.on("data", (chunk) => (text += chunk));
    socket.write(`${request}\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n`);
    expect(await Promise.race([closed, Bun.sleep(20_000).then(() => "open")])).toBe("closed");
    expect(text).toMatch(/^HTTP\/1.1 \d{3} /);
  }
  await served.call("POST", "/v1/downloads", { url: "http://127.0.0.1:9/a.bin" });
  expect((await stream.waitFor(({ event }) => event === "download")).data.download.state).toBe("queued");
  stream.close();
});
