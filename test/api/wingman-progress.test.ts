import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type Hub, startHub } from "../support/hub.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { until } from "../support/until.ts";
import { Contract } from "./contract.ts";
import { EventClient } from "./event-client.ts";
import { stalledClient } from "./stalled.ts";
import { type Body, KEY, MB, type Served, serve } from "./support.ts";
import { hold, keep, query, weights } from "./wingman-world.ts";

/** The machine may be busy. */
setDefaultTimeout(30_000);

const REPO = "acme/weights";
const OTHER = "acme/others";
const JSON_ONLY = { Accept: "application/json" };
const EVENTS = { Accept: "text/event-stream" };
const UNKNOWN = { status: "failed", progress: 0, error: expect.stringContaining("/api/download") };

let hub: Hub;
let origin: Origin;
let served: Served;
let contract: Contract;
beforeAll(async () => {
  const names = ["a", "b", "c", "d", "e", "f", "g"].map((name) => [`${name}.bin`, MB]);
  const files = Object.fromEntries(names);
  hub = await startHub({ repos: [weights(REPO, files), weights(OTHER, files)] });
  origin = await startOrigin({ resources: [{ path: "/plain.bin", seed: 1, size: 5000 }] });
  served = await serve({ product: { hfEndpoint: hub.endpoint } });
  contract = await Contract.of(served);
});
afterAll(async () => {
  await served[Symbol.asyncDispose]();
  await origin[Symbol.asyncDispose]();
  await hub[Symbol.asyncDispose]();
});

const start = async (repo: string, file: string): Promise<Body> =>
  (await served.call("GET", `/api/download${query(repo, file)}`)).body;

async function show(search: string, headers: Record<string, string> = {}): Promise<[number, Body]> {
  const answer = await served.call("GET", `/api/progress${search}`, undefined, headers);
  expect(contract.problems("GET", "/api/progress", answer)).toEqual([]);
  return [answer.status, answer.body];
}

const watch = (search: string, headers: Record<string, string> = {}) =>
  EventClient.open(`${served.base}/api/progress${search}`, headers);

/** Downloads it to its end. */
async function fetched(repo: string, file: string): Promise<Body> {
  const body = await start(repo, file);
  await served.product.reaches(body.id, "completed");
  return body;
}

describe("one file as a stream", () => {
  test("R140 R146 R157 R162 A13 first as it is, then each change, closing when it is done", async () => {
    const held = hold(hub, REPO, "a.bin", MB / 2);
    const { id } = await start(REPO, "a.bin");
    await served.product.has(id, MB / 4);
    const stream = await watch(query(REPO, "a.bin"));
    const first = await stream.waitFor(() => true);
    expect([first.event, first.data.status, first.data.error]).toEqual(["", "downloading", null]);
    expect(first.data.progress).toBeGreaterThanOrEqual(25);
    held.remove();
    held.release();
    await stream.whenEnded();
    const told = stream.messages.map(({ data }) => data);
    expect(told.at(-1)).toMatchObject({ status: "done", progress: 100, error: null, id });
    const progress = told.map((one) => one.progress);
    expect(progress).toEqual([...progress].sort((x, y) => x - y));
    expect(told.every(({ ModelRepo, FilePath }) => ModelRepo === REPO && FilePath === "a.bin")).toBe(true);
    expect(told.every(({ status }) => ["queued", "downloading", "done"].includes(status))).toBe(true);
    expect(contract.misfits("WingmanProgress", told.at(-1))).toEqual([]);
  });

  test("R157 of a failed one: its error, then the end", async () => {
    const { id } = await start(REPO, "missing.bin");
    const stream = await watch(query(REPO, "missing.bin"), { Accept: "*/*" });
    await stream.whenEnded();
    expect(stream.messages.at(-1)?.data).toMatchObject({ status: "failed", progress: 0, id });
    expect(stream.messages.at(-1)?.data.error).toContain("missing.bin");
  });

  test("R157 of a finished one: that, then the end", async () => {
    await fetched(REPO, "b.bin");
    const stream = await watch(query(REPO, "b.bin"));
    await stream.whenEnded();
    expect(stream.messages.map(({ data }) => data.status)).toEqual(["done"]);
  });

  test("R142 it stays open while the download is paused", async () => {
    const held = hold(hub, REPO, "c.bin", MB / 2);
    const { id } = await start(REPO, "c.bin");
    await served.product.has(id, MB / 4);
    const stream = await watch(query(REPO, "c.bin"));
    await served.call("POST", `/v1/downloads/${id}/pause`);
    await stream.waitFor(({ data }) => data.status === "queued" && data.state === "paused");
    expect(stream.ended).toBe(false);
    held.remove();
    held.release();
    await served.call("POST", `/v1/downloads/${id}/resume`);
    await stream.whenEnded();
    expect(stream.messages.at(-1)?.data.status).toBe("done");
  });

  test("A13 A5 a pair that was never asked for is one event with the error, 404 as JSON", async () => {
    const stream = await watch(query("acme/nothing", "x.bin"));
    await stream.whenEnded();
    expect(stream.messages.map(({ data }) => data)).toEqual([UNKNOWN]);
    expect(await show(query("acme/nothing", "x.bin"), JSON_ONLY)).toEqual([404, UNKNOWN]);
  });

  test("an EventSource that comes back after the end is told to stay away", async () => {
    await fetched(REPO, "b.bin");
    for (const search of [query(REPO, "b.bin"), query("acme/nothing", "x.bin"), `?ModelRepo=${OTHER}`]) {
      const stream = await watch(search, EVENTS);
      await stream.whenEnded();
      const seen = stream.messages.at(-1)?.id ?? "0";
      const again = await served.call("GET", `/api/progress${search}`, undefined, {
        ...EVENTS,
        "Last-Event-ID": seen,
      });
      expect([search, again.status, again.body]).toEqual([search, 204, ""]);
    }
  });

  test("A13 F218 named JSON is always JSON, HEAD has no body and opens nothing", async () => {
    await fetched(REPO, "b.bin");
    const [status, body] = await show(query(REPO, "b.bin"), JSON_ONLY);
    expect([status, body.status, body.progress]).toEqual([200, "done", 100]);
    for (const headers of [EVENTS, JSON_ONLY])
      expect(
        (await served.call("HEAD", `/api/progress${query(REPO, "b.bin")}`, undefined, headers)).body,
      ).toBe("");
  });

  test("a reader that takes nothing holds up nobody, and is told the newest state when it does", async () => {
    const held = hold(hub, REPO, "d.bin", MB / 2);
    const { id } = await start(REPO, "d.bin");
    await served.product.has(id, MB / 4);
    const head = `GET /api/progress${query(REPO, "d.bin")} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
    const stalled = await stalledClient(served.port, head);
    held.remove();
    held.release();
    await served.product.reaches(id, "completed");
    expect(await stalled.take('"status":"done"')).toContain('"status":"done","progress":100');
    stalled.close();
  });
});

describe("many files", () => {
  let foreign: Body;
  let whole: Body;
  beforeAll(async () => {
    await fetched(OTHER, "a.bin");
    await fetched(OTHER, "b.bin");
    const begin = async (body: object) => (await served.call("POST", "/v1/downloads", body)).body;
    foreign = await begin({ url: origin.url("/plain.bin"), model_id: "some-model" });
    whole = await begin({ repo_id: OTHER, include: ["e.bin", "f.bin"] });
    const hosted = await begin({ repo_id: REPO, filename: "g.bin" });
    for (const { id } of [foreign, whole, hosted]) await served.product.reaches(id, "completed");
  });
  const files = (body: Body[]) => body.map(({ ModelRepo, FilePath }) => `${ModelRepo} ${FilePath}`).sort();

  test("R159 with ModelRepo alone: all of that repository, finished ones and those of other families included", async () => {
    const [status, body] = await show(`?ModelRepo=${OTHER}`);
    expect([status, files(body)]).toEqual([200, [`${OTHER} `, `${OTHER} a.bin`, `${OTHER} b.bin`]]);
    expect(body.every((one: Body) => one.status === "done" && one.progress === 100)).toBe(true);
  });

  test("A13 with FilePath alone: that file of every repository", async () => {
    await fetched(REPO, "b.bin");
    expect(files((await show("?filePath=b.bin"))[1])).toEqual([`${OTHER} b.bin`, `${REPO} b.bin`]);
  });

  test("R160 R163 with neither: all there are, each file once, in the words of the queue view", async () => {
    const [status, body] = await show("");
    expect(status).toBe(200);
    const names = files(body);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toEqual(
      expect.arrayContaining([`${OTHER} a.bin`, `${REPO} g.bin`, "some-model plain.bin"]),
    );
    for (const { status } of body) expect(["queued", "downloading", "done", "failed"]).toContain(status);
    const { body: all } = await served.call("GET", "/v1/downloads?state=all");
    expect(body.map(({ id }: Body) => id).sort()).toEqual(
      all.active_downloads.map(({ id }: Body) => id).sort(),
    );
  });

  test("A24 a URL has its model id and file name, many files an empty name; both are found by it", async () => {
    const [, url] = await show(query("some-model", "plain.bin"), JSON_ONLY);
    expect([url.id, url.status]).toEqual([foreign.id, "done"]);
    const [, all] = await show(`?ModelRepo=${OTHER}&FilePath=`);
    expect(all.find(({ id }: Body) => id === whole.id).FilePath).toBe("");
  });

  test("R158 the view of a pair is the one of the array", async () => {
    const [, body] = await show(`?ModelRepo=${OTHER}`);
    for (const one of body.filter(({ FilePath }: Body) => FilePath !== ""))
      expect((await show(query(OTHER, one.FilePath), JSON_ONLY))[1]).toEqual(one);
  });

  test("an empty service has an empty array, and a stream that ends at once", async () => {
    await using empty = await serve();
    expect((await empty.call("GET", "/api/progress")).body).toEqual([]);
    const stream = await EventClient.open(`${empty.base}/api/progress`, EVENTS);
    await stream.whenEnded();
    expect(stream.messages).toEqual([]);
  });

  test("A13 named text/event-stream: all of it, what comes later too, closing when all have ended", async () => {
    const held = ["c.bin", "d.bin"].map((file) => hold(hub, OTHER, file, MB / 2));
    const first = await start(OTHER, "c.bin");
    await served.product.has(first.id, MB / 4);
    const stream = await watch(`?ModelRepo=${OTHER}`, EVENTS);
    await stream.waitFor(({ data }) => data.FilePath === "c.bin" && data.status === "downloading");
    const later = await start(OTHER, "d.bin");
    await stream.waitFor(({ data }) => data.id === later.id);
    await fetched(REPO, "e.bin");
    held[0]?.remove();
    held[0]?.release();
    await stream.waitFor(({ data }) => data.id === first.id && data.status === "done");
    expect(stream.ended).toBe(false);
    held[1]?.remove();
    held[1]?.release();
    await stream.whenEnded();
    expect(stream.messages.at(-1)?.data).toMatchObject({ id: later.id, status: "done" });
    expect(new Set(stream.messages.map(({ data }) => data.ModelRepo))).toEqual(new Set([OTHER]));
    const begun = stream.messages.slice(0, 4).map(({ data }) => data.FilePath);
    expect(begun.sort()).toEqual(["", "a.bin", "b.bin", "c.bin"]);
  });
});

describe("who may watch", () => {
  test("A15 a ticket opens the stream once, and no JSON", async () => {
    await using keyed = await serve({ apiKey: KEY });
    const key = { "X-API-Key": KEY };
    const ticket = async () => (await keyed.call("POST", "/v1/tickets", undefined, key)).body.ticket;
    const path = `/api/progress${query(REPO, "a.bin")}`;
    expect((await keyed.call("GET", path)).body).toMatchObject({ status: "failed", progress: 0 });
    expect((await keyed.call("GET", path)).status).toBe(401);
    const pass = await ticket();
    const stream = await EventClient.open(`${keyed.base}${path}&ticket=${pass}`);
    await stream.whenEnded();
    expect(stream.messages.length).toBe(1);
    expect((await keyed.call("GET", `${path}&ticket=${pass}`)).status).toBe(401);
    expect((await keyed.call("GET", `/api/progress?ticket=${await ticket()}`)).status).toBe(401);
    expect((await keyed.call("GET", "/api/progress", undefined, key)).body).toEqual([]);
  });

  test("F213 a stream counts among the live connections, and ends with the server", async () => {
    await using few = await serve({
      product: { hfEndpoint: hub.endpoint, settings: { paused: true } },
      live: { maxReaders: 1, heartbeatMs: 20 },
    });
    await few.call("GET", `/api/download${query(REPO, "a.bin")}`);
    const stream = await EventClient.open(`${few.base}/api/progress${query(REPO, "a.bin")}`);
    await stream.whenCommented();
    const second = await few.call("GET", `/api/progress${query(REPO, "a.bin")}`);
    expect([second.status, second.body.status, second.headers.get("retry-after")]).toEqual([
      503,
      "failed",
      "10",
    ]);
    await few.api.stop();
    await stream.whenEnded();
  });

  test("a client that goes away leaves nothing behind", async () => {
    const held = hold(hub, REPO, "f.bin", MB / 2);
    const { id } = await start(REPO, "f.bin");
    await served.product.has(id, MB / 4);
    const { feed } = served.product.downloads;
    const before = feed.subscribers;
    const stream = await watch(query(REPO, "f.bin"));
    await stream.waitFor(() => true);
    expect(feed.subscribers).toBeGreaterThan(before);
    stream.close();
    await until(() => feed.subscribers === before, "the stream to let go of the feed");
    expect((await served.product.downloads.get(id)).state).toBe("downloading");
    held.remove();
    held.release();
    await served.product.reaches(id, "completed");
  });
});

test("R159 R160 A13 two selections of one repository are two downloads, and both are told", async () => {
  await using kept = await keep({ settings: { paused: true } });
  const begin = (model_id: string, include: string[]) =>
    kept.call("POST", "/v1/downloads", { repo_id: "acme/many", include, model_id });
  await begin("first", ["*Q4*"]);
  await begin("second", ["*Q3*"]);
  for (const where of ["", "?ModelRepo=acme/many"]) {
    const { body } = await kept.call("GET", `/api/progress${where}`);
    expect(body.map((it: Body) => it.model_id).sort()).toEqual(["first", "second"]);
  }
});
