import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { cleanEnv, type Daemon, runExecutable, startDaemon } from "../support/daemon.ts";
import { getText, rawRequest } from "../support/raw.ts";
import { tempDir } from "../support/temp.ts";

const KEY = "a-key-for-this-test-only";
const START = { url: "http://127.0.0.1:9/never.bin" };
const portOf = (daemon: Daemon): number => Number(new URL(daemon.base).port);

describe("A15 a key", () => {
  test.each([
    ["on the command line", () => ({ args: ["--api-key", KEY] })],
    ["in the environment", () => ({ env: { MODELHAUL_API_KEY: KEY } })],
    [
      "in a file",
      (file: string) => {
        writeFileSync(file, `${KEY}\n`);
        return { args: ["--api-key-file", file] };
      },
    ],
  ])("%s closes everything but health, page and login", async (_, given) => {
    using dir = tempDir("key");
    await using daemon = await startDaemon({ dir: dir.path, ...given(dir.at("key.txt")) });
    const status = async (
      path: string,
      headers: Record<string, string> = {},
      method = "GET",
      body?: unknown,
    ) => (await daemon.api(method, path, body, headers)).status;
    expect(await status("/health")).toBe(200);
    expect(await status("/")).toBe(200);
    for (const path of ["/v1/downloads", "/v1/events", "/v1/ws", "/v1/settings", "/metrics", "/openapi.json"])
      expect([path, await status(path)]).toEqual([path, 401]);
    expect(await status("/v1/downloads", {}, "POST", START)).toBe(401);
    expect(await status("/v1/downloads", { Authorization: `Bearer ${KEY}x` })).toBe(401);
    expect(await status("/v1/downloads", { Authorization: `Bearer ${KEY}` })).toBe(200);
    expect(await status("/v1/downloads", { "X-API-Key": KEY })).toBe(200);
    expect(
      (await daemon.api("GET", "/v1/downloads", undefined, { "X-API-Key": KEY })).body.total_active,
    ).toBe(0);
  });

  test("a ticket opens one stream, and the command line takes the key from its file", async () => {
    using dir = tempDir("ticket");
    const file = dir.at("key.txt");
    writeFileSync(file, KEY);
    await using daemon = await startDaemon({ dir: dir.path, args: ["--api-key-file", file] });
    const { body } = await daemon.api("POST", "/v1/tickets", undefined, { "X-API-Key": KEY });
    using events = await daemon.events(`/v1/events?ticket=${body.ticket}`);
    await events.next(({ type }) => type === "snapshot");
    expect((await daemon.api("GET", `/v1/events?ticket=${body.ticket}`)).status).toBe(401);

    const list = ["list", "--server", daemon.base];
    const env = cleanEnv(dir.path);
    expect(await runExecutable([...list, "--api-key-file", file], env)).toMatchObject({
      code: 0,
      out: "no downloads",
    });
    expect(await runExecutable(list, env)).toMatchObject({
      code: 4,
      err: expect.stringContaining("--api-key-file"),
    });
  });

  test("F186 F189 guesses are slowed down, the key still gets in, and a logout ends the streams of its session", async () => {
    using dir = tempDir("session");
    await using daemon = await startDaemon({ dir: dir.path, env: { MODELHAUL_API_KEY: KEY } });
    const ask = (key: string) => daemon.api("GET", "/v1/downloads", undefined, { "X-API-Key": key });
    const guesses = await Promise.all(Array.from({ length: 80 }, (_, n) => ask(`guess number ${n}`)));
    const statuses = guesses.map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set([401, 429]));
    expect((await ask(KEY)).status).toBe(200);

    const login = await daemon.api("POST", "/v1/session", { key: KEY });
    const session = { Cookie: (login.headers.get("set-cookie") ?? "").split(";")[0] ?? "" };
    const stream = await fetch(`${daemon.base}/v1/events`, { headers: session });
    const { body } = await daemon.api("POST", "/v1/tickets", undefined, session);
    const socket = new WebSocket(`${daemon.base.replace("http", "ws")}/v1/ws?ticket=${body.ticket}`);
    await new Promise((resolve) => socket.addEventListener("message", resolve, { once: true }));
    const closed = new Promise((resolve) => socket.addEventListener("close", resolve, { once: true }));
    expect((await daemon.api("DELETE", "/v1/session", undefined, session)).status).toBe(200);
    await Promise.all([stream.text(), closed]);
    expect((await daemon.api("GET", "/v1/downloads", undefined, session)).status).toBe(401);
  });

  test("F187 without one it refuses to listen beyond loopback: exit code 2, and what to do", async () => {
    using dir = tempDir("exposed");
    const args = ["serve", "--listen", "0.0.0.0:0", "--data-dir", dir.at("data")];
    const run = await runExecutable(args, cleanEnv(dir.path));
    expect([run.code, run.out]).toEqual([2, ""]);
    expect(run.err).toMatch(/0\.0\.0\.0.*--api-key-file.*--no-auth/s);
    for (const allowed of [["--no-auth"], ["--api-key", KEY]]) {
      await using daemon = await startDaemon({
        dir: dir.path,
        args: ["--listen", "0.0.0.0:0", ...allowed],
      });
      expect(daemon.urls[0]).toStartWith("http://0.0.0.0:");
      daemon.base = daemon.base.replace("0.0.0.0", "127.0.0.1");
      expect((await daemon.api("GET", "/v1/downloads")).status).toBe(allowed.length === 1 ? 200 : 401);
    }
  });
});

describe("without a key", () => {
  test("F178 F179 F182 pages of other sites and foreign names are refused before anything happens", async () => {
    using dir = tempDir("foreign");
    await using daemon = await startDaemon({ dir: dir.path, args: ["--allow-host", "models.lan"] });
    const host = async (name: string) =>
      (await rawRequest(portOf(daemon), getText("/v1/downloads", { Host: name }))).status;
    expect(await host("rebound.example")).toBe(421);
    expect(await host("models.lan")).toBe(200);
    expect(await host(`localhost:${portOf(daemon)}`)).toBe(200);

    // Its own page, under the name that the operator allows (A14, A26).
    const page = (origin: string) =>
      rawRequest(
        portOf(daemon),
        getText("/v1/ws", {
          Host: "models.lan",
          Connection: "Upgrade",
          Upgrade: "websocket",
          "Sec-WebSocket-Version": "13",
          "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
          Origin: origin,
        }),
        { until: 12 },
      );
    expect((await page("http://models.lan")).text).toStartWith("HTTP/1.1 101");
    for (const other of ["http://models.lan:81", "http://evil.models.lan", "http://models.lan.evil.example"])
      expect((await page(other)).text).toStartWith("HTTP/1.1 403");

    const evil = { Origin: "https://evil.example" };
    const refused = await daemon.api("POST", "/v1/downloads", START, evil);
    expect([refused.status, refused.body.error.code]).toEqual([403, "forbidden_origin"]);
    expect(refused.headers.get("access-control-allow-origin")).toBeNull();
    const form = { "Content-Type": "text/plain" };
    expect((await daemon.api("POST", "/v1/downloads", START, form)).status).toBe(415);
    const upgrade = {
      ...evil,
      Host: `localhost:${portOf(daemon)}`,
      Connection: "Upgrade",
      Upgrade: "websocket",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    };
    const socket = await rawRequest(portOf(daemon), getText("/v1/ws", upgrade), { until: 12 });
    expect(socket.status).toBe(403);
    expect((await daemon.must("GET", "/v1/downloads?state=all")).active_downloads).toEqual([]);

    const local = await daemon.api("GET", "/v1/downloads", undefined, { Origin: "http://localhost:3000" });
    expect([local.status, local.headers.get("access-control-allow-origin")]).toEqual([200, "*"]);
  });
});
