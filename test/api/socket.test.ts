import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { systemClock } from "../../src/core/clock.ts";
import { startOrigin } from "../support/origin.ts";
import { getText } from "../support/raw.ts";
import { until } from "../support/until.ts";
import { stalledClient } from "./stalled.ts";
import { type Body, MB, type Served, serve } from "./support.ts";

/** The machine may be busy. */
setDefaultTimeout(30_000);

const paused = { settings: { paused: true } };

/** A WebSocket that remembers its frames. */
class SocketClient {
  readonly frames: Body[] = [];
  readonly closed: Promise<number>;
  readonly #socket: WebSocket;
  #wake: () => void = () => {};

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      this.frames.push(JSON.parse(String(data)));
      this.#wake();
    };
    this.closed = new Promise((resolve) => {
      socket.onclose = ({ code }) => resolve(code);
    });
  }

  static async open(served: Served): Promise<SocketClient> {
    const client = new SocketClient(new WebSocket(`ws://127.0.0.1:${served.port}/v1/ws`));
    await client.waitFor((frame) => frame.type === "hello");
    return client;
  }

  send(frame: unknown): void {
    const isRaw = typeof frame === "string" || frame instanceof Uint8Array;
    this.#socket.send(isRaw ? (frame as string) : JSON.stringify(frame));
  }

  async waitFor(fits: (frame: Body) => boolean, timeoutMs = 10_000): Promise<Body> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const found = this.frames.find(fits);
      if (found) return found;
      const left = deadline - performance.now();
      if (left <= 0) throw new Error(`no such frame; seen: ${JSON.stringify(this.frames).slice(-1500)}`);
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const timer = setTimeout(resolve, left);
      await promise;
      clearTimeout(timer);
    }
  }

  /** Sends a command and waits for its reply. */
  async ask(frame: { ref: string | number; type: string }): Promise<Body> {
    this.send(frame);
    return this.waitFor((it) => it.type === "reply" && it.ref === frame.ref);
  }

  close(): void {
    this.#socket.close();
  }
}

const url = (name: string) => `http://127.0.0.1:9/${name}`;

describe("GET /v1/ws", () => {
  let served: Served;
  beforeAll(async () => {
    served = await serve({ product: paused });
    for (const name of ["a", "b"])
      await served.call("POST", "/v1/downloads", { url: url(name), model_id: name });
  });
  afterAll(() => served[Symbol.asyncDispose]());

  test("R134 greets, and sends a snapshot and changes only once asked to", async () => {
    const client = await SocketClient.open(served);
    expect(client.frames[0]).toEqual({
      type: "hello",
      version: "0.0.0",
      seq: served.product.downloads.feed.seq,
      heartbeat_seconds: 5,
    });
    await served.call("POST", "/v1/downloads/a/pause");
    expect((await client.ask({ type: "subscribe", ref: 1 })).ok).toBe(true);
    const snapshot = await client.waitFor(({ type }) => type === "snapshot");
    expect(client.frames.map(({ type }) => type)).toEqual(["hello", "reply", "snapshot"]);
    expect(snapshot.downloads.map((d: Body) => d.model_id)).toEqual(["a", "b"]);
    await served.call("POST", "/v1/downloads/a/resume");
    const change = await client.waitFor(({ type }) => type === "download");
    expect(change).toMatchObject({ previous_state: "paused", download: { model_id: "a", state: "queued" } });
    expect(change.seq).toBeGreaterThan(snapshot.seq);
    expect((await client.ask({ type: "unsubscribe", ref: 2 })).ok).toBe(true);
    await served.call("POST", "/v1/downloads/a/pause");
    await client.ask({ type: "pause", ref: 3, id: "a" } as never);
    expect(client.frames.filter(({ type }) => type === "download").length).toBe(1);
    client.close();
  });

  test("a subscription to ids tells of these only, by model id or UUID, and can be widened", async () => {
    const client = await SocketClient.open(served);
    const { body: b } = await served.call("GET", "/v1/downloads/b");
    await client.ask({ type: "subscribe", ref: 1, ids: [b.id] } as never);
    const snapshot = await client.waitFor(({ type }) => type === "snapshot");
    expect(snapshot.downloads.map((d: Body) => d.model_id)).toEqual(["b"]);
    await served.call("POST", "/v1/downloads/a/resume");
    await served.call("POST", "/v1/downloads/b/pause");
    await client.waitFor(({ download }) => download?.model_id === "b");
    await client.ask({ type: "subscribe", ref: 2, ids: ["a"] } as never);
    await served.call("POST", "/v1/downloads/a/pause");
    await client.waitFor(({ download }) => download?.model_id === "a" && download.state === "paused");
    const states = client.frames.filter(({ type }) => type === "download").map((f) => f.download.model_id);
    expect(states).toEqual(["b", "a"]);
    const unknown = await client.ask({ type: "subscribe", ref: 3, ids: ["nope"] } as never);
    expect([unknown.ok, unknown.error.code]).toEqual([false, "download_not_found"]);
    client.close();
  });

  test("R134 frames sent in one go are taken in their order: what is started can be named in the next one", async () => {
    const client = await SocketClient.open(served);
    client.send({ type: "start", ref: 1, body: { url: url("d"), model_id: "d" } });
    client.send({ type: "subscribe", ref: 2, ids: ["d"] });
    client.send({ type: "pause", ref: 3, id: "d" });
    client.send({ type: "unsubscribe", ref: 4 });
    client.send({ type: "cancel", ref: 5, id: "d" });
    for (const ref of [1, 2, 3, 4, 5])
      expect(await client.waitFor((it) => it.ref === ref)).toMatchObject({ ref, ok: true });
    expect(client.frames.filter(({ type }) => type === "snapshot").length).toBe(1);
    expect(client.frames.some(({ download }) => download?.state === "cancelled")).toBe(false);
    client.close();
  });

  test("of several, one that is removed keeps nobody from unsubscribing the others", async () => {
    const client = await SocketClient.open(served);
    const { body: c } = await served.call("POST", "/v1/downloads", { url: url("c"), model_id: "c" });
    await client.ask({ type: "subscribe", ref: 1, ids: ["a", "b", "c"] } as never);
    await served.call("POST", "/v1/downloads/c/cancel");
    await served.call("DELETE", "/v1/history/c");
    await client.waitFor(({ type, id }) => type === "removed" && id === c.id);
    expect((await client.ask({ type: "unsubscribe", ref: 2, ids: [c.id, "a"] } as never)).ok).toBe(true);
    for (const [i, id] of ["a", "b"].entries()) {
      await client.ask({ type: "resume", ref: 10 + i, id } as never);
      await client.ask({ type: "pause", ref: 20 + i, id } as never);
    }
    const told = client.frames.filter(({ type }) => type === "download").map((it) => it.download.model_id);
    expect(new Set(told.filter((name) => name !== "c"))).toEqual(new Set(["b"]));
    client.close();
  });

  test("since continues without a snapshot", async () => {
    const first = await SocketClient.open(served);
    const { seq } = first.frames[0];
    first.close();
    await served.call("POST", "/v1/downloads/b/resume");
    const second = await SocketClient.open(served);
    second.send({ type: "subscribe", since: seq });
    const change = await second.waitFor(({ type }) => type === "download");
    expect(change.download).toMatchObject({ model_id: "b", state: "queued" });
    expect(second.frames.some(({ type }) => type === "snapshot")).toBe(false);
    second.close();
  });

  test("commands do what their routes do and are answered with their ref", async () => {
    const client = await SocketClient.open(served);
    const body = { url: url("c"), model_id: "c" };
    const started = await client.ask({ type: "start", ref: "s", body } as never);
    expect(started).toMatchObject({ ok: true, result: { model_id: "c", state: "queued" } });
    for (const [type, state] of [
      ["pause", "paused"],
      ["resume", "queued"],
      ["cancel", "cancelled"],
      ["retry", "queued"],
    ]) {
      const reply = await client.ask({ type, ref: type, id: "c" } as never);
      expect(reply).toMatchObject({ ok: true, result: { success: true, model_id: "c", state } });
    }
    const failures: [object, string | null, string | null][] = [
      [{ type: "pause", ref: 1, id: "nope" }, "download_not_found", "model_id"],
      [{ type: "start", ref: 2, body: { url: 5 } }, "invalid_request", "body.url"],
      [{ type: "start", ref: 3, body: {} }, "invalid_request", null],
      [{ type: "start", ref: 4 }, "invalid_request", "body"],
      [{ type: "cancel", ref: 5 }, "invalid_request", "id"],
      [{ type: "launch", ref: 6 }, "invalid_request", "type"],
      [{ type: "subscribe", ref: 7, since: "yesterday" }, "invalid_request", "since"],
    ];
    for (const [frame, code, param] of failures) {
      const { ok, error } = await client.ask(frame as never);
      expect([frame, ok, error.code, error.param]).toEqual([frame, false, code, param]);
    }
    client.close();
  });

  test("bad frames get an error, and the connection stays", async () => {
    const client = await SocketClient.open(served);
    const bad = [
      "{bad",
      "[]",
      "null",
      '"text"',
      "{}",
      '{"type":"pause","id":"a"}',
      new Uint8Array([1, 2]),
      "[".repeat(500),
    ];
    for (const frame of bad) client.send(frame);
    await until(
      () => client.frames.filter(({ type }) => type === "error").length === bad.length,
      "the errors",
    );
    for (const { error } of client.frames.slice(1))
      expect(Object.keys(error)).toEqual(["message", "type", "param", "code"]);
    expect((await client.ask({ type: "pause", ref: 1, id: "a" } as never)).ok).toBe(true);
    client.close();
  });

  test("F222 a frame beyond 64 KiB closes with 1009, a flood with 1008", async () => {
    const large = await SocketClient.open(served);
    large.send(JSON.stringify({ type: "start", ref: 1, body: { url: "x".repeat(70_000) } }));
    expect(await large.closed).toBeOneOf([1009, 1006]);
    const flood = await SocketClient.open(served);
    for (let i = 0; i < 1000; i++) flood.send({ type: "unsubscribe" });
    expect(await flood.closed).toBe(1008);
    expect(flood.frames.some(({ error }) => error?.message.startsWith("Too many frames"))).toBe(true);
  });

  test("F217 whoever leaves is forgotten", async () => {
    const clients = await Promise.all(Array.from({ length: 10 }, () => SocketClient.open(served)));
    for (const client of clients) client.send({ type: "subscribe" });
    await Promise.all(clients.map((client) => client.waitFor(({ type }) => type === "snapshot")));
    for (const client of clients) client.close();
    await until(() => served.product.downloads.feed.subscribers === 0, "the feed to be let go of");
  });
});

test("a download is followed from start to end over one socket, its states complete", async () => {
  await using origin = await startOrigin({
    resources: [{ path: "/m.gguf", seed: 1, size: 4 * MB }],
    rateTotal: 4 * MB,
  });
  await using served = await serve({ live: { heartbeatMs: 50 } });
  const client = await SocketClient.open(served);
  client.send({ type: "subscribe" });
  await client.ask({ type: "start", ref: 1, body: { url: origin.url("/m.gguf") } } as never);
  await client.waitFor(({ download }) => download?.state === "completed");
  const changes = client.frames.filter(({ type, previous_state }) => type === "download" && previous_state);
  const chain = changes.map(({ previous_state, download }) => [previous_state, download.state]);
  for (const [i, [from]] of chain.entries()) expect(from).toBe(i === 0 ? "queued" : chain[i - 1]?.[1]);
  const seqs = client.frames.filter(({ type }) => type === "download").map(({ seq }) => seq);
  expect(seqs).toEqual([...new Set<number>(seqs)].toSorted((a, b) => a - b));
  await client.waitFor(({ type }) => type === "ping");
  client.close();
});

test("F215 a stalled reader costs a bounded buffer and is cut; others get every change", async () => {
  let skew = 0;
  const clock = { ...systemClock, monotonic: () => performance.now() + skew };
  await using served = await serve({ product: paused, clock, live: { heartbeatMs: 20 } });
  const { body } = await served.call("POST", "/v1/downloads", {
    url: url("x".repeat(12_000)),
    model_id: "a",
  });
  const upgrade = getText("/v1/ws", {
    Host: "localhost",
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
  });
  // {"type":"subscribe"} as a masked text frame, the mask being zero.
  const subscribe = `\x81\x94\0\0\0\0{"type":"subscribe"}`;
  const stalled = await stalledClient(served.port, Buffer.from(upgrade + subscribe, "latin1"));
  const healthy = await SocketClient.open(served);
  await healthy.ask({ type: "subscribe", ref: 1 });
  await until(() => served.product.downloads.feed.subscribers === 1, "both to watch");
  const rounds = 1500;
  for (let i = 1; i <= rounds; i++) {
    await served.product.downloads.change(body.id, { priority: i });
    if (i % 50 === 0) await healthy.waitFor(({ download }) => download?.priority === i);
  }
  expect(healthy.frames.filter(({ type }) => type === "download").length).toBe(rounds);
  skew = 60_000;
  const connections = async () => (await served.call("GET", "/metrics")).body as string;
  await until(async () => /^modelhaul_live_connections 1$/m.test(await connections()), "the cut");
  const text = await stalled.take("never");
  expect(text.split('"type":"download"').length - 1).toBeLessThan(rounds);
  healthy.close();
  stalled.close();
});
