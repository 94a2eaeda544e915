import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { systemClock } from "../../src/core/clock.ts";
import { isEstablished } from "../support/established.ts";
import { startOrigin } from "../support/origin.ts";
import { getText, RawClient } from "../support/raw.ts";
import { until } from "../support/until.ts";
import { EventClient } from "./event-client.ts";
import { stalledClient } from "./stalled.ts";
import { MB, type Served, serve } from "./support.ts";

/** The machine may be busy. */
setDefaultTimeout(30_000);

/** Together more than the buffers of the kernel hold. */
const LONG = "x".repeat(12_000);
const ROUNDS = 1500;

const paused = { settings: { paused: true } };
const start = (served: Served, name: string, more: object = {}) =>
  served.call("POST", "/v1/downloads", { url: `http://127.0.0.1:9/${name}`, ...more });
const released = (served: Served) =>
  until(() => served.product.downloads.feed.subscribers === 0, "the feed to be let go of");
const ids = (client: EventClient) => client.messages.map(({ id }) => Number(id));

describe("GET /v1/events", () => {
  test("R134 a snapshot, then each change and progress with growing numbers, then the end", async () => {
    await using origin = await startOrigin({
      resources: [{ path: "/m.gguf", seed: 1, size: 4 * MB }],
      rateTotal: 4 * MB,
    });
    await using served = await serve();
    await start(served, "waits.bin", { model_id: "waits" });
    const client = await EventClient.open(`${served.base}/v1/events`);
    const snapshot = await client.waitFor(({ event }) => event === "snapshot");
    expect(snapshot.data.downloads.map((d: { model_id: string }) => d.model_id)).toEqual(["waits"]);
    expect(snapshot.data).toMatchObject({ type: "snapshot", seq: Number(snapshot.id) });
    await served.call("POST", "/v1/downloads", { url: origin.url("/m.gguf") });
    const mine = (state: string) => (message: { data: { download?: { model_id: string; state: string } } }) =>
      message.data.download?.model_id === "m.gguf" && message.data.download.state === state;
    const done = await client.waitFor(mine("completed"));
    expect(done).toMatchObject({ event: "download", data: { download: { progress: { percentage: 100 } } } });
    expect(done.data.previous_state).not.toBeNull();
    const steps = client.messages.filter(({ data }) => data.download?.model_id === "m.gguf");
    // A start that is acknowledged later than the claim is told as what it has become meanwhile (F221).
    expect([null, "queued"]).toContain(steps[0]?.data.previous_state);
    expect(steps.filter(mine("downloading")).length).toBeGreaterThan(1);
    const bytes = steps.map(({ data }) => data.download.progress.downloaded_bytes);
    expect(bytes).toEqual(bytes.toSorted((a, b) => a - b));
    expect(new Set(ids(client)).size).toBe(client.messages.length);
    expect(ids(client)).toEqual(ids(client).toSorted((a, b) => a - b));
    expect(client.retry).toBeWithin(500, 10_000);
    client.close();
    await released(served);
  });

  test("a record that is removed is told", async () => {
    await using served = await serve({ product: paused });
    const { body } = await start(served, "a.bin", { model_id: "a" });
    await served.call("POST", "/v1/downloads/a/cancel");
    const client = await EventClient.open(`${served.base}/v1/events`);
    await client.waitFor(({ event }) => event === "snapshot");
    await served.call("DELETE", "/v1/history/a");
    const { data } = await client.waitFor(({ event }) => event === "removed");
    expect(data).toMatchObject({ id: body.id, model_id: "a" });
    client.close();
  });

  test("Last-Event-ID continues with what was missed, after a restart too; garbage gets a snapshot (F219)", async () => {
    const first = await serve({ product: paused });
    await start(first, "a.bin", { model_id: "a" });
    await start(first, "b.bin", { model_id: "b" });
    const before = await EventClient.open(`${first.base}/v1/events`);
    const { id } = await before.waitFor(({ event }) => event === "snapshot");
    before.close();
    await first.call("POST", "/v1/downloads/b/pause");
    const again = await EventClient.open(`${first.base}/v1/events`, { "Last-Event-ID": id });
    const missed = await again.waitFor(() => true);
    expect(missed).toMatchObject({
      event: "download",
      data: { download: { model_id: "b", state: "paused" } },
    });
    again.close();
    for (const garbage of ["nonsense", "-1", "1e9", "99999999999999", "9".repeat(10_000)]) {
      const fresh = await EventClient.open(`${first.base}/v1/events`, { "Last-Event-ID": garbage });
      expect((await fresh.waitFor(() => true)).event).toBe("snapshot");
      fresh.close();
    }
    await first.api.stop();
    await first.product.close();
    await using second = await serve({ product: { ...paused, dir: first.product.dir } });
    await second.call("POST", "/v1/downloads/a/pause");
    const later = await EventClient.open(`${second.base}/v1/events?since=${missed.id}`);
    const told = await later.waitFor(() => true);
    expect(told).toMatchObject({ event: "download", data: { download: { model_id: "a", state: "paused" } } });
    expect(Number(told.id)).toBeGreaterThan(Number(missed.id));
    later.close();
  });

  test("F216 a quiet stream shows life by a comment", async () => {
    await using served = await serve({ product: paused, live: { heartbeatMs: 20 } });
    const client = await EventClient.open(`${served.base}/v1/events`);
    await client.whenCommented();
    client.close();
  });

  test("F217 whoever leaves in any manner is forgotten", async () => {
    await using served = await serve({ product: paused });
    const polite = await Promise.all(
      Array.from({ length: 20 }, () => EventClient.open(`${served.base}/v1/events`)),
    );
    const rude = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const client = await RawClient.connect(served.port);
        client.send(getText("/v1/events", { Host: "localhost" }));
        await client.read({ until: (all) => all.includes("snapshot") });
        return client;
      }),
    );
    expect(served.product.downloads.feed.subscribers).toBe(1);
    for (const client of polite) client.close();
    for (const client of rude) client.close();
    await released(served);
  });

  test("F213 too many are 503 with Retry-After, and room is made by one that leaves", async () => {
    await using served = await serve({ product: paused, live: { maxReaders: 1 } });
    const client = await EventClient.open(`${served.base}/v1/events`);
    await client.waitFor(() => true);
    const refused = await served.call("GET", "/v1/events");
    expect([refused.status, refused.body.error.code]).toEqual([503, "too_many_streams"]);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect((await served.call("GET", "/v1/downloads")).status).toBe(200);
    client.close();
    await released(served);
    (await EventClient.open(`${served.base}/v1/events`)).close();
  });

  test("F214 a reader that does not read costs a bounded buffer and gets the newest state when it reads again", async () => {
    await using served = await serve({ product: paused });
    const { body } = await start(served, LONG, { model_id: "a" });
    const stalled = await stalledClient(served.port, getText("/v1/events", { Host: "localhost" }));
    const healthy = await EventClient.open(`${served.base}/v1/events`);
    await healthy.waitFor(({ event }) => event === "snapshot");
    for (let i = 1; i <= ROUNDS; i++) {
      await served.product.downloads.change(body.id, { priority: i });
      if (i % 50 === 0) await healthy.waitFor(({ data }) => data.download?.priority === i);
    }
    expect(healthy.messages.filter(({ event }) => event === "download").length).toBe(ROUNDS);
    const text = await stalled.take(`"priority":${ROUNDS},`);
    expect(text).toContain(`"priority":${ROUNDS},`);
    expect(text.split("event: download").length - 1).toBeLessThan(ROUNDS);
    healthy.close();
    stalled.close();
    await released(served);
  });

  test("F214 a reader that stays stuck is cut", async () => {
    let skew = 0;
    const clock = { ...systemClock, monotonic: () => performance.now() + skew };
    await using served = await serve({ product: paused, clock, live: { heartbeatMs: 20 } });
    const { body } = await start(served, LONG, { model_id: "a" });
    const stalled = await stalledClient(served.port, getText("/v1/events", { Host: "localhost" }));
    await until(() => served.product.downloads.feed.subscribers === 1, "the reader to watch");
    for (let i = 1; i <= ROUNDS; i++) await served.product.downloads.change(body.id, { priority: i });
    skew = 60_000;
    await released(served);
    // Not only forgotten: the connection, too.
    await until(() => !isEstablished(served.port, stalled.port), "the server to end what nobody reads");
    expect(await stalled.take(`"priority":${ROUNDS},`)).not.toContain(`"priority":${ROUNDS},`);
    await stalled.closed;
  });

  test("stopping the server ends the streams at once", async () => {
    const served = await serve({ product: paused });
    const client = await EventClient.open(`${served.base}/v1/events`);
    await client.waitFor(() => true);
    await Promise.all([served.api.stop(), client.whenEnded(5000)]);
    await served.product.close();
  });

  test("HEAD has the headers and no stream", async () => {
    await using served = await serve({ product: paused });
    const head = await fetch(`${served.base}/v1/events`, { method: "HEAD" });
    expect([head.status, head.headers.get("content-type"), await head.text()]).toEqual([
      200,
      "text/event-stream; charset=utf-8",
      "",
    ]);
    expect(served.product.downloads.feed.subscribers).toBe(0);
  });
});

describe("GET /v1/downloads/{id}/events", () => {
  test("tells of this one only, by model id or UUID, and ends when its record is removed", async () => {
    await using served = await serve({ product: paused });
    const { body } = await start(served, "a.bin", { model_id: "acme/a" });
    await start(served, "b.bin", { model_id: "b" });
    const [byName, byId] = await Promise.all([
      EventClient.open(`${served.base}/v1/downloads/acme%2Fa/events`),
      EventClient.open(`${served.base}/downloads/${body.id}/events`),
    ]);
    for (const client of [byName, byId]) await client.waitFor(({ event }) => event === "snapshot");
    await served.call("POST", "/v1/downloads/b/pause");
    await served.call("POST", "/v1/downloads/acme%2Fa/cancel");
    await served.call("DELETE", "/v1/history/acme%2Fa");
    for (const client of [byName, byId]) {
      await client.whenEnded();
      expect(client.messages.map(({ event }) => event)).toEqual(["snapshot", "download", "removed"]);
      const [snapshot] = client.messages;
      expect(snapshot?.data.downloads.map((d: { id: string }) => d.id)).toEqual([body.id]);
    }
    await released(served);
  });
});
