import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { getText, rawRequest } from "../support/raw.ts";
import { call, KEY, type Served, serve } from "./support.ts";

/** The machine may be busy. */
setDefaultTimeout(30_000);

const URL_BODY = { url: "http://127.0.0.1:9/x.bin" };
const paused = { settings: { paused: true } };

describe("without a key", () => {
  let served: Served;
  beforeAll(async () => {
    served = await serve({ product: paused, corsOrigins: ["https://ui.example"] });
  });
  afterAll(() => served[Symbol.asyncDispose]());
  const from = (origin: string) => ({ Origin: origin });

  test("F178 a foreign Host is refused on every route, page and health included", async () => {
    for (const path of ["/", "/app.js", "/health", "/v1/downloads", "/v1/events", "/nonsense"]) {
      const answer = await rawRequest(served.port, getText(path, { Host: "rebound.example" }));
      expect([path, answer.status]).toEqual([path, 421]);
      expect(answer.text).not.toContain("rebound.example");
    }
  });

  test("F161 a missing, doubled or malformed Host is 400, never 500", async () => {
    const raw = (head: string) => rawRequest(served.port, `${head}\r\n\r\n`, { until: 12 });
    expect((await raw("GET /health HTTP/1.0")).status).toBe(400);
    expect((await raw("GET /health HTTP/1.1\r\nHost: a/b@c<x>")).status).toBe(400);
    expect((await raw("GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost")).status).toBe(400);
    expect((await raw("GET /health HTTP/1.1\r\nHost:")).status).toBe(400);
    const absolute = await raw("GET http://evil.example/v1/downloads HTTP/1.1\r\nHost: evil.example");
    expect(absolute.status).toBe(421);
  });

  test("A14 R99 the seed's headers for our own machine and named origins, on errors and streams too", async () => {
    const origins = [{}, from("http://localhost:3000"), from("http://[::1]:1"), from("https://ui.example")];
    for (const headers of origins) {
      for (const path of ["/v1/downloads", "/v1/downloads/nope", "/nonsense", "/health", "/"]) {
        const answer = await call(served.base, "GET", path, undefined, headers);
        expect(answer.headers.get("access-control-allow-origin")).toBe("*");
        expect(answer.headers.get("access-control-allow-methods")).toBe("GET, POST, PATCH, DELETE, OPTIONS");
        expect(answer.headers.get("access-control-allow-headers")).toBe(
          "Content-Type, Authorization, X-API-Key",
        );
        expect(answer.headers.get("access-control-expose-headers")).toContain("Location");
      }
      const stream = await fetch(`${served.base}/v1/events`, { headers });
      expect(stream.headers.get("access-control-allow-origin")).toBe("*");
      await stream.body?.cancel();
    }
  });

  test("R50 a preflight is answered, without these headers for a foreign page", async () => {
    const preflight = (origin: string) =>
      call(served.base, "OPTIONS", "/v1/downloads", undefined, {
        ...from(origin),
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
      });
    const own = await preflight("http://localhost:3000");
    expect([own.status, own.headers.get("access-control-allow-origin")]).toEqual([204, "*"]);
    const foreign = await preflight("https://evil.example");
    expect(foreign.headers.has("access-control-allow-origin")).toBe(false);
  });

  test.each(["https://evil.example", "null", "http://localhost.evil.example"])(
    "A14 F179 F181 a page of %s can neither read nor change anything",
    async (origin) => {
      const before = (await served.call("GET", "/v1/downloads")).body.total_active;
      for (const [method, path, body] of [
        ["POST", "/v1/downloads", URL_BODY],
        ["POST", "/v1/downloads/cancel", undefined],
        ["DELETE", "/v1/downloads", undefined],
        ["PATCH", "/v1/settings", { paused: false }],
        ["POST", "/v1/tickets", undefined],
      ] as const) {
        const answer = await served.call(method, path, body, from(origin));
        expect([answer.status, answer.body.error.code]).toEqual([403, "forbidden_origin"]);
        expect(answer.headers.has("access-control-allow-origin")).toBe(false);
      }
      const read = await served.call("GET", "/v1/downloads", undefined, from(origin));
      expect(read.headers.has("access-control-allow-origin")).toBe(false);
      expect(read.headers.get("cross-origin-resource-policy")).toBe("same-origin");
      expect((await served.call("GET", "/v1/downloads")).body.total_active).toBe(before);
      expect(served.product.downloads.settings().paused).toBe(true);
    },
  );

  test("F182 a WebSocket of a foreign page is refused at the upgrade", async () => {
    const upgrade = (origin: string) =>
      rawRequest(
        served.port,
        getText("/v1/ws", {
          Host: "localhost",
          Connection: "Upgrade",
          Upgrade: "websocket",
          "Sec-WebSocket-Version": "13",
          "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
          Origin: origin,
        }),
        { until: 12 },
      );
    expect((await upgrade("http://evil.example")).text).toStartWith("HTTP/1.1 403");
    expect((await upgrade("http://localhost:5173")).text).toStartWith("HTTP/1.1 101");
  });

  test("F184 every answer says how it may be used", async () => {
    for (const path of ["/", "/v1/downloads", "/nonsense", "/swagger"]) {
      const { headers } = await served.call("GET", path);
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
      expect(headers.get("content-security-policy")).not.toContain("unsafe");
    }
    expect((await served.call("GET", "/v1/downloads")).headers.get("cache-control")).toBe("no-store");
  });
});

describe("with a key", () => {
  let served: Served;
  beforeAll(async () => {
    served = await serve({ product: paused, apiKey: KEY });
  });
  afterAll(() => served[Symbol.asyncDispose]());
  const key = { "X-API-Key": KEY };

  test("F190 every route but health, the guides, the page and the login is 401 without it", async () => {
    const routes = served.api.routes();
    expect(routes.length).toBeGreaterThan(80);
    const open: string[] = [];
    for (const { method, path } of routes) {
      const answer = await served.call(method, path.replaceAll(/:\w+/g, "x"));
      if (answer.status === 401) expect(JSON.stringify(answer.body)).toContain("API key");
      else open.push(`${method} ${path}`);
    }
    expect(open.sort()).toEqual(["GET /health", "GET /llms-full.txt", "GET /llms.txt", "POST /v1/session"]);
    for (const path of ["/", "/app.js"]) expect((await served.call("GET", path)).status).toBe(200);
    for (const path of ["/nonsense", "/v1/nonsense", "/health/x", "/app.js/..%2fv1", "/swagger/start.js"])
      expect((await served.call("GET", path)).status).toBe(401);
    const odd = ["//health", "/v1/../v1/downloads", "/HEALTH", "/v1/downloads#/health"];
    for (const target of odd)
      expect((await rawRequest(served.port, getText(target, { Host: "localhost" }))).status).toBe(401);
  });

  test("F191 a fragment or a very short Host leads to the route that was judged", async () => {
    await using short = await serve({ product: paused, allowHosts: ["ab"] });
    const status = async (target: string, host: string) =>
      (await rawRequest(short.port, getText(target, { Host: host }))).status;
    expect(await status("/health#/v1/downloads", "localhost")).toBe(200);
    expect(await status("/v1/downloads?limit=1#x", "ab")).toBe(200);
    expect(await status("/v1/downloads/nope", "ab")).toBe(404);
    const post = "PATCH /v1/settings#x HTTP/1.1\r\nHost: ab\r\nConnection: close\r\n\r\n";
    expect((await rawRequest(short.port, post)).status).toBe(400);
    const body = 'Content-Type: application/json\r\nContent-Length: 15\r\n\r\n{"paused":true}';
    expect((await rawRequest(short.port, post.replace("\r\n\r\n", `\r\n${body}`))).status).toBe(200);
  });

  test("R100 A15 it is taken as Bearer or X-API-Key, and only whole", async () => {
    const status = async (headers: Record<string, string>) =>
      (await served.call("GET", "/v1/downloads", undefined, headers)).status;
    expect(await status({ Authorization: `Bearer ${KEY}` })).toBe(200);
    expect(await status({ Authorization: `bearer ${KEY}` })).toBe(200);
    expect(await status({ "X-API-Key": KEY })).toBe(200);
    expect(await status({ "X-API-Key": "wrong", Authorization: `Bearer ${KEY}` })).toBe(200);
    for (const wrong of [KEY.slice(1), `${KEY}x`, KEY.toUpperCase(), ""])
      expect(await status({ "X-API-Key": wrong })).toBe(401);
    expect((await served.call("GET", `/v1/downloads?key=${KEY}&api_key=${KEY}`)).status).toBe(401);
  });

  test("A14 with the key any page may read and change", async () => {
    const headers = { ...key, Origin: "https://anywhere.example" };
    const answer = await served.call("POST", "/v1/downloads/cancel", undefined, headers);
    expect([answer.status, answer.headers.get("access-control-allow-origin")]).toEqual([200, "*"]);
    const without = await served.call("POST", "/v1/downloads/cancel", undefined, { Origin: headers.Origin });
    expect(without.status).toBe(401);
  });

  test("F183 a ticket opens one stream once, and nothing else", async () => {
    const ticket = async () => (await served.call("POST", "/v1/tickets", undefined, key)).body;
    const { ticket: first, expires_in } = await ticket();
    expect(expires_in).toBe(30);
    expect((await served.call("GET", `/v1/downloads?ticket=${first}`)).status).toBe(401);
    const stream = await fetch(`${served.base}/v1/events?ticket=${first}`);
    expect(stream.status).toBe(200);
    await stream.body?.cancel();
    expect((await fetch(`${served.base}/v1/events?ticket=${first}`)).status).toBe(401);
    expect((await fetch(`${served.base}/v1/events?ticket=${"x".repeat(43)}`)).status).toBe(401);
    const socket = new WebSocket(`ws://127.0.0.1:${served.port}/v1/ws?ticket=${(await ticket()).ticket}`);
    await new Promise((resolve, reject) => {
      socket.onmessage = resolve;
      socket.onerror = reject;
    });
    socket.close();
  });

  test("A15 the login sets a cookie no script reads, which works for our own pages only", async () => {
    const wrong = await served.call("POST", "/v1/session", { key: "wrong" });
    expect([wrong.status, wrong.headers.get("set-cookie")]).toEqual([401, null]);
    const login = await served.call("POST", "/v1/session", { key: KEY });
    const cookie = login.headers.get("set-cookie") ?? "";
    expect(cookie).toContain("; HttpOnly; SameSite=Strict");
    expect(cookie).not.toContain(KEY);
    const session = { Cookie: cookie.split(";")[0] ?? "" };
    const status = async (method: string, path: string, more: Record<string, string> = {}) =>
      (await served.call(method, path, undefined, { ...session, ...more })).status;
    expect(await status("GET", "/v1/downloads")).toBe(200);
    expect(await status("POST", "/v1/downloads/cancel", { Origin: served.base })).toBe(200);
    expect(await status("POST", "/v1/downloads/cancel", { Origin: "http://127.0.0.1:3000" })).toBe(403);
    expect(await status("POST", "/v1/downloads/cancel", { "Sec-Fetch-Site": "cross-site" })).toBe(403);
    expect(await status("POST", "/v1/downloads/cancel", { "Sec-Fetch-Site": "same-origin" })).toBe(200);
    expect(await status("DELETE", "/v1/session")).toBe(200);
    expect(await status("GET", "/v1/downloads")).toBe(401);
  });

  test("F189 closing a session ends its streams, and no others", async () => {
    const login = await served.call("POST", "/v1/session", { key: KEY });
    const session = { Cookie: (login.headers.get("set-cookie") ?? "").split(";")[0] ?? "" };
    const mine = await fetch(`${served.base}/v1/events`, { headers: session });
    const ticket = (await served.call("POST", "/v1/tickets", undefined, session)).body.ticket;
    const byTicket = await fetch(`${served.base}/v1/events?ticket=${ticket}`);
    const other = await fetch(`${served.base}/v1/events`, { headers: key });
    const unused = (await served.call("POST", "/v1/tickets", undefined, session)).body.ticket;
    await served.call("DELETE", "/v1/session", undefined, session);
    await mine.text();
    await byTicket.text();
    const reader = other.body?.getReader();
    expect((await reader?.read())?.done).toBe(false);
    await reader?.cancel();
    expect((await fetch(`${served.base}/v1/events?ticket=${unused}`)).status).toBe(401);
  });

  test("F186 guessing is answered 429 once too many wrong keys wait, and the right one still gets in", async () => {
    const guess = (headers: Record<string, string>) =>
      served.call("GET", "/v1/downloads", undefined, headers);
    const statuses = await Promise.all(
      Array.from({ length: 80 }, async (_, i) => (await guess({ "X-API-Key": `guess ${i}` })).status),
    );
    expect(statuses.filter((status) => status === 429).length).toBeGreaterThan(20);
    expect(new Set(statuses)).toEqual(new Set([401, 429]));
    expect((await guess(key)).status).toBe(200);
  });

  test("F193 neither keys nor tickets get into the log", () => {
    const log = served.logged.join("\n");
    expect(log).toContain("/v1/events");
    expect(log).not.toContain(KEY);
    expect(log).not.toContain("ticket=");
  });
});

describe("listeners", () => {
  test("A15 F187 what other machines reach takes a key or --no-auth", async () => {
    const everywhere = [{ host: "0.0.0.0", port: 0 }];
    await using closed = await serve({ product: paused });
    expect(() => closed.api.start(everywhere)).toThrow("API key");
    await using open = await serve({ product: paused, noAuth: true });
    const port = open.api.start(everywhere).at(-1)?.port ?? 0;
    expect((await fetch(`http://127.0.0.1:${port}/v1/downloads`)).status).toBe(200);
    await using keyed = await serve({ product: paused, apiKey: KEY });
    const other = keyed.api.start(everywhere).at(-1)?.port ?? 0;
    expect((await fetch(`http://127.0.0.1:${other}/v1/downloads`)).status).toBe(401);
  });

  test("A1 several listeners answer alike; a port in use says so; an optional one may fail", async () => {
    await using served = await serve({ product: paused });
    const bound = served.api.start([
      { host: "127.0.0.1", port: 0 },
      { host: "127.0.0.1", port: served.port, optional: true },
    ]);
    expect(bound.length).toBe(2);
    for (const { port } of bound) expect((await fetch(`http://127.0.0.1:${port}/health`)).status).toBe(200);
    expect(served.logged.join()).toContain(`port ${served.port}`);
    await using second = await serve({ product: paused });
    expect(() => second.api.start([{ host: "127.0.0.1", port: served.port }])).toThrow(`port ${served.port}`);
  });
});
