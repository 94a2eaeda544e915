import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startOrigin } from "../support/origin.ts";
import { client, drain, failure, resolverOf } from "./client.ts";

const RESOURCES = [{ path: "/file", seed: 1, size: 100_000 }];

test("an extra authority is trusted, and https connections to a pinned address are kept alive", async () => {
  await using origin = await startOrigin({ tls: "valid", resources: RESOURCES });
  const http = client({ caFile: origin.caFile! });
  for (let i = 0; i < 5; i++)
    expect((await drain(await http.request({ url: `https://localhost:${origin.port}/file` }))).length).toBe(
      100_000,
    );
  expect(origin.log.at(-1)!.headers.host).toBe(`localhost:${origin.port}`);
  // One bare connection for the race between 127.0.0.1 and ::1, one that carries all requests.
  expect([origin.stats.requests, origin.stats.connections]).toEqual([5, 2]);
  const parallel = Array.from({ length: 8 }, () => http.request({ url: origin.url("/file") }).then(drain));
  expect((await Promise.all(parallel)).map((bytes) => bytes.length)).toEqual(Array(8).fill(100_000));
});

test("F63 F172 the certificate must be for the name asked, not for the address behind it", async () => {
  await using origin = await startOrigin({ tls: "valid", resources: RESOURCES });
  const http = client({ caFile: origin.caFile!, resolver: resolverOf({ "hub.test": ["127.0.0.1"] }) });
  await drain(await http.request({ url: origin.url("/file") }));
  const error = await failure(http.request({ url: `https://hub.test:${origin.port}/file?sig=s3cret` }));
  expect(error).toMatchObject({ code: "tls" });
  expect(error.message).toContain(`hub.test:${origin.port}`);
  expect(error.message).toContain("another name");
  expect(JSON.stringify([error.message, String(error.cause)])).not.toContain("s3cret");
  expect(origin.stats.requests).toBe(1);
});

test.each([
  ["expired", "expired"],
  ["self-signed", "self-signed"],
  ["wrong-host", "another name"],
] as const)("F63 a certificate that is %s is a tls error that says so", async (kind, reason) => {
  await using origin = await startOrigin({ tls: kind, resources: RESOURCES });
  const error = await failure(client({ caFile: origin.caFile! }).request({ url: origin.url("/file") }));
  expect(error).toMatchObject({ code: "tls" });
  expect(error.message).toContain(reason);
  expect(origin.stats.requests).toBe(0);
});

test("F63 an unknown authority is a tls error, and no variable of the environment turns checking off", async () => {
  await using origin = await startOrigin({ tls: "valid", resources: RESOURCES });
  const program = `
    import { client, failure } from ${JSON.stringify(join(import.meta.dir, "client.ts"))};
    const error = await failure(client().request({ url: process.argv[1] }));
    console.log(error.code, error.message);
    process.exit(0);`;
  const child = Bun.spawn([process.execPath, "-e", program, origin.url("/file")], {
    env: { ...process.env, NODE_TLS_REJECT_UNAUTHORIZED: "0" },
    stderr: "ignore",
  });
  expect(await new Response(child.stdout).text()).toMatch(/^tls .*unknown authority/);
  expect(origin.stats.requests).toBe(0);
});

test("F63 a server that answers a TLS greeting in plain text is a tls error", async () => {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  expect(await failure(client().request({ url: `https://127.0.0.1:${port}/file` }))).toMatchObject({
    code: "tls",
  });
  server.close();
});

test("F64 a TLS stream that ends without its farewell is no end", async () => {
  await using origin = await startOrigin({ tls: "valid", resources: RESOURCES });
  const http = client({ caFile: origin.caFile! });
  origin.on({}, { kind: "truncate", at: 50_000 });
  expect(await failure(http.request({ url: origin.url("/file") }).then(drain))).toMatchObject({
    code: "network",
  });
});

test("F33 https is not left for plain http, not even on the same host", async () => {
  await using plain = await startOrigin({ resources: RESOURCES });
  await using origin = await startOrigin({ tls: "valid", resources: RESOURCES });
  const http = client({ caFile: origin.caFile! });
  origin.on({ path: "/start" }, { kind: "redirect", to: plain.url("/file") });
  expect(await failure(http.request({ url: origin.url("/start") }))).toMatchObject({ code: "redirects" });
  expect(plain.stats.connections).toBe(0);
  plain.on({ path: "/start" }, { kind: "redirect", to: origin.url("/file") });
  expect((await drain(await http.request({ url: plain.url("/start") }))).length).toBe(100_000);
});

test("a CA file that holds no certificate, or is not there, is refused at once", () => {
  const directory = mkdtempSync(join(tmpdir(), "modelhaul-tls-"));
  try {
    const file = join(directory, "ca.pem");
    expect(() => client({ caFile: file })).toThrow();
    writeFileSync(file, "nothing");
    expect(() => client({ caFile: file })).toThrow(expect.objectContaining({ code: "invalid_request" }));
  } finally {
    rmSync(directory, { recursive: true });
  }
});
