import { afterEach, expect, test } from "bun:test";
import { connect, createServer } from "node:net";
import { blackHole } from "./black-hole.ts";
import { sha256Of } from "./bytes.ts";
import { type OriginProcess, startOriginProcess } from "./origin/process.ts";
import { type Fault, startOrigin } from "./origin.ts";
import { getText, RawClient, rawRequest } from "./raw.ts";

let running: OriginProcess | undefined;
afterEach(() => running?.stop());

test("an origin in another process serves, obeys rules, and tells its counters", async () => {
  const origin = await startOriginProcess({ resources: [{ path: "/f", seed: 4, size: 50_000 }] });
  running = origin;
  const rule = await origin.ask("on", { ranged: true }, [{ kind: "reset", at: 100 }]);
  const get = (headers?: Record<string, string>) => rawRequest(origin.port, getText("/f", headers));
  expect((await get()).body.length).toBe(50_000);
  expect((await get({ Range: "bytes=0-999" })).ending).toBe("reset");
  expect(await origin.ask("hits", rule)).toBe(1);
  await origin.ask("remove", rule);
  expect((await get({ Range: "bytes=0-999" })).body.length).toBe(1000);
  expect(await origin.ask("sent", "/f")).toBe(51_100);
  expect((await origin.ask("stats")).requests).toBe(3);
  expect((await origin.ask("requests", "/f", "GET")).map((it) => it.outcome)).toEqual([
    "complete",
    "reset",
    "complete",
  ]);
  expect(await origin.ask("sha256", "/f")).toBe(sha256Of(4, 50_000));
  await expect(origin.ask("sha256", "/missing")).rejects.toThrow("no resource under /missing");
});

test("F59 a black hole neither accepts nor refuses a connection", async () => {
  using hole = await blackHole();
  let heard = false;
  const socket = connect(hole.port, hole.host);
  for (const event of ["connect", "error", "close"]) socket.on(event, () => (heard = true));
  // Any answer of the kernel on loopback comes within a turn of the event loop; the second address proves that time passed.
  await using other = await startOrigin({ resources: [{ path: "/f", size: 1 }] });
  for (let i = 0; i < 20; i++) await rawRequest(other.port, getText("/f"));
  expect([heard, socket.readyState]).toEqual([false, "opening"]);
  socket.destroy();
});

/** How many bytes the origin sends below TLS until it ends the connection. */
async function bytesBelowTls(fault: Fault): Promise<number> {
  await using origin = await startOrigin({ tls: "valid", resources: [{ path: "/f", seed: 4, size: 5_000 }] });
  origin.on({}, fault);
  let count = 0;
  const relay = createServer((client) => {
    const upstream = connect(origin.port, "127.0.0.1");
    client.pipe(upstream);
    upstream.on("data", (chunk) => (count += chunk.length));
    upstream.pipe(client);
    for (const side of [client, upstream]) side.on("error", () => {});
  });
  await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
  const { port } = relay.address() as { port: number };
  const client = await RawClient.connect(port, { ca: origin.ca });
  client.send(getText("/f"));
  await client.read();
  client.close();
  relay.close();
  return count;
}

test("F64 truncate ends TLS without the alert that cut sends", async () => {
  const orderly = await bytesBelowTls({ kind: "cut", at: 1000 });
  const truncated = await bytesBelowTls({ kind: "truncate", at: 1000 });
  expect(orderly - truncated).toBeGreaterThanOrEqual(20);
});
