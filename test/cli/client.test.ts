import { afterEach, expect, test } from "bun:test";
import { Client, DaemonError } from "../../src/cli/client.ts";
import type { WatchEvent } from "../../src/cli/wire.ts";
import { systemClock } from "../../src/core/clock.ts";
import { createHttp } from "../../src/http/index.ts";
import { createLog } from "../../src/log.ts";

const log = createLog({ level: "error", format: "text", write: () => {} });
const http = createHttp({
  userAgent: "test",
  clock: systemClock,
  log,
  allowPrivate: false,
  allowAddresses: [],
});
const servers: Bun.Server<undefined>[] = [];

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop(true)));
});

/** A client of a server that answers as the test says; real sockets on both sides. */
function clientOf(
  answer: (request: Request) => Response | Promise<Response>,
  apiKey: string | null = null,
): Client {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", idleTimeout: 0, fetch: answer });
  servers.push(server);
  return new Client({ server: `http://127.0.0.1:${server.port}`, apiKey, http });
}

const event = (id: number, type: string, data: object): string =>
  `id: ${id}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`;

test("ids are percent-encoded, the key goes as a bearer token", async () => {
  const seen: string[] = [];
  const client = clientOf((request) => {
    seen.push(`${request.method} ${new URL(request.url).pathname} ${request.headers.get("authorization")}`);
    return Response.json({ id: "1" });
  }, "the-key-of-it");
  await client.one("org/na me?");
  await client.control("a/b", "pause");
  expect(seen).toEqual([
    "GET /v1/downloads/org%2Fna%20me%3F Bearer the-key-of-it",
    "POST /v1/downloads/a%2Fb/pause Bearer the-key-of-it",
  ]);
});

test("a refusal carries status, code and the daemon's own words", async () => {
  const client = clientOf(() =>
    Response.json({ error: { message: "No download found", code: "download_not_found" } }, { status: 404 }),
  );
  const error = await client.one("x").catch((e) => e);
  expect(error).toBeInstanceOf(DaemonError);
  expect([error.status, error.code, error.message]).toEqual([404, "download_not_found", "No download found"]);
});

test("something else than a daemon on that port is told as such", async () => {
  const client = clientOf(() => new Response("<html>", { status: 502 }));
  expect(client.one("x")).rejects.toThrow(/answered 502; is that a modelhaul daemon/);
});

test("no daemon there: the address and what to do", async () => {
  const closed = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
  const server = `http://127.0.0.1:${closed.port}`;
  await closed.stop(true);
  const client = new Client({ server, apiKey: null, http });
  expect(client.one("x")).rejects.toThrow(
    `No daemon answers at ${server}; start one with \`modelhaul serve\``,
  );
});

test("a list is read to its last page", async () => {
  const client = clientOf((request) => {
    const cursor = new URL(request.url).searchParams.get("cursor");
    return Response.json({
      active_downloads: [{ model_id: cursor ?? "first" }],
      ...(cursor === "b" ? {} : { next_cursor: cursor === null ? "a" : "b" }),
    });
  });
  expect((await client.list()).map((one) => one.model_id)).toEqual(["first", "a", "b"]);
});

test("watch goes on after a cut with Last-Event-ID, over split frames and comments", async () => {
  const asked: (string | null)[] = [];
  const client = clientOf((request) => {
    asked.push(request.headers.get("last-event-id"));
    const second = event(8, "download", { previous_state: "queued", download: { id: "1" } });
    const part = `event: snapshot\ndata: ${JSON.stringify({ seq: 7, more: true, downloads: [{ id: "0" }] })}\n\n`;
    const text =
      asked.length === 1
        ? `: hello\n\n${part}${event(7, "snapshot", { downloads: [{ id: "1" }] })}${second.slice(0, 20)}`
        : `${second}${event(9, "removed", { id: "1", model_id: "m" })}`;
    const half = Math.floor(text.length / 2);
    const chunks = [text.slice(0, half), text.slice(half)];
    const body = new ReadableStream<string>({
      pull(controller) {
        const chunk = chunks.shift();
        if (chunk !== undefined) controller.enqueue(chunk);
        // The first stream is cut in the middle of a frame, the second stays open.
        else if (asked.length === 1) controller.close();
        else return Promise.withResolvers<void>().promise;
      },
    });
    return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
  });
  const stop = new AbortController();
  const events: WatchEvent[] = [];
  for await (const one of client.watch(stop.signal)) {
    events.push(one);
    if (one.type === "removed") stop.abort();
  }
  expect(asked).toEqual([null, "7"]);
  expect(events).toEqual([
    { type: "snapshot", more: true, downloads: [{ id: "0" }] as never },
    { type: "snapshot", more: false, downloads: [{ id: "1" }] as never },
    { type: "download", previousState: "queued", download: { id: "1" } as never },
    { type: "removed", id: "1" },
  ]);
});

test("watch does not try again what is refused", async () => {
  let requests = 0;
  const client = clientOf(() => {
    requests += 1;
    return Response.json({ error: { message: "no key" } }, { status: 401 });
  });
  const reading = client.watch(new AbortController().signal).next();
  expect(reading).rejects.toThrow(/wants an API key/);
  await reading.catch(() => {});
  expect(requests).toBe(1);
});
