/** What the executable does when its volume is not as it should be. The random form of it is the rig `disk-full`. */
import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sha256Of } from "../support/bytes.ts";
import { Daemon } from "../support/daemon.ts";
import { startOrigin } from "../support/origin.ts";
import { tempDir } from "../support/temp.ts";
import { noVolumes, Volume } from "../support/volume.ts";

const MIB = 1 << 20;
const SIZE = 8 * MIB;
const hindrance = noVolumes();
if (hindrance !== undefined) console.warn(`SKIPPED: faults of volumes on the executable: ${hindrance}`);

/** `/{seed}.bin` for each seed at a slow origin, and a daemon whose `folder` is a small volume. */
async function startWorld(folder: "models" | "home", ...seeds: number[]) {
  await using made = new AsyncDisposableStack();
  const resources = seeds.map((seed) => ({ path: `/${seed}.bin`, seed, size: SIZE }));
  const origin = made.use(await startOrigin({ resources, ratePerConnection: MIB }));
  const dir = made.use(tempDir("disk"));
  const mounted = dir.at(folder);
  mkdirSync(mounted);
  mkdirSync(dir.at("store"));
  const volume = made.use(await Volume.make(mounted, dir.at("store"), 100 * MIB));
  const daemon = made.use(new Daemon({ dir: folder === "home" ? mounted : dir.path }));
  await daemon.start(volume.enter);
  const world = made.move();
  return {
    origin,
    mounted,
    volume,
    daemon,
    /** Starts one of the files; resolves with its id. */
    begin: async (seed: number, more = {}) =>
      (await daemon.begin({ url: origin.url(`/${seed}.bin`), sha256: sha256Of(seed, SIZE), ...more })).id,
    waits: (id: string, reason: string) => daemon.until(id, (d) => d.waiting?.reason === reason),
    has: (id: string, bytes = 0) => daemon.until(id, (d) => d.progress.downloaded_bytes > bytes),
    /** Lets it come fast; resolves once it is completed and what is on the volume is what was asked for. */
    async arrives(id: string, seed: number): Promise<void> {
      origin.limits.ratePerConnection = 100 * MIB;
      const done = await daemon.until(id, "completed");
      const bytes = readFileSync(volume.seen(done.local_path as string));
      expect(new Bun.CryptoHasher("sha256").update(bytes).digest("hex")).toBe(sha256Of(seed, SIZE));
    },
    [Symbol.asyncDispose]: () => world.disposeAsync(),
  };
}

test.skipIf(hindrance !== undefined)(
  "F83 F84 F94 a start on a read-only volume is refused; what runs waits for its volume, says so, and goes on by itself",
  async () => {
    await using world = await startWorld("models", 5);
    const { origin, volume, daemon, mounted } = world;
    const id = await world.begin(5);
    await world.has(id);
    await daemon.must("POST", `/v1/downloads/${id}/pause`);

    expect(volume.remount("ro")).toBe(true);
    const refused = await daemon.api("POST", "/v1/downloads", { url: origin.url("/other.bin") });
    expect([refused.status, refused.body.error.code]).toEqual([507, "read_only"]);
    expect(refused.body.error.message).toContain("the file system is read-only");
    await daemon.must("POST", `/v1/downloads/${id}/resume`);
    const waiting = await world.waits(id, "disk");
    expect([waiting.state, waiting.last_error?.code]).toEqual(["queued", "read_only"]);

    volume.detach();
    const gone = await world.waits(id, "volume");
    expect([gone.state, gone.last_error?.code]).toEqual(["queued", "volume_gone"]);
    expect(readdirSync(volume.seen(mounted))).toEqual([]);

    volume.attach();
    await world.arrives(id, 5);
  },
  60_000,
);

test.skipIf(hindrance !== undefined)(
  "F78 F79 F80 a volume that is full stops nobody from asking, and everything goes on once there is room",
  async () => {
    await using world = await startWorld("models", 6, 8);
    const { volume, daemon } = world;
    const id = await world.begin(6);
    await world.has(id);
    volume.fill();
    const waiting = await world.waits(id, "disk");
    expect([waiting.state, waiting.last_error?.code]).toEqual(["queued", "no_space"]);
    expect(waiting.last_error?.message).toMatch(/full|Not enough space/);
    const other = await world.begin(8);
    const second = await world.waits(other, "disk");
    expect(second.progress.downloaded_bytes).toBe(0);
    volume.free();
    await world.arrives(id, 6);
    await daemon.until(other, "completed");
  },
  60_000,
);

test.skipIf(hindrance !== undefined)(
  "F80 with the database on the full volume too, what waits says so, and can be paused and cancelled",
  async () => {
    await using world = await startWorld("home", 1, 2);
    const { volume, daemon, mounted } = world;
    for (const n of [1, 2]) await world.begin(n, { model_id: `m${n}` });
    for (const n of [1, 2]) await world.has(`m${n}`);
    volume.fill();
    for (const n of [1, 2]) await world.waits(`m${n}`, "disk");
    expect((await daemon.must("POST", "/v1/downloads/m1/pause")).state).toBe("paused");
    expect((await daemon.must("POST", "/v1/downloads/m2/cancel")).state).toBe("cancelled");
    volume.free();
    await daemon.must("POST", "/v1/downloads/m1/resume");
    await world.arrives("m1", 1);
    expect(readdirSync(volume.seen(join(mounted, "models")))).toEqual(["1.bin"]);
  },
  60_000,
);

test.skipIf(hindrance !== undefined)(
  "F94 a volume that is not there at the start is waited for, and the folder in its place stays empty",
  async () => {
    await using world = await startWorld("models", 7);
    const { origin, volume, daemon, mounted } = world;
    const id = await world.begin(7);
    await world.has(id, MIB);
    await daemon.stop();
    volume.detach();
    await daemon.start(volume.enter);
    const gone = await world.waits(id, "volume");
    expect([gone.state, gone.last_error?.code]).toEqual(["queued", "volume_gone"]);
    expect(readdirSync(volume.seen(mounted))).toEqual([]);
    const before = gone.progress.downloaded_bytes;
    expect(before).toBeGreaterThan(MIB / 2);
    volume.attach();
    await world.arrives(id, 7);
    expect(origin.sent("/7.bin")).toBeLessThan(SIZE + 4 * MIB);
  },
  60_000,
);

test("F103 I5 a database that has become garbage is kept aside, the daemon starts, and the models count as there", async () => {
  const size = 2 * MIB;
  await using origin = await startOrigin({ resources: [{ path: "/m.bin", seed: 9, size }] });
  using dir = tempDir("disk");
  await using daemon = new Daemon({ dir: dir.path });
  await daemon.start();
  const request = { url: origin.url("/m.bin"), sha256: sha256Of(9, size) };
  const first = await daemon.begin(request);
  await daemon.until(first.id, "completed");
  await daemon.stop();
  writeFileSync(dir.at("data", "state.db"), "no database any more ".repeat(500));
  await daemon.start();
  const kept = readdirSync(dir.at("data")).filter((name) => name.startsWith("state.db.damaged-"));
  expect(kept.length).toBe(1);
  expect(readFileSync(dir.at("data", kept[0]!), "utf8")).toStartWith("no database any more");
  const before = origin.sent("/m.bin");
  const { id } = await daemon.begin(request);
  const done = await daemon.until(id, "completed");
  expect(done.local_path).toBe(dir.at("models", "m.bin"));
  expect(origin.sent("/m.bin") - before).toBeLessThan(size / 2);
  await daemon.stop();
  expect(daemon.log.join("\n")).toContain("The database was damaged. A copy was kept");
}, 60_000);
