/** Our own HTTP/1.1 on the wire: how the pieces fall must not matter, and what is wrong must be seen. */
import { afterAll, describe, expect, test } from "bun:test";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { client, drain, failure } from "./client.ts";

type Speak = (socket: Socket, request: string, count: number) => void | Promise<void>;

/** A server of plain sockets; `speak` answers each request head. */
async function serve(speak: Speak) {
  let connections = 0;
  const requests: string[] = [];
  const server = createServer((socket) => {
    connections++;
    let text = "";
    socket.on("error", () => {});
    socket.on("data", async (chunk) => {
      text += chunk.toString("latin1");
      for (let end = text.indexOf("\r\n\r\n"); end >= 0; end = text.indexOf("\r\n\r\n")) {
        requests.push(text.slice(0, end));
        text = text.slice(end + 4);
        await speak(socket, requests.at(-1)!, requests.length);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/file`,
    requests,
    get connections() {
      return connections;
    },
    [Symbol.dispose]: () => void server.close(),
  };
}

const http = client();
afterAll(() => http.close());
const text = async (url: string) => Buffer.from(await drain(await http.request({ url }))).toString("latin1");
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Sends the text in pieces of so many bytes, each in a packet of its own. */
const inPieces =
  (answer: string, length: number): Speak =>
  async (socket) => {
    socket.setNoDelay(true);
    for (let at = 0; at < answer.length; at += length) {
      socket.write(answer.slice(at, at + length), "latin1");
      await turn();
    }
  };

describe.each([1, 2, 3, 7, 10_000])("in pieces of %d bytes", (length) => {
  test.each([
    ["a length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"],
    ["an empty body", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""],
    [
      "chunks",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
      "hello",
    ],
    [
      "chunks with extensions and trailers",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5;a=b\r\nhello\r\n00;x\r\nDigest: y\r\nX: z\r\n\r\n",
      "hello",
    ],
    [
      "interim answers",
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
      "ok",
    ],
    ["bare line feeds", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "ok"],
    ["no reason phrase", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", "ok"],
  ])("an answer with %s is read whole, and its connection used again", async (_, answer, wanted) => {
    using server = await serve(inPieces(answer, length));
    expect(await text(server.url)).toBe(wanted);
    expect(await text(server.url)).toBe(wanted);
    expect(server.connections).toBe(1);
  });
});

test.each([
  ["no HTTP at all", "SSH-2.0-OpenSSH_9\r\n\r\n"],
  ["HTTP/2 by force", "HTTP/2 200\r\n\r\n"],
  ["a field without a colon", "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n"],
  ["a space before the colon", "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello"],
  ["a folded field", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n"],
  ["an upgrade nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"],
  ["an unknown transfer coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"],
  ["a chunk size that is none", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"],
  ["a negative chunk size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n"],
  [
    "a chunk size beyond all numbers",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n",
  ],
  [
    "a chunk longer than its size",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n",
  ],
  ["endless chunk extensions", `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;${"a".repeat(9000)}`],
  ["an endless head", `HTTP/1.1 200 OK\r\nX: ${"a".repeat(400_000)}`],
  ["endless interim answers", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n".repeat(10_000)],
])("F53 F67 F68 %s is a protocol error", async (_, answer) => {
  using server = await serve((socket) => void socket.write(answer, "latin1"));
  expect((await failure(text(server.url))).code).toBe("protocol");
});

test.each([
  ["of blanks before the value, which is none", `X:${" ".repeat(60_000)}\0`, "protocol"],
  ["of blanks within the value", `X: a${" ".repeat(60_000)}b`, undefined],
  ["of blanks behind the value", `X: a${" ".repeat(60_000)}`, undefined],
])("F67 a field full %s holds nobody up", async (_, field, code) => {
  const answer = `HTTP/1.1 200 OK\r\n${field}\r\nContent-Length: 2\r\n\r\nok`;
  using server = await serve((socket) => void socket.write(answer, "latin1"));
  const script = `
    import { client, drain } from "./client.ts";
    const http = client();
    const code = await http.request({ url: ${JSON.stringify(server.url)} }).then(drain).then(() => {}, (error) => error.code);
    console.log(String(code));`;
  // In a process of its own: where this fails, nothing else would get a turn any more.
  const child = Bun.spawn([process.execPath, "-e", script], { cwd: import.meta.dir, stdout: "pipe" });
  const timer = setTimeout(() => child.kill("SIGKILL"), 20_000);
  expect(await new Response(child.stdout).text()).toBe(`${code}\n`);
  clearTimeout(timer);
});

test.each([
  ["before the answer", ""],
  ["in the head", "HTTP/1.1 200 OK\r\nContent-Le"],
  ["in the body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"],
  ["in a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"],
  ["before the last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"],
  ["in the trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"],
])("F9 F15 a connection that ends %s is a network error that names the host", async (_, answer) => {
  using server = await serve((socket) => void socket.end(answer, "latin1"));
  const error = await failure(text(server.url));
  expect([error.code, error.message]).toEqual(["network", expect.stringContaining("127.0.0.1:")]);
});

test("F16 without a length the body ends with the connection, which is not used again", async () => {
  using server = await serve((socket) => void socket.end("HTTP/1.1 200 OK\r\n\r\nhello", "latin1"));
  expect([await text(server.url), await text(server.url), server.connections]).toEqual(["hello", "hello", 2]);
});

test("what an answer sends too much is neither its own nor the next one's", async () => {
  const first =
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";
  const second = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue";
  using server = await serve((socket, _, count) => void socket.write(count === 1 ? first : second, "latin1"));
  expect([await text(server.url), await text(server.url)]).toEqual(["ok", "true"]);
  expect(server.connections).toBe(2);
});

test("what comes between two requests ends the connection", async () => {
  const ended = Promise.withResolvers<void>();
  using server = await serve((socket, _, count) => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "latin1");
    if (count > 1) return;
    socket.once("close", ended.resolve);
    setTimeout(() => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"), 100);
  });
  expect(await text(server.url)).toBe("ok");
  await ended.promise;
  expect([await text(server.url), server.connections]).toEqual(["ok", 2]);
});

test("HEAD, 204 and 304 have no body, whatever they say of its length", async () => {
  using server = await serve((socket, request) => {
    const status = request.startsWith("HEAD") ? "200 OK" : "304 Not Modified";
    socket.write(`HTTP/1.1 ${status}\r\nContent-Length: 5\r\n\r\n`, "latin1");
  });
  const head = await http.request({ url: server.url, method: "HEAD" });
  expect([head.status, head.headers.get("content-length"), (await drain(head)).length]).toEqual([
    200,
    "5",
    0,
  ]);
  const notModified = await http.request({ url: server.url });
  expect([notModified.status, (await drain(notModified)).length]).toEqual([304, 0]);
  expect(server.connections).toBe(1);
});

test("a server that wants to close is not asked again on that connection; one of HTTP/1.0 must offer it", async () => {
  const closing = "HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 2\r\n\r\nok";
  const old = "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok";
  const kept = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok";
  for (const [answer, connections] of [
    [closing, 2],
    [old, 2],
    [kept, 1],
  ] as const) {
    using server = await serve((socket) => void socket.write(answer, "latin1"));
    expect([await text(server.url), await text(server.url), server.connections]).toEqual([
      "ok",
      "ok",
      connections,
    ]);
  }
});

test("the request names the host once, asks for no compression and carries nothing of the fragment", async () => {
  using server = await serve((socket) => void socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  await text(`${server.url}?a=b%20c#part`);
  const [line, ...fields] = server.requests[0]!.split("\r\n");
  expect(line).toBe("GET /file?a=b%20c HTTP/1.1");
  const names = fields.map((field) => field.slice(0, field.indexOf(":")).toLowerCase());
  expect(names.toSorted()).toEqual(["accept", "accept-encoding", "host", "user-agent"]);
  expect(fields).toContain(`Host: ${new URL(server.url).host}`);
  expect(fields).toContain("accept-encoding: identity");
});

test("a reader that waits holds the sender back, and gets every byte afterwards", async () => {
  const size = 64 << 20;
  let sent = 0;
  using server = await serve(async (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
    const block = Buffer.alloc(1 << 20, 7);
    while (sent < size && !socket.destroyed) {
      sent += block.length;
      if (!socket.write(block)) await new Promise((resolve) => socket.once("drain", resolve));
    }
  });
  const answer = await http.request({ url: server.url });
  let before = -1;
  while (before !== sent) {
    before = sent;
    await Bun.sleep(200);
  }
  expect(sent).toBeLessThan(size / 2);
  let got = 0;
  for (let bytes = await answer.read(); bytes; bytes = await answer.read()) got += bytes.length;
  expect(got).toBe(size);
});

test("given up in the middle, the connection is gone and the next request gets its own answer", async () => {
  using server = await serve((socket, _, count) => {
    if (count > 1) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    else socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n${"x".repeat(1000)}`);
  });
  const stop = new AbortController();
  const answer = await http.request({ url: server.url, signal: stop.signal });
  expect((await answer.read())?.length).toBeGreaterThan(0);
  const next = answer.read();
  stop.abort(new Error("enough"));
  expect((await failure(next)).message).toBe("enough");
  expect([await text(server.url), server.connections]).toEqual(["ok", 2]);
});

test.each(["read", "cancelled", "left alone"])(
  "given up between two reads and then %s, an answer leaves its place to the next request",
  async (how) => {
    using server = await serve((socket, _, count) => {
      if (count > 1) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      else socket.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
    });
    const narrow = client({ limits: { concurrent: 1 } });
    const stop = new AbortController();
    const answer = await narrow.request({ url: server.url, signal: stop.signal });
    stop.abort(new Error("enough"));
    if (how === "read") expect((await failure(answer.read())).message).toBe("enough");
    if (how === "cancelled") await answer.cancel();
    const late = AbortSignal.timeout(10_000);
    expect((await drain(await narrow.request({ url: server.url, signal: late }))).length).toBe(2);
    narrow.close();
  },
);

test("a connection that is kept for later does not keep the process", async () => {
  using server = await serve((socket) => void socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
  const script = `
    import { client, drain } from "./client.ts";
    const http = client();
    for (let i = 0; i < 3; i++) await drain(await http.request({ url: ${JSON.stringify(server.url)} }));
    console.log("done");`;
  const child = Bun.spawn([process.execPath, "-e", script], { cwd: import.meta.dir, stdout: "pipe" });
  const timer = setTimeout(() => child.kill(), 15_000);
  expect([await child.exited, await new Response(child.stdout).text(), server.connections]).toEqual([
    0,
    "done\n",
    1,
  ]);
  clearTimeout(timer);
});

test("given up before it is connected, a refusal that comes later is nobody's news", async () => {
  const unheard: unknown[] = [];
  const hear = (reason: unknown) => void unheard.push(reason);
  process.on("unhandledRejection", hear);
  const { port } = await new Promise<AddressInfo>((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address() as AddressInfo;
      server.close(() => resolve(address));
    });
  });
  const url = `http://127.0.0.1:${port}/`;
  for (const when of ["before", "at once", "soon"]) {
    const stop = new AbortController();
    if (when === "before") stop.abort(new Error("enough"));
    const asked = failure(http.request({ url, signal: stop.signal }));
    if (when === "soon") await turn();
    stop.abort(new Error("enough"));
    expect(["enough", `Could not connect to 127.0.0.1:${port}: the connection was refused.`]).toContain(
      (await asked).message,
    );
  }
  for (let i = 0; i < 20; i++) await turn();
  process.off("unhandledRejection", hear);
  expect(unheard).toEqual([]);
});
