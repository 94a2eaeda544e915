import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readFileSync } from "node:fs";
import { sha256Of } from "../support/bytes.ts";
import { cleanEnv, Daemon, spawnExecutable } from "../support/daemon.ts";
import { executable } from "../support/executable.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { noVolumes, Volume } from "../support/volume.ts";

/** Each test starts processes, and the machine may be busy. */
setDefaultTimeout(60_000);

const MIB = 1 << 20;
const SIZE = 8 * MIB;
const NO_SPACE = 6;

const hindrance = noVolumes();
if (hindrance !== undefined) console.warn(`SKIPPED: a start on a full volume: ${hindrance}`);
const onVolume = test.skipIf(hindrance !== undefined);

let dir: TempDir;
let volume: Volume;
let origin: Origin;
let daemon: Daemon;

beforeEach(async () => {
  if (hindrance !== undefined) return;
  await executable();
  dir = tempDir("full-start");
  mkdirSync(dir.at("home"));
  mkdirSync(dir.at("store"));
  volume = await Volume.make(dir.at("home"), dir.at("store"), 100 * MIB);
  const resources = [{ path: "/m.bin", seed: 6, size: SIZE }];
  origin = await startOrigin({ resources, ratePerConnection: MIB / 4 });
  daemon = new Daemon({ dir: dir.at("home") });
});
afterEach(async () => {
  if (hindrance !== undefined) return;
  await daemon.kill();
  await origin[Symbol.asyncDispose]();
  await volume[Symbol.asyncDispose]();
  dir.remove();
});

/** Starts a download, and ends the daemon in the middle of it. */
async function begun(end: (daemon: Daemon) => Promise<void>): Promise<string> {
  await daemon.start(volume.enter);
  const { id } = await daemon.begin({ url: origin.url("/m.bin"), sha256: sha256Of(6, SIZE) });
  await daemon.until(id, ({ progress }) => progress.downloaded_bytes > 0);
  await end(daemon);
  return id;
}

onVolume(
  "F103 F80 the first start on a full volume says so, with exit code 6, and the next one works",
  async () => {
    volume.fill();
    const folders = ["--data-dir", daemon.dataDir, "--models-dir", daemon.modelsDir];
    const { child, out, err } = await spawnExecutable(
      ["serve", "--listen", "127.0.0.1:0", ...folders],
      cleanEnv(dir.at("home")),
      volume.enter,
    );
    expect(await child.exited).toBe(NO_SPACE);
    await Promise.all([out.closed, err.closed]);
    expect(out.all).toEqual([]);
    expect(err.all).toEqual([
      `modelhaul: The database in ${daemon.dataDir} cannot be opened: its volume is full. Free some space and start again.`,
    ]);
    volume.free();
    await daemon.start(volume.enter);
    await daemon.stop();
  },
);

onVolume.each([
  ["stopped", (it: Daemon) => it.stop()],
  ["killed", (it: Daemon) => it.kill()],
])(
  "F103 F80 one that was %s starts on a volume that is full by now, says what waits, obeys, and goes on when there is room",
  async (_, end) => {
    const id = await begun(end);
    volume.fill();
    await daemon.start(volume.enter);
    const waiting = await daemon.until(id, (it) => it.waiting?.reason === "disk");
    expect([waiting.state, waiting.last_error?.code]).toEqual(["queued", "no_space"]);
    expect((await daemon.must("POST", `/v1/downloads/${id}/pause`)).state).toBe("paused");
    volume.free();
    origin.limits.ratePerConnection = 100 * MIB;
    await daemon.must("POST", `/v1/downloads/${id}/resume`);
    const done = await daemon.until(id, "completed");
    const bytes = readFileSync(volume.seen(done.local_path as string));
    expect(new Bun.CryptoHasher("sha256").update(bytes).digest("hex")).toBe(sha256Of(6, SIZE));
    await daemon.stop();
  },
);
