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
const hindrance = noVolumes();
if (hindrance !== undefined) console.warn(`SKIPPED: faults of volumes on the executable: ${hindrance}`);

test.skipIf(hindrance !== undefined)(
  "F83 F84 F94 a start on a read-only volume is refused; what runs waits for its volume, says so, and goes on by itself",
  async () => {
    const size = 8 * MIB;
    await using origin = await startOrigin({
      resources: [{ path: "/m.bin", seed: 5, size }],
      ratePerConnection: MIB,
    });
    using dir = tempDir("disk");
    mkdirSync(dir.at("models"));
    mkdirSync(dir.at("store"));
    await using volume = await Volume.make(dir.at("models"), dir.at("store"), 100 * MIB);
    await using daemon = new Daemon({ dir: dir.path });
    await daemon.start(volume.enter);
    const { id } = await daemon.begin({ url: origin.url("/m.bin"), sha256: sha256Of(5, size) });
    await daemon.until(id, ({ progress }) => progress.downloaded_bytes > 0);
    await daemon.must("POST", `/v1/downloads/${id}/pause`);

    expect(volume.remount("ro")).toBe(true);
    const refused = await daemon.api("POST", "/v1/downloads", { url: origin.url("/other.bin") });
    expect([refused.status, refused.body.error.code]).toEqual([507, "read_only"]);
    expect(refused.body.error.message).toContain("the file system is read-only");
    await daemon.must("POST", `/v1/downloads/${id}/resume`);
    const waiting = await daemon.until(id, (d) => d.waiting?.reason === "disk");
    expect([waiting.state, waiting.last_error?.code]).toEqual(["queued", "read_only"]);

    volume.detach();
    const gone = await daemon.until(id, (d) => d.waiting?.reason === "volume");
    expect([gone.state, gone.last_error?.code]).toEqual(["queued", "volume_gone"]);
    expect(readdirSync(volume.seen(dir.at("models")))).toEqual([]);

    volume.attach();
    origin.limits.ratePerConnection = 100 * MIB;
    const done = await daemon.until(id, "completed");
    const bytes = readFileSync(volume.seen(done.local_path as string));
    expect(new Bun.CryptoHasher("sha256").update(bytes).digest("hex")).toBe(sha256Of(5, size));
  },
  60_000,
);

test.skipIf(hindrance !== undefined)(
  "F78 F79 F80 a volume that is full stops nobody from asking, and everything goes on once there is room",
  async () => {
    const size = 8 * MIB;
    await using origin = await startOrigin({
      resources: [
        { path: "/m.bin", seed: 6, size },
        { path: "/second.bin", seed: 8, size },
      ],
      ratePerConnection: MIB,
    });
    using dir = tempDir("disk");
    mkdirSync(dir.at("models"));
    mkdirSync(dir.at("store"));
    await using volume = await Volume.make(dir.at("models"), dir.at("store"), 100 * MIB);
    await using daemon = new Daemon({ dir: dir.path });
    await daemon.start(volume.enter);
    const { id } = await daemon.begin({ url: origin.url("/m.bin"), sha256: sha256Of(6, size) });
    await daemon.until(id, ({ progress }) => progress.downloaded_bytes > 0);
    volume.fill();
    const waiting = await daemon.until(id, (d) => d.waiting?.reason === "disk");
    expect([waiting.state, waiting.last_error?.code]).toEqual(["queued", "no_space"]);
    expect(waiting.last_error?.message).toMatch(/full|Not enough space/);
    const { id: other } = await daemon.begin({ url: origin.url("/second.bin") });
    const second = await daemon.until(other, (d) => d.waiting?.reason === "disk");
    expect(second.progress.downloaded_bytes).toBe(0);
    volume.free();
    origin.limits.ratePerConnection = 100 * MIB;
    const done = await daemon.until(id, "completed");
    const bytes = readFileSync(volume.seen(done.local_path as string));
    expect(new Bun.CryptoHasher("sha256").update(bytes).digest("hex")).toBe(sha256Of(6, size));
    await daemon.until(other, "completed");
  },
  60_000,
);

test.skipIf(hindrance !== undefined)(
  "F80 with the database on the full volume too, what waits says so, and can be paused and cancelled",
  async () => {
    const size = 8 * MIB;
    await using origin = await startOrigin({
      resources: [1, 2].map((seed) => ({ path: `/${seed}.bin`, seed, size })),
      ratePerConnection: MIB,
    });
    using dir = tempDir("disk");
    mkdirSync(dir.at("home"));
    mkdirSync(dir.at("store"));
    await using volume = await Volume.make(dir.at("home"), dir.at("store"), 100 * MIB);
    await using daemon = new Daemon({ dir: dir.at("home") });
    await daemon.start(volume.enter);
    for (const n of [1, 2]) await daemon.begin({ url: origin.url(`/${n}.bin`), model_id: `m${n}` });
    for (const n of [1, 2]) await daemon.until(`m${n}`, ({ progress }) => progress.downloaded_bytes > 0);
    volume.fill();
    for (const n of [1, 2]) await daemon.until(`m${n}`, (d) => d.waiting?.reason === "disk");
    expect((await daemon.must("POST", "/v1/downloads/m1/pause")).state).toBe("paused");
    expect((await daemon.must("POST", "/v1/downloads/m2/cancel")).state).toBe("cancelled");
    volume.free();
    origin.limits.ratePerConnection = 100 * MIB;
    await daemon.must("POST", "/v1/downloads/m1/resume");
    const done = await daemon.until("m1", "completed");
    const bytes = readFileSync(volume.seen(done.local_path as string));
    expect(new Bun.CryptoHasher("sha256").update(bytes).digest("hex")).toBe(sha256Of(1, size));
    expect(readdirSync(volume.seen(join(dir.at("home"), "models")))).toEqual(["1.bin"]);
  },
  60_000,
);

test.skipIf(hindrance !== undefined)(
  "F94 a volume that is not there at the start is waited for, and the folder in its place stays empty",
  async () => {
    const size = 8 * MIB;
    await using origin = await startOrigin({
      resources: [{ path: "/m.bin", seed: 7, size }],
      ratePerConnection: MIB,
    });
    using dir = tempDir("disk");
    mkdirSync(dir.at("models"));
    mkdirSync(dir.at("store"));
    await using volume = await Volume.make(dir.at("models"), dir.at("store"), 100 * MIB);
    await using daemon = new Daemon({ dir: dir.path });
    await daemon.start(volume.enter);
    const { id } = await daemon.begin({ url: origin.url("/m.bin"), sha256: sha256Of(7, size) });
    await daemon.until(id, ({ progress }) => progress.downloaded_bytes > MIB);
    await daemon.stop();
    volume.detach();
    await daemon.start(volume.enter);
    const gone = await daemon.until(id, (d) => d.waiting?.reason === "volume");
    expect([gone.state, gone.last_error?.code]).toEqual(["queued", "volume_gone"]);
    expect(readdirSync(volume.seen(dir.at("models")))).toEqual([]);
    const before = gone.progress.downloaded_bytes;
    expect(before).toBeGreaterThan(MIB / 2);
    volume.attach();
    origin.limits.ratePerConnection = 100 * MIB;
    const done = await daemon.until(id, "completed");
    const bytes = readFileSync(volume.seen(done.local_path as string));
    expect(new Bun.CryptoHasher("sha256").update(bytes).digest("hex")).toBe(sha256Of(7, size));
    expect(origin.sent("/m.bin")).toBeLessThan(size + 4 * MIB);
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
