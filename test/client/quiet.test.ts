import { expect, test } from "bun:test";
import { type Link, Modelhaul } from "../../src/client/index.ts";
import { KEY, serve } from "../api/support.ts";

test.each(["websocket", "events"] as const)(
  "%s that stands is told where nothing happens, whoever goes on from a number",
  async (way) => {
    await using served = await serve({ apiKey: KEY });
    const client = new Modelhaul({ baseUrl: served.base, apiKey: KEY });
    const first = await client.watch({ transports: [way] }).next();
    const abort = new AbortController();
    const { promise, resolve } = Promise.withResolvers<Link>();
    const since = first.value!.seq;
    const { signal } = abort;
    const next = client.watch({ since, transports: [way], onLink: resolve, signal }).next();
    expect(await promise).toBe(way);
    abort.abort();
    expect((await next).done).toBe(true);
  },
  30_000,
);
