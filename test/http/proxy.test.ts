import { afterAll, expect, test } from "bun:test";
import { createServer, connect as dial, type Socket } from "node:net";
import { join } from "node:path";
import { startOrigin } from "../support/origin.ts";
import { client, drain, failure, resolverOf } from "./client.ts";

const REFUSALS = {
  "407":
    "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n",
  "502": "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
};
type Mode = "ok" | "close" | keyof typeof REFUSALS;

/** A proxy for both kinds of request that sends everything to one port of this machine. */
async function startProxy(target: number) {
  const heads: string[] = [];
  const state = { mode: "ok" as Mode, port: 0, heads, stop: () => {} };
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("data", (data) => {
      const text = data.toString("latin1");
      heads.push(text.split("\r\n\r\n")[0]!);
      if (state.mode === "close") return socket.destroy();
      if (state.mode !== "ok") return socket.end(REFUSALS[state.mode]);
      const peer = dial(target, "127.0.0.1");
      sockets.add(peer);
      peer.on("error", () => socket.destroy());
      peer.on("close", () => socket.destroy());
      socket.on("close", () => peer.destroy());
      if (text.startsWith("CONNECT ")) socket.write("HTTP/1.1 200 OK\r\n\r\n");
      else peer.write(text.replace(/^GET http:\/\/[^/]+/, "GET "));
      peer.pipe(socket);
      socket.pipe(peer);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  state.port = (server.address() as { port: number }).port;
  state.stop = () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return state;
}

const RESOURCES = [{ path: "/file", seed: 1, size: 1000 }];
const origin = await startOrigin({ resources: RESOURCES });
const secure = await startOrigin({ tls: "valid", resources: RESOURCES });
const proxy = await startProxy(origin.port);
const tunnel = await startProxy(secure.port);
afterAll(async () => {
  proxy.stop();
  tunnel.stop();
  await Promise.all([origin.stop(), secure.stop()]);
});
const through = (one: { port: number }, more: Parameters<typeof client>[0] = {}) =>
  client({ proxy: `http://user:s3cret@127.0.0.1:${one.port}`, caFile: secure.caFile!, ...more });

test("F72 with a proxy named, names go to it unresolved, and its login to nobody else", async () => {
  const http = through(proxy, { resolver: resolverOf({}) });
  expect((await drain(await http.request({ url: "http://hub.test/file?a=b" }))).length).toBe(1000);
  expect(proxy.heads.at(-1)).toContain("GET http://hub.test/file?a=b HTTP/1.1");
  expect(proxy.heads.at(-1)).toContain(`Proxy-Authorization: Basic ${btoa("user:s3cret")}`);
});

test("https goes through a tunnel and is verified against the name", async () => {
  const http = through(tunnel, { resolver: resolverOf({}) });
  const url = `https://localhost:${secure.port}/file`;
  expect((await drain(await http.request({ url }))).length).toBe(1000);
  expect(tunnel.heads.at(-1)).toStartWith(`CONNECT localhost:${secure.port} HTTP/1.1`);
  expect(await failure(http.request({ url: "https://hub.test/file" }))).toMatchObject({ code: "tls" });
});

test("F72 407 is proxy_auth, plain and in a tunnel, and shows no password", async () => {
  proxy.mode = tunnel.mode = "407";
  for (const [one, url] of [
    [proxy, "http://hub.test/file"],
    [tunnel, "https://hub.test/file"],
  ] as const) {
    const error = await failure(through(one).request({ url }));
    expect(error).toMatchObject({ code: "proxy_auth" });
    expect(error.message).not.toContain("s3cret");
  }
  proxy.mode = tunnel.mode = "ok";
});

test("a proxy that cannot connect, hangs up or is not there", async () => {
  tunnel.mode = "502";
  expect(await failure(through(tunnel).request({ url: "https://hub.test/" }))).toMatchObject({
    code: "connect",
  });
  tunnel.mode = proxy.mode = "close";
  expect(await failure(through(tunnel).request({ url: "https://hub.test/" }))).toMatchObject({
    code: "network",
  });
  expect(await failure(through(proxy).request({ url: "http://hub.test/" }))).toMatchObject({
    code: "network",
  });
  tunnel.mode = proxy.mode = "ok";
  const gone = await startProxy(0);
  gone.stop();
  const error = await failure(through(gone).request({ url: "http://hub.test/?sig=s3cret" }));
  expect(error).toMatchObject({ code: "connect" });
  expect(error.message).toContain(`127.0.0.1:${gone.port}`);
  expect(error.message).not.toContain("s3cret");
});

test("F173 through a proxy, what can be known of an address is still refused", async () => {
  const before = proxy.heads.length;
  const http = through(proxy, { allowPrivate: false });
  for (const host of ["127.0.0.1", "localhost.", "[::ffff:7f00:1]", "metadata.google.internal", "10.0.0.1"])
    expect(await failure(http.request({ url: `http://${host}/file` }))).toMatchObject({
      code: "forbidden_address",
    });
  expect(proxy.heads.length).toBe(before);
});

test("noProxy names what is asked directly", async () => {
  const http = through(proxy, {
    noProxy: ["127.0.0.0/8", ".lan.test"],
    resolver: resolverOf({ "a.lan.test": ["127.0.0.1"], "lan.test": ["127.0.0.1"] }),
  });
  const before = proxy.heads.length;
  for (const host of ["127.0.0.1", "a.lan.test", "lan.test"])
    await drain(await http.request({ url: `http://${host}:${origin.port}/file` }));
  expect(proxy.heads.length).toBe(before);
  await drain(await http.request({ url: "http://xlan.test/file" }));
  expect(proxy.heads.length).toBe(before + 1);
  const all = through(proxy, { noProxy: ["*"] });
  await drain(await all.request({ url: origin.url("/file") }));
  expect(proxy.heads.length).toBe(before + 1);
});

test("F72 F173 proxy variables of the environment change nothing, with and without a proxy named", async () => {
  const program = `
    import { client, drain } from ${JSON.stringify(join(import.meta.dir, "client.ts"))};
    const [, url, proxy] = process.argv;
    const direct = await drain(await client().request({ url }));
    const named = await drain(await client({ proxy }).request({ url: "http://hub.test/file" }));
    console.log(direct.length, named.length);
    process.exit(0);`;
  const dead = "http://127.0.0.1:9";
  const before = proxy.heads.length;
  const child = Bun.spawn(
    [process.execPath, "-e", program, origin.url("/file"), `http://127.0.0.1:${proxy.port}`],
    { env: { ...process.env, HTTP_PROXY: dead, http_proxy: dead, ALL_PROXY: dead, NO_PROXY: "hub.test" } },
  );
  expect(await new Response(child.stdout).text()).toBe("1000 1000\n");
  expect(proxy.heads.length).toBe(before + 1);
});

test.each(["socks5://127.0.0.1:1", "http://", "::"])("the proxy %j is refused at once", (text) => {
  expect(() => client({ proxy: text })).toThrow(expect.objectContaining({ code: "invalid_request" }));
});
