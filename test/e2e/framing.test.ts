import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Daemon, startDaemon } from "../support/daemon.ts";
import { BAD_CHUNKS, SMUGGLING } from "../support/malformed.ts";
import { startOrigin } from "../support/origin.ts";
import { getText, RawClient, rawAnswer, rawRequest } from "../support/raw.ts";
import { type TempDir, tempDir } from "../support/temp.ts";

/** What the HTTP parser of the runtime must refuse: looked at again with every upgrade of Bun. */
let dir: TempDir;
let daemon: Daemon;
let paused: string;

beforeAll(async () => {
  dir = tempDir("framing");
  daemon = await startDaemon({ dir: dir.path });
  await daemon.must("PATCH", "/v1/settings", { paused: true });
  paused = (await daemon.begin({ url: "http://127.0.0.1:9/never.bin" })).id;
});
afterAll(async () => {
  await daemon.stop();
  dir.remove();
});

const port = (): number => Number(new URL(daemon.base).port);

/** Sends it on a connection of its own: refused once, nothing behind it is answered, and then it is over. */
async function refused(text: string, statuses: readonly number[]): Promise<void> {
  const { status, text: all, ending } = await rawRequest(port(), text);
  expect([statuses.includes(status), status, ending]).toEqual([true, status, "fin"]);
  expect(all.match(/HTTP\/1\.1 \d{3}/g)).toHaveLength(1);
  // The order in it has had no effect, and others are answered.
  expect((await daemon.one(paused)).state).toBe("queued");
}

test.each(SMUGGLING.map(({ name, text }) => [name, text] as const))(
  "F162 %s is refused, and the connection closed",
  async (_, text) => {
    await refused(text, [400, 431, 505]);
  },
);

test.each(BAD_CHUNKS.map(({ name, text }) => [name, text] as const))(
  "F163 %s is refused, and the connection closed",
  async (_, text) => {
    await refused(text, [400, 413, 431]);
  },
);

test("F160 CONNECT is 405 and ends the connection: what is sent behind it would never be answered", async () => {
  const behind = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
  const { status, header, ending } = await rawRequest(
    port(),
    `CONNECT example.org:443 HTTP/1.1\r\nHost: localhost\r\n\r\n${behind}`,
  );
  expect([status, header("connection"), ending]).toEqual([405, ["close"], "fin"]);
});

test("F162 an answer is never given to another request than the one before it, whatever takes how long", async () => {
  await using hub = await startOrigin();
  hub.on({}, { kind: "stall", at: "start" });
  using place = tempDir("pipelined");
  await using other = await startDaemon({ dir: place.path, env: { HF_ENDPOINT: hub.base } });
  const listing = "GET /v1/sources/huggingface/files?repo=a/b HTTP/1.1\r\nHost: localhost\r\n\r\n";
  const quick = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
  const { text, ending } = await rawRequest(Number(new URL(other.base).port), listing + quick);
  // Bun gives up the connection.
  expect([text, ending]).toEqual(["", "fin"]);
});

test("F163 a body that breaks off is no failure of ours, in the log and the metrics", async () => {
  const [bad] = BAD_CHUNKS;
  await rawRequest(port(), bad?.text ?? "");
  const metrics = await (await fetch(`${daemon.base}/metrics`)).text();
  expect(metrics).toContain('status="400"');
  expect(metrics).not.toMatch(/^\w*requests\w*\{.*status="5\d\d".*\}/m);
  expect(daemon.story()).not.toContain("A request failed");
});

test("F144 a body that does not go on is refused after a while, and nothing has happened", async () => {
  const client = await RawClient.connect(port());
  try {
    client.send(
      "POST /v1/downloads/cancel HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
    );
    const answer = rawAnswer(await client.read({ timeoutMs: 50_000 }), client.ending);
    expect(client.ending).not.toBe("open");
    expect([answer.status, JSON.parse(Buffer.from(answer.body).toString()).error.code]).toEqual([
      408,
      "request_timeout",
    ]);
    expect((await daemon.one(paused)).state).toBe("queued");
  } finally {
    client.close();
  }
}, 60_000);

test("F160 an order for the server as a whole and a method nobody knows end the connection without effect", async () => {
  for (const head of ["OPTIONS * HTTP/1.1", "BREW /v1/downloads/cancel HTTP/1.1"]) {
    const { status, ending } = await rawRequest(port(), `${head}\r\nHost: localhost\r\n\r\n`);
    expect([head, [0, 400, 405, 501].includes(status), ending]).toEqual([head, true, "fin"]);
  }
  expect((await daemon.one(paused)).state).toBe("queued");
});

test("F191 no header and no query makes another method of the one that was sent", async () => {
  const claims = { "X-HTTP-Method-Override": "POST", "X-HTTP-Method": "POST", "X-Method-Override": "DELETE" };
  for (const path of [`/v1/downloads/${paused}`, `/v1/downloads/${paused}?_method=DELETE`]) {
    const { status } = await rawRequest(port(), getText(path, { Host: "localhost", ...claims }));
    expect([path, status]).toEqual([path, 200]);
  }
  const order = getText(`/v1/downloads/${paused}/cancel?_method=POST`, { Host: "localhost", ...claims });
  expect((await rawRequest(port(), order)).status).toBeGreaterThanOrEqual(400);
  expect((await daemon.one(paused)).state).toBe("queued");
});

test("F222 a message in pieces without end is cut at the size of a whole one, an endless row of empty pieces holds up nobody", async () => {
  const upgrade = getText("/v1/ws", {
    Host: "localhost",
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
  });
  /** Text, or what goes on with it; never the last piece. The mask is zero. */
  const piece = (size: number, isFirst = false) =>
    Buffer.concat([Buffer.from([isFirst ? 1 : 0, 0x80 | size, 0, 0, 0, 0]), Buffer.alloc(size, "x")]);
  const connected = async () => {
    const client = await RawClient.connect(port());
    client.send(upgrade);
    await client.read({ until: (all) => all.includes('"hello"') });
    client.send(piece(1, true));
    return client;
  };
  const [large, empty] = await Promise.all([connected(), connected()]);
  try {
    large.send(Buffer.concat(Array.from({ length: 2000 }, () => piece(100))));
    empty.send(Buffer.concat(Array.from({ length: 100_000 }, () => piece(0))));
    await large.read();
    expect(large.ending).not.toBe("open");
    expect((await daemon.one(paused)).state).toBe("queued");
  } finally {
    large.close();
    empty.close();
  }
});
