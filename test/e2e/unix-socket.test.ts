import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { cleanEnv, type Finished, runExecutable, spawnExecutable } from "../support/daemon.ts";
import { executable } from "../support/executable.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { RawClient } from "../support/raw.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { Lines } from "../support/until.ts";

/** Each test starts processes, and the machine may be busy. */
setDefaultTimeout(60_000);

let origin: Origin;
beforeAll(async () => {
  origin = await startOrigin({ resources: [{ path: "/m.bin", seed: 1, size: 100_000 }] });
  await executable();
});
afterAll(() => origin[Symbol.asyncDispose]());

const socketOf = (dir: TempDir): string => dir.at("m.sock");

/** The arguments of `serve` on a folder of its own. */
const served = (dir: TempDir, ...args: string[]): string[] => [
  "serve",
  ...["--unix", socketOf(dir), "--data-dir", dir.at("data"), "--models-dir", dir.at("models")],
  ...args,
];

/** A daemon on a socket; ended at the end of the block. */
async function serve(dir: TempDir, ...args: string[]) {
  const { child, out, err } = await spawnExecutable(served(dir, ...args), cleanEnv(dir.path));
  await out
    .waitFor(/^listening on unix:/, 30_000)
    .catch((error) => Promise.reject(new Error(`${error.message}\n${err.all.join("\n")}`)));
  return { child, out, [Symbol.dispose]: () => child.kill("SIGKILL") };
}

const run = (dir: TempDir, ...args: string[]): Promise<Finished> =>
  runExecutable([...args, "--server", `unix:${socketOf(dir)}`], cleanEnv(dir.path));

/** What somebody's script does. */
function curl(dir: TempDir, ...args: string[]) {
  const child = Bun.spawn(["curl", "--silent", "--no-buffer", "--unix-socket", socketOf(dir), ...args], {
    stdout: "pipe",
    stderr: "inherit",
  });
  return { child, out: new Lines(child.stdout) };
}

async function curled(dir: TempDir, ...args: string[]): Promise<string> {
  const { out } = curl(dir, ...args, "--write-out", "\n%{http_code}");
  await out.closed;
  return out.all.join("\n");
}

test("F210 serve --unix: only its owner can open the socket, no port is there, curl is answered, and it is gone after the stop", async () => {
  using dir = tempDir("unix");
  using daemon = await serve(dir);
  expect(daemon.out.all).toEqual([`listening on unix:${socketOf(dir)}`]);
  expect(statSync(socketOf(dir)).mode & 0o777).toBe(0o600);
  expect(await curled(dir, "http://localhost/health")).toMatch(/"status":"ok".*\n200$/);
  daemon.child.kill("SIGTERM");
  expect(await daemon.child.exited).toBe(0);
  expect(existsSync(socketOf(dir))).toBe(false);
});

test("F210 with --listen it is on both", async () => {
  using dir = tempDir("unix");
  using daemon = await serve(dir, "--listen", "127.0.0.1:0");
  const url = daemon.out.all.map((line) => line.replace("listening on ", ""))[0] ?? "";
  expect((await fetch(`${url}/health`)).status).toBe(200);
  expect(await curled(dir, "http://localhost/health")).toContain("\n200");
});

test("F210 F178 F182 the walls stand behind a socket too: another Host, a foreign page, a form", async () => {
  using dir = tempDir("unix");
  using _daemon = await serve(dir);
  const url = "http://localhost/v1/downloads";
  const json = ["--json", JSON.stringify({ url: origin.url("/m.bin") })];
  expect(await curled(dir, "http://evil.example/health")).toMatch(/forbidden_host.*\n421$/s);
  expect(await curled(dir, url, ...json, "--header", "Origin: https://evil.example")).toMatch(/\n403$/);
  expect(await curled(dir, url, "--data", "url=x")).toMatch(/\n415$/);
  expect(origin.requests("/m.bin")).toEqual([]);
});

test("F210 a download by curl, followed live over SSE and WebSocket on the same socket", async () => {
  using dir = tempDir("unix");
  using _daemon = await serve(dir);
  const events = curl(dir, "http://localhost/v1/events");
  await events.out.waitFor(/^event: snapshot$/);
  const socket = await RawClient.connect(socketOf(dir));
  socket.send(
    "GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
  );
  const greeted = await socket.read({ until: (all) => all.includes('"type":"hello"') });
  expect(greeted.toString()).toStartWith("HTTP/1.1 101 ");
  // A text frame of 20 bytes, masked with zeros.
  socket.send(Buffer.from(`\x81\x94\0\0\0\0${JSON.stringify({ type: "subscribe" })}`, "latin1"));
  const subscribed = await socket.read({ until: (all) => all.includes('"type":"snapshot"') });
  expect(subscribed.toString()).toContain('"type":"snapshot"');
  const started = await curled(
    dir,
    "http://localhost/v1/downloads",
    ...["--json", JSON.stringify({ url: origin.url("/m.bin"), sha256: origin.sha256("/m.bin") })],
  );
  expect(started).toMatch(/\n202$/);
  await events.out.waitFor(/^data: .*"state":"completed"/);
  const told = await socket.read({ until: (all) => all.includes('"state":"completed"') });
  expect(told.toString()).toContain('"state":"completed"');
  events.child.kill();
  socket.close();
  expect(await Bun.file(join(dir.at("models"), "m.bin")).bytes()).toHaveLength(100_000);
});

test("F210 the commands talk to it: by --server unix:PATH, and pull by the data folder", async () => {
  using dir = tempDir("unix");
  using _daemon = await serve(dir);
  expect(await run(dir, "list")).toMatchObject({ code: 0, out: "no downloads" });
  expect(await run(dir, "status", "nothing")).toMatchObject({ code: 4 });
  const folders = ["--data-dir", dir.at("data"), "--models-dir", dir.at("models")];
  const pulled = await runExecutable(["pull", origin.url("/m.bin"), ...folders], cleanEnv(dir.path));
  expect(pulled).toMatchObject({ code: 0, out: join(dir.at("models"), "m.bin") });
  expect((await run(dir, "files")).out).toContain("m.bin");
});

test("F210 no daemon there is told with the path and what to do", async () => {
  using dir = tempDir("unix");
  const { code, err } = await run(dir, "list");
  expect([code, err]).toEqual([
    1,
    `modelhaul: No daemon answers at unix:${socketOf(dir)}; start one with \`modelhaul serve\`, or name it with --server URL.`,
  ]);
});

test("F210 F109 a socket that a dead process left is replaced, a live one refused like a second process", async () => {
  using dir = tempDir("unix");
  {
    using daemon = await serve(dir);
    daemon.child.kill("SIGKILL");
    await daemon.child.exited;
    expect(existsSync(socketOf(dir))).toBe(true);
  }
  using _daemon = await serve(dir);
  expect(await curled(dir, "http://localhost/health")).toContain("\n200");
  // Another data folder, so that it is the socket that is in the way.
  const second = await runExecutable(served(dir, "--data-dir", dir.at("other")), cleanEnv(dir.path));
  expect(second).toMatchObject({ code: 3, out: "" });
  expect(second.err).toContain(`Another process listens on the Unix socket ${socketOf(dir)}`);
  expect(await curled(dir, "http://localhost/health")).toContain("\n200");
});

test("F210 what is no socket of ours stays: a file at the path, a socket of another program", async () => {
  using dir = tempDir("unix");
  writeFileSync(socketOf(dir), "mine");
  const refused = await runExecutable(served(dir), cleanEnv(dir.path));
  expect([refused.code, refused.out]).toEqual([2, ""]);
  expect(refused.err).toContain(`${socketOf(dir)} exists and is no Unix socket`);
  expect(await Bun.file(socketOf(dir)).text()).toBe("mine");

  using other = tempDir("unix");
  const { promise, resolve } = Promise.withResolvers<void>();
  const stranger: Server = createServer().listen(socketOf(other), resolve);
  await promise;
  const kept = await runExecutable(served(other), cleanEnv(other.path));
  expect([kept.code, existsSync(socketOf(other))]).toEqual([3, true]);
  stranger.close();
});

test("F210 a folder that is missing is told", async () => {
  using dir = tempDir("unix");
  const { code, err } = await runExecutable(
    served(dir, "--unix", dir.at("none", "m.sock")),
    cleanEnv(dir.path),
  );
  expect([code, err]).toEqual([
    1,
    expect.stringContaining(`Cannot listen on the Unix socket ${dir.at("none", "m.sock")}`),
  ]);
});
