import { expect, test } from "bun:test";
import { copyFileSync, existsSync, mkdirSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cleanEnv, Daemon, runExecutable, startDaemon } from "../support/daemon.ts";
import { startOrigin } from "../support/origin.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { filesBelow, partials, sha256File } from "./support.ts";

const SIZE = 24 << 20;
const RATE = 4_000_000;

const backup = (dir: TempDir, dataDir: string, file: string, ...more: string[]) =>
  runExecutable(["backup", file, "--data-dir", dataDir, ...more], cleanEnv(dir.path));

const world = () =>
  startOrigin({
    resources: ["/small.gguf", "/large.gguf", "/late.gguf"].map((path, seed) => ({
      path,
      seed,
      size: path === "/small.gguf" ? 1_000_000 : SIZE,
    })),
    ratePerConnection: RATE,
  });

test("F105 a backup made while the service works is a whole database that a service starts from", async () => {
  using dir = tempDir("backup");
  await using origin = await world();
  await using daemon = await startDaemon({ dir: dir.at("first"), args: ["--connections", "2"] });
  const small = await daemon.begin({ url: origin.url("/small.gguf") });
  await daemon.until(small.id, "completed");
  const large = await daemon.begin({ url: origin.url("/large.gguf") });
  await daemon.until(large.id, (it) => it.progress.downloaded_bytes > SIZE / 4);

  const file = dir.at("state.backup");
  const { code, out, err } = await backup(dir, daemon.dataDir, file, "--json");
  expect([code, err]).toEqual([0, ""]);
  expect(JSON.parse(out)).toEqual({ file, bytes: statSync(file).size, downloads: 2 });
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(filesBelow(dir.path).filter((it) => it.startsWith("state.backup"))).toEqual(["state.backup"]);

  // The service noticed nothing, and goes on.
  const late = await daemon.begin({ url: origin.url("/late.gguf") });
  const going = await daemon.one(large.id);
  expect([going.state, going.last_error]).toEqual(["downloading", undefined]);
  await daemon.must("POST", `/v1/downloads/${large.id}/pause`);
  await daemon.stop();

  // What the partial file holds by the time of the restoration is not what it held when the copy was made.
  const [partial] = partials(daemon.modelsDir).filter((it) => it.startsWith("large."));
  truncateSync(join(daemon.modelsDir, partial!), 0);
  truncateSync(join(daemon.modelsDir, partial!), SIZE);
  await using restored = new Daemon({ dir: dir.at("second"), args: ["--models-dir", daemon.modelsDir] });
  mkdirSync(restored.dataDir, { recursive: true });
  copyFileSync(file, join(restored.dataDir, "state.db"));
  await restored.start();
  expect((await restored.one(small.id)).state).toBe("completed");
  expect((await restored.api("GET", `/v1/downloads/${late.id}`)).status).toBe(404);
  const done = await restored.until(large.id, "completed");
  expect(await sha256File(done.local_path!)).toBe(origin.sha256("/large.gguf"));
}, 60_000);

test("F105 a backup after kill -9, with no service running, has what the log had", async () => {
  using dir = tempDir("backup-killed");
  await using origin = await world();
  await using daemon = await startDaemon({ dir: dir.at("first") });
  const { id } = await daemon.begin({ url: origin.url("/large.gguf"), model_id: "just-acknowledged" });
  await daemon.kill();
  const file = dir.at("copy.db");
  const { code, out, err } = await backup(dir, daemon.dataDir, file);
  expect([code, err]).toEqual([0, ""]);
  expect(out).toStartWith(`${file}: 1 downloads, `);
  await using restored = new Daemon({ dir: dir.at("second") });
  mkdirSync(restored.dataDir, { recursive: true });
  copyFileSync(file, join(restored.dataDir, "state.db"));
  await restored.start();
  expect((await restored.one(id)).model_id).toBe("just-acknowledged");
  // The original is as good as before.
  await daemon.start();
  expect((await daemon.one(id)).model_id).toBe("just-acknowledged");
}, 30_000);

test("F105 a backup that cannot be made says why, and leaves nothing behind", async () => {
  using dir = tempDir("backup-refused");
  const none = await backup(dir, dir.at("none"), dir.at("copy.db"));
  expect([none.code, none.err]).toEqual([
    4,
    `modelhaul: There is no database in ${dir.at("none")}, so there is nothing to back up. Name the data folder with --data-dir.`,
  ]);
  expect(existsSync(dir.at("none"))).toBe(false);

  await using daemon = await startDaemon({ dir: dir.at("first") });
  writeFileSync(dir.at("taken"), "precious");
  const taken = await backup(dir, daemon.dataDir, dir.at("taken"));
  expect([taken.code, taken.err]).toEqual([
    1,
    `modelhaul: ${dir.at("taken")} exists already and is not overwritten: choose another name.`,
  ]);
  expect(await Bun.file(dir.at("taken")).text()).toBe("precious");

  const nowhere = await backup(dir, daemon.dataDir, dir.at("no", "folder", "copy.db"));
  expect(nowhere.code).toBe(1);
  expect(nowhere.err).toContain(`Could not write the backup ${dir.at("no", "folder", "copy.db")}: ENOENT`);
  expect(filesBelow(dir.path).filter((it) => !it.startsWith("first"))).toEqual(["taken"]);
}, 30_000);
