import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type Link, type LiveEvent, Modelhaul, type WatchOptions } from "../../src/client/index.ts";
import { KEY, MB, type Served, serve } from "../api/support.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { until } from "../support/until.ts";
import { collect, Door, rejection } from "./world.ts";

/** The machine may be busy. */
setDefaultTimeout(60_000);

let origin: Origin;
let served: Served;
beforeAll(async () => {
  origin = await startOrigin({
    resources: [{ path: "/m.bin", seed: 1, size: 4 * MB }],
    rateTotal: 4 * MB,
  });
  served = await serve({ apiKey: KEY, product: { lingerMs: 600_000 } });
});
afterAll(async () => {
  await served[Symbol.asyncDispose]();
  await origin[Symbol.asyncDispose]();
});

let names = 0;
const start = async (client: Modelhaul) => {
  const name = `live-${++names}`;
  return client.downloads.start({ url: `${origin.url("/m.bin")}?${name}`, model_id: name });
};
const clientAt = (base: string, options = {}) => new Modelhaul({ baseUrl: base, apiKey: KEY, ...options });
const stateOf = (event: LiveEvent, id: string): string | undefined =>
  event.type === "snapshot"
    ? event.downloads.find((it) => it.id === id)?.state
    : event.type === "download" && event.download.id === id
      ? event.download.state
      : undefined;

/** Watches until the download is complete; answers the events and the ways they came. */
async function toTheEnd(client: Modelhaul, id: string, options: WatchOptions = {}) {
  const links: Link[] = [];
  const watching = client.watch({ onLink: (link) => links.push(link), ...options });
  const events = await collect(watching, (all) => stateOf(all.at(-1)!, id) === "completed");
  return { links, events };
}

/** Numbers grow, percentages never fall, and each change begins where the one before ended. */
function expectWhole(events: readonly LiveEvent[], id: string): void {
  const seqs = events.map(({ seq }) => seq);
  expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
  const own = events.flatMap((event) =>
    event.type === "download" && event.download.id === id ? [event] : [],
  );
  const percents = own.map(({ download }) => download.progress.percentage);
  expect(percents).toEqual(percents.toSorted((a, b) => a - b));
}

const refuseSockets = (request: Request) =>
  request.headers.has("upgrade") ? new Response("no", { status: 426 }) : undefined;
const refuseStreams = (request: Request) =>
  request.url.includes("/events") ? new Response("no", { status: 503 }) : refuseSockets(request);

/** A client whose connection can be cut. The door lets no upgrade through: a socket of ours is cut by itself. */
function cuttable(way: "websocket" | "events", door: Door) {
  const sockets: WebSocket[] = [];
  class Cuttable extends WebSocket {
    constructor(url: string) {
      super(url);
      sockets.push(this);
    }
  }
  const client = way === "events" ? clientAt(door.base) : clientAt(served.base, { WebSocket: Cuttable });
  const cut = (): void => {
    door.cut();
    sockets.at(-1)?.close();
  };
  return { client, cut };
}

describe("watch", () => {
  test("R134 A15 over the WebSocket, opened with a ticket", async () => {
    const client = clientAt(served.base);
    const { id } = await start(client);
    const { links, events } = await toTheEnd(client, id);
    expect(links).toEqual(["websocket"]);
    expect(events[0]?.type).toBe("snapshot");
    expect(new Set(events.map(({ seq }) => seq)).size).toBe(events.length);
    expectWhole(events, id);
  });

  test("R134 over server-sent events where WebSockets are refused, or are not there", async () => {
    using door = new Door(served.base);
    door.guard = refuseSockets;
    for (const client of [clientAt(door.base), clientAt(served.base, { WebSocket: null })]) {
      const { id } = await start(client);
      const { links, events } = await toTheEnd(client, id);
      expect(links).toEqual(["events"]);
      expectWhole(events, id);
    }
    expect(door.asked).toContain("/v1/ws");
  });

  test("R127 by polling where nothing live is let through; a change, the end and the removal are told", async () => {
    using door = new Door(served.base);
    door.guard = refuseStreams;
    const client = clientAt(door.base);
    const { id } = await start(client);
    const { links, events } = await toTheEnd(client, id, { ids: [id], pollMs: 20 });
    expect(links).toEqual(["polling"]);
    expect(events[0]?.type).toBe("snapshot");
    expectWhole(events, id);
    const all = client.watch({ pollMs: 20 });
    expect(stateOf((await all.next()).value!, id)).toBe("completed");
    const rest = collect(all, (seen) => seen.at(-1)?.type === "removed");
    await client.history.remove(id);
    expect((await rest).at(-1)).toMatchObject({ type: "removed", id });
  });

  test("ids narrow it on every way, and it ends with the last of them", async () => {
    using door = new Door(served.base);
    door.guard = refuseSockets;
    for (const client of [clientAt(served.base), clientAt(door.base)])
      for (const count of [1, 2]) {
        await client.settings.change({ paused: true });
        const wanted = [await start(client), await start(client)].slice(0, count);
        const other = await start(client);
        const watching = client.watch({ ids: wanted.map(({ model_id }) => model_id) });
        const first = (await watching.next()).value as LiveEvent & { type: "snapshot" };
        expect(first.downloads.map(({ id }) => id).sort()).toEqual(wanted.map(({ id }) => id).sort());
        const rest = collect(watching);
        await client.downloads.cancelAll();
        for (const { id } of [other, ...wanted]) await client.history.remove(id);
        const events = await rest;
        expect(
          events
            .filter((it) => it.type === "removed")
            .map(({ id }) => id)
            .sort(),
        ).toEqual(wanted.map(({ id }) => id).sort());
        expect(JSON.stringify(events)).not.toContain(other.id);
        await client.settings.change({ paused: false });
      }
  });

  test.each(["websocket", "events"] as const)("F211 a long snapshot is one event over %s", async (way) => {
    await using many = await serve({ apiKey: KEY });
    const client = clientAt(many.base);
    await client.settings.change({ paused: true });
    const starts = Array.from({ length: 230 }, (_, i) =>
      client.downloads.start({ url: `${origin.url("/m.bin")}?many-${i}`, model_id: `many-${i}` }),
    );
    const ids = (await Promise.all(starts)).map(({ id }) => id);
    const events = await collect(client.watch({ transports: [way] }), () => true);
    const [first] = events as (LiveEvent & { type: "snapshot" })[];
    expect(first?.downloads.map(({ id }) => id).sort()).toEqual(ids.toSorted());
    expect(first).not.toHaveProperty("more");
  });

  test.each(["websocket", "events"] as const)(
    "R24 F218 a %s that is cut is made again and goes on where it was: nothing twice, no snapshot again",
    async (way) => {
      using door = new Door(served.base);
      if (way === "events") door.guard = refuseSockets;
      const { client, cut } = cuttable(way, door);
      const { id } = await start(client);
      const links: Link[] = [];
      const seen: LiveEvent[] = [];
      let cuts = 0;
      for await (const event of client.watch({ ids: [id], onLink: (link) => links.push(link) })) {
        seen.push(event);
        if (stateOf(event, id) === "completed") break;
        if (event.type !== "download" || event.download.progress.percentage < 20 * (cuts + 1) || cuts === 3)
          continue;
        cuts++;
        cut();
      }
      expect(cuts).toBeGreaterThan(0);
      expect(seen.filter(({ type }) => type === "snapshot").length).toBe(1);
      expect(new Set(seen.map(({ seq }) => seq)).size).toBe(seen.length);
      expectWhole(seen, id);
      // A stream that ended properly is asked for again at once.
      if (way === "websocket") expect(links).toContain("offline");
      expect(links.at(-1)).toBe(way);
    },
  );

  test.each(["websocket", "events"] as const)(
    "R24 of several over a %s, one that is removed takes nothing from the others, whether its end was seen or not",
    async (way) => {
      using door = new Door(served.base);
      door.guard = refuseSockets;
      const { client, cut } = cuttable(way, door);
      await client.settings.change({ paused: true });
      const wanted = [await start(client), await start(client), await start(client)];
      await client.downloads.cancelAll();
      const [first, second, third] = wanted as [(typeof wanted)[0], (typeof wanted)[0], (typeof wanted)[0]];
      const links: Link[] = [];
      const removed: string[] = [];
      const ids = wanted.map(({ model_id }) => model_id);
      for await (const event of client.watch({ ids, onLink: (link) => links.push(link) })) {
        if (event.type === "snapshot") await client.history.remove(first.id);
        if (event.type !== "removed") continue;
        removed.push(event.id);
        expect(event.model_id).toBe(wanted.find(({ id }) => id === event.id)?.model_id as string);
        // The second goes while nobody hears of it.
        if (event.id === first.id) {
          cut();
          await client.history.remove(second.id);
        }
        if (event.id === second.id) await client.history.remove(third.id);
      }
      expect(removed).toEqual(wanted.map(({ id }) => id));
      await client.settings.change({ paused: false });
    },
  );

  test("since: with several ids it goes on until the last of them is removed, also of one that has told nothing", async () => {
    const client = clientAt(served.base);
    await client.settings.change({ paused: true });
    const [a, b] = [await start(client), await start(client)];
    await client.downloads.cancelAll();
    const [snapshot] = await collect(client.watch(), () => true);
    const removed: string[] = [];
    const { seq } = snapshot!;
    const watching = client.watch({
      ids: [a.id, b.id],
      since: seq,
      onLink: () => client.history.remove(a.id),
    });
    for await (const event of watching) {
      if (event.type === "removed") removed.push(event.id);
      if (removed.length === 1) await client.history.remove(b.id).catch(() => undefined);
    }
    expect(removed).toEqual([a.id, b.id]);
    await client.settings.change({ paused: false });
  });

  test("since: what has changed since, each as it is now, and no snapshot", async () => {
    const client = clientAt(served.base);
    const { id } = await start(client);
    const { events } = await toTheEnd(client, id);
    const { seq } = events[0]!;
    const later = await collect(
      client.watch({ since: seq }),
      (all) => stateOf(all.at(-1)!, id) === "completed",
    );
    expect(later.every((event) => event.type === "download" && event.seq > seq)).toBe(true);
    // A number from another server's life is none of this one.
    const [stranger] = await collect(client.watch({ since: Number.MAX_SAFE_INTEGER }), () => true);
    expect(stranger?.type).toBe("snapshot");
  });

  test("a server that goes away and comes back is waited for; one that stays away is given up when told so", async () => {
    const first = await serve({ product: { settings: { paused: true } } });
    const client = new Modelhaul({ baseUrl: first.base });
    const links: Link[] = [];
    const watching = client.watch({ onLink: (link) => links.push(link), giveUpAfterMs: 1500 });
    expect((await watching.next()).value?.type).toBe("snapshot");
    const gone = rejection(watching.next());
    await first[Symbol.asyncDispose]();
    expect((await gone).name).toBe("ConnectionError");
    expect(links).toEqual(["websocket", "offline"]);
  });

  test("the signal ends it quietly, wherever it is; leaving it closes the connection", async () => {
    const client = clientAt(served.base);
    const readers = async () =>
      Number(/^modelhaul_live_connections (\d+)$/m.exec(await client.service.metrics())?.[1]);
    for (const transports of [["websocket"], ["events"], ["polling"]] as const) {
      const abort = new AbortController();
      const ended = collect(client.watch({ transports, signal: abort.signal }), () => false);
      setTimeout(() => abort.abort(), 100);
      expect((await ended)[0]?.type).toBe("snapshot");
      for await (const _ of client.watch({ transports })) break;
      await until(async () => (await readers()) === 0, "the connection to be let go of");
    }
    const aborted = AbortSignal.abort();
    expect(await collect(client.watch({ signal: aborted }))).toEqual([]);
  });

  test("A15 what will not change by asking again is thrown: no key, an unknown id", async () => {
    for (const transports of [["websocket", "events", "polling"], ["events"], ["polling"]] as const) {
      const keyless = new Modelhaul({ baseUrl: served.base });
      expect(await rejection(collect(keyless.watch({ transports })))).toMatchObject({ status: 401 });
      const unknown = clientAt(served.base).watch({ ids: ["nobody"], transports });
      expect(await rejection(collect(unknown))).toMatchObject({ status: 404 });
    }
  });
});
