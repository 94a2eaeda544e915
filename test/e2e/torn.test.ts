import { expect, test } from "bun:test";
import { appendFileSync, mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startDaemon } from "../support/daemon.ts";
import { startOrigin } from "../support/origin.ts";
import { tempDir } from "../support/temp.ts";
import { filesBelow, sha256File } from "./support.ts";

const NAME = "model.gguf";
const SIZE = 24 << 20;

/** What a power cut may leave of a file that was being written. */
const DAMAGES: [what: string, damage: (path: string) => void][] = [
  ["empty", (path) => truncateSync(path, 0)],
  ["cut in half", (path) => truncateSync(path, Math.floor(statSync(path).size / 2))],
  ["full of zeros", (path) => writeFileSync(path, new Uint8Array(Math.max(1, statSync(path).size)))],
  ["of something else", (path) => writeFileSync(path, "{ not what is expected here \u0000".repeat(200))],
];

/** Beside the database and its log, which have no other truth to be rebuilt from. */
const isSide = (name: string): boolean => !["state.db", "state.db-wal"].includes(name);

test.each(DAMAGES)(
  "F101 every side file %s after a crash: it starts by itself and goes on where it was",
  async (_, damage) => {
    using dir = tempDir("torn");
    await using origin = await startOrigin({
      resources: [{ path: `/${NAME}`, seed: 3, size: SIZE }],
      ratePerConnection: 4_000_000,
    });
    await using daemon = await startDaemon({ dir: dir.path, args: ["--connections", "2"] });
    const sha256 = origin.sha256(`/${NAME}`);
    const request = { url: origin.url(`/${NAME}`), sha256, headers: { "X-Mine": "1" } };
    const { id } = await daemon.begin(request);
    await daemon.until(id, (it) => it.progress.downloaded_bytes > SIZE / 4);
    await daemon.kill();

    const sides = filesBelow(daemon.dataDir).filter(isSide);
    expect(sides).toEqual(expect.arrayContaining(["lock.db", "secrets.json", "server.json", "state.db-shm"]));
    // What a crash between the new file and its name leaves, and a progress file of an older run.
    mkdirSync(join(daemon.dataDir, "progress"), { recursive: true });
    for (const name of ["secrets.json.new", "server.json.new", "progress/acme_none.json"])
      appendFileSync(join(daemon.dataDir, name), "{}");
    for (const name of filesBelow(daemon.dataDir).filter(isSide)) damage(join(daemon.dataDir, name));

    const before = origin.sent();
    await daemon.start();
    const done = await daemon.until(id, "completed");
    expect(await sha256File(done.local_path!)).toBe(sha256);
    expect(origin.sent() - before).toBeLessThan(SIZE);
    const note = JSON.parse(readFileSync(join(daemon.dataDir, "server.json"), "utf8"));
    expect(note.urls).toEqual(daemon.urls);
  },
  30_000,
);

test("F101 half a record at the end of the database's log is left out, what was acknowledged before it stays", async () => {
  using dir = tempDir("torn-log");
  await using origin = await startOrigin({
    resources: [{ path: `/${NAME}`, seed: 4, size: SIZE }],
    ratePerConnection: 2_000_000,
  });
  await using daemon = await startDaemon({ dir: dir.path });
  const { id } = await daemon.begin({ url: origin.url(`/${NAME}`) });
  await daemon.must("POST", `/v1/downloads/${id}/pause`);
  await daemon.kill();
  const log = join(daemon.dataDir, "state.db-wal");
  // A frame is a head of 24 bytes and a page.
  const frame = readFileSync(log).subarray(32, 32 + 24 + 4096);
  appendFileSync(log, frame.subarray(0, 2_000));
  await daemon.start();
  expect((await daemon.one(id)).state).toBe("paused");
  await daemon.must("POST", `/v1/downloads/${id}/resume`);
  const done = await daemon.until(id, "completed", 60_000);
  expect(await sha256File(done.local_path!)).toBe(origin.sha256(`/${NAME}`));
}, 90_000);
