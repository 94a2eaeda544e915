/** What many readers and rude clients cost the executable. Figures of larger crowds are those of `bun run rig swarm`. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { type Crowd, startCrowd } from "../rig/crowd/index.ts";
import { requestOf } from "../rig/crowd/reader.ts";
import { clientFrame } from "../rig/crowd/wire.ts";
import { descriptors, mostDescriptors, residentMib } from "../rig/gauge.ts";
import { allTold, markedDownload } from "../rig/marks.ts";
import { slowHeads } from "../rig/slow-heads.ts";
import { type Daemon, startDaemon } from "../support/daemon.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(120_000);

const READERS = 2_000;
/** 36 KiB for each and what a garbage collected process differs by. */
const MOST_MIB = (READERS * 36) / 1024 + 32;

const portOf = (daemon: Daemon): number => Number(new URL(daemon.base).port);

describe.skipIf(mostDescriptors() < READERS + 500)("idle readers", () => {
  let dir: TempDir;
  let daemon: Daemon;
  let crowd: Crowd;
  let marked: string;
  beforeAll(async () => {
    dir = tempDir("readers");
    daemon = await startDaemon({ dir: dir.path });
    marked = await markedDownload(daemon);
    crowd = await startCrowd(portOf(daemon));
  });
  afterAll(async () => {
    await crowd[Symbol.asyncDispose]();
    await daemon[Symbol.asyncDispose]();
    dir.remove();
  });

  test.each([
    ["F211 event streams", "sse"],
    ["F212 WebSockets", "ws"],
  ] as const)(
    "%s by the thousand cost little, are all told, and leave nothing behind",
    async (_, transport) => {
      // What the first ones bring into memory is not the readers'.
      await crowd.ask("open", "first", transport, 20);
      await crowd.ask("close", "first");
      await until(async () => (await liveConnections(daemon)) === 0, "the first ones to be forgotten");
      const [memory, open] = [residentMib(daemon.pid), descriptors(daemon.pid)];
      await crowd.ask("open", "all", transport, READERS);
      expect(residentMib(daemon.pid) - memory).toBeLessThan(MOST_MIB);
      expect(await liveConnections(daemon)).toBe(READERS);
      await crowd.ask("begin", "all");
      await daemon.must("PATCH", `/v1/downloads/${marked}`, { priority: 1 });
      await allTold(daemon, crowd, "all");
      expect(await crowd.ask("tell", "all")).toMatchObject({
        readers: READERS,
        frames: READERS,
        trouble: "",
      });
      await crowd.ask("close", "all");
      await until(() => descriptors(daemon.pid) <= open + 5, "the descriptors to be given back");
    },
  );
});

async function liveConnections(daemon: Daemon): Promise<number> {
  const text: string = await daemon.must("GET", "/metrics");
  return Number(/^modelhaul_live_connections (\d+)/m.exec(text)?.[1]);
}

/** A connection on which nothing is read, and when it has ended. */
async function rude(port: number): Promise<{ socket: Socket; ended: Promise<void> }> {
  const socket = connect({ port, host: "127.0.0.1" });
  const ended = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.on("error", () => {});
  await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
  socket.pause();
  return { socket, ended };
}

test("F227 connections that never finish their head are closed; whoever else asks is answered meanwhile", async () => {
  using dir = tempDir("slow");
  await using daemon = await startDaemon({ dir: dir.path });
  const before = descriptors(daemon.pid);
  const slow = await slowHeads(portOf(daemon), 200);
  expect((await daemon.api("GET", "/v1/downloads")).status).toBe(200);
  await slow.ended;
  await until(() => descriptors(daemon.pid) <= before + 5, "the descriptors to be given back");
});

test("F223 whoever floods with pings and takes no pong is cut, and the memory stays", async () => {
  using dir = tempDir("pings");
  await using daemon = await startDaemon({ dir: dir.path });
  await daemon.must("GET", "/v1/downloads");
  const memory = residentMib(daemon.pid);
  const ping = clientFrame("x".repeat(125), 9);
  const block = Buffer.concat(Array.from({ length: 500 }, () => ping));
  const flood = await Promise.all(Array.from({ length: 10 }, () => rude(portOf(daemon))));
  for (const { socket } of flood) {
    socket.write(requestOf("ws", 0));
    // 32 MiB of them: more than the kernel holds in both directions.
    for (let sent = 0; sent < 32 << 20; sent += block.length) socket.write(block);
  }
  await Promise.all(flood.map(({ ended }) => ended));
  expect((await daemon.api("GET", "/v1/downloads")).status).toBe(200);
  expect(residentMib(daemon.pid) - memory).toBeLessThan(64);
});

test("F213 with few descriptors streams are refused in time: requests and downloads still have theirs", async () => {
  using dir = tempDir("few");
  await using daemon = await startDaemonWithin(dir.path, 128);
  await using crowd = await startCrowd(portOf(daemon));
  const refused = await crowd.ask("open", "all", "sse", 80).catch(String);
  expect(refused).toContain("status 503");
  const { open } = await crowd.ask("tell", "all");
  expect(open).toBeGreaterThan(10);
  const answer = await daemon.api("GET", "/v1/events");
  expect([answer.status, answer.headers.has("retry-after")]).toEqual([503, true]);
  expect((await daemon.api("GET", "/v1/downloads")).status).toBe(200);
});

/** A daemon that may have so many descriptors. */
async function startDaemonWithin(dir: string, limit: number): Promise<Daemon> {
  const { Daemon } = await import("../support/daemon.ts");
  const daemon = new Daemon({ dir });
  await daemon.start(["sh", "-c", `ulimit -n ${limit}; exec "$@"`, "sh"]);
  return daemon;
}
