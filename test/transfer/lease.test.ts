import { expect, test } from "bun:test";
import type { FetchRequest } from "../../src/core/ports.ts";
import { parseRemoteUrl } from "../../src/core/remote-url.ts";
import { Lease } from "../../src/transfer/lease.ts";

const hub: FetchRequest = {
  url: parseRemoteUrl("https://hub.example/m/resolve/f"),
  headers: { "x-own": "1" },
  credentials: { origin: "https://hub.example", headers: { authorization: "Bearer t" } },
};
const hop = (url: string) => ({ url: parseRemoteUrl(url), status: 302, headers: new Headers() });
const led = (url: string, ...hops: string[]) => ({ url: parseRemoteUrl(url), hops: hops.map(hop) });

function lease(...requests: FetchRequest[]): { lease: Lease; asked: () => number } {
  let asked = 0;
  const all = requests.length > 0 ? requests : [hub];
  return { lease: new Lease(async () => all[Math.min(asked++, all.length - 1)]!), asked: () => asked };
}

test("one finds the way, the others go straight to where it led", async () => {
  const { lease: it, asked } = lease();
  const leader = await it.take();
  const others = [it.take(), it.take()];
  expect(leader).toMatchObject({ request: hub, leader: true });
  it.settle(leader, led("https://cdn.example/f?sig=1", hub.url));
  for (const other of await Promise.all(others))
    expect(other).toEqual({
      request: { url: parseRemoteUrl("https://cdn.example/f?sig=1") },
      version: 1,
      leader: false,
    });
  expect(asked()).toBe(1);
});

test("without an answer the next one leads, with the same request", async () => {
  const { lease: it, asked } = lease();
  const first = await it.take();
  const second = it.take();
  it.settle(first);
  expect(await second).toMatchObject({ leader: true, request: hub });
  expect(asked()).toBe(1);
});

test("F40 an expired address is asked for once for all", async () => {
  const { lease: it, asked } = lease(hub, { url: parseRemoteUrl("https://hub.example/again") });
  const first = await it.take();
  it.settle(first, led("https://cdn.example/f?sig=1", hub.url));
  expect([it.expire(first.version), it.expire(first.version), it.expire(first.version)]).toEqual([
    true,
    false,
    false,
  ]);
  const leader = await it.take();
  const other = it.take();
  expect(leader).toMatchObject({ leader: true, version: 2, request: { url: "https://hub.example/again" } });
  it.settle(leader, led("https://cdn.example/f?sig=2", "https://hub.example/again"));
  expect(await other).toMatchObject({ leader: false, request: { url: "https://cdn.example/f?sig=2" } });
  expect(asked()).toBe(2);
});

test("an answer to an address that has expired meanwhile teaches nothing", async () => {
  const { lease: it, asked } = lease();
  const first = await it.take();
  it.expire(first.version);
  it.settle(first, led("https://cdn.example/old", hub.url));
  expect((await it.take()).request).toEqual(hub);
  expect(asked()).toBe(2);
});

test("a source that fails is asked again", async () => {
  let asked = 0;
  const it = new Lease(async () => {
    if (asked++ === 0) throw new Error("hub is down");
    return hub;
  });
  await expect(it.take()).rejects.toThrow("hub is down");
  expect((await it.take()).request).toEqual(hub);
  expect(asked).toBe(2);
});

test("a source that fails is asked once for all that wait for it", async () => {
  let asked = 0;
  const it = new Lease(async () => {
    asked++;
    await Bun.sleep(5);
    throw new Error("hub is down");
  });
  const ends = await Promise.allSettled([it.take(), it.take(), it.take()]);
  expect([ends.map((end) => end.status), asked]).toEqual([["rejected", "rejected", "rejected"], 1]);
});

test.each<[string, ReturnType<typeof led>, boolean]>([
  ["no redirect", led(hub.url), true],
  ["within the origin", led("https://hub.example/api/f", hub.url), true],
  ["F35 to another origin", led("https://cdn.example/f", hub.url), false],
  ["F35 to another port", led("https://hub.example:8443/f", hub.url), false],
  ["F36 away and back", led("https://hub.example/f", hub.url, "https://cdn.example/x"), false],
])("credentials and own headers stay at home: %s", async (_, answer, kept) => {
  const { lease: it } = lease();
  it.settle(await it.take(), answer);
  const { request } = await it.take();
  expect(request).toEqual(kept ? { ...hub, url: answer.url } : { url: answer.url });
});
