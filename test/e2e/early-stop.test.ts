import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readdirSync, watch } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { damageIndex, multiply } from "../db/damage.ts";
import { cleanEnv, Daemon, spawnExecutable } from "../support/daemon.ts";
import { executable } from "../support/executable.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { Lines } from "../support/until.ts";

/** Each test starts processes, and the machine may be busy. */
setDefaultTimeout(120_000);

/** Saving so many takes long enough to be met in the middle of it. */
const ROWS = 20_000;

let template: TempDir;
beforeAll(async () => {
  await executable();
  template = tempDir("early-stop-template");
  const daemon = new Daemon({ dir: template.path });
  await daemon.start();
  await daemon.must("PATCH", "/v1/settings", { paused: true });
  await daemon.begin({ url: "http://127.0.0.1:9/never.bin", model_id: "first" });
  await daemon.stop();
  const path = join(daemon.dataDir, "state.db");
  multiply(path, ROWS);
  damageIndex(path, "downloads_model");
});
afterAll(() => template.remove());

/** A data folder with a damaged database that holds `ROWS` finished downloads and a queued one. */
function damaged(dir: TempDir): void {
  const copied = Bun.spawnSync(["cp", "-r", template.at("data"), dir.path]);
  expect(copied.success).toBe(true);
}

async function serve(dir: TempDir, ...args: string[]) {
  const folders = ["--data-dir", dir.at("data"), "--models-dir", dir.at("models")];
  const { child, out, err } = await spawnExecutable(
    ["serve", "--listen", "127.0.0.1:0", ...folders, ...args],
    cleanEnv(dir.path),
  );
  return { child, out, err, [Symbol.dispose]: () => child.kill("SIGKILL") };
}

/** Resolves when a file whose name begins like that has appeared in the folder. */
function appearing(folder: string, ...names: string[]): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const watcher = watch(folder, (_, name) => {
    if (name !== null && names.some((one) => name.startsWith(one))) resolve(name);
  });
  return promise.finally(() => watcher.close());
}

/** The folder can be used at once, and everything that was in it is there. */
async function expectWhole(dir: TempDir): Promise<void> {
  await using daemon = new Daemon({ dir: dir.path });
  await daemon.start();
  expect((await daemon.one("first")).state).toBe("queued");
  expect((await daemon.one(`model-${ROWS}`)).state).toBe("completed");
  const names = readdirSync(dir.at("data"));
  expect(names.filter((name) => name.includes(".rebu"))).toEqual([]);
  expect(names.filter((name) => /\.damaged-.*Z$/.test(name))).toHaveLength(1);
  await daemon.stop();
}

test.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)(
  "F116 %s while the configuration is being read ends serve with 0, and nothing has been made",
  async (signal) => {
    using dir = tempDir("early-stop");
    const fifo = dir.at("slow.toml");
    expect(Bun.spawnSync(["mkfifo", fifo]).success).toBe(true);
    using daemon = await serve(dir, "--config", fifo);
    // Opens when the other end is being read.
    const config = await open(fifo, "w");
    daemon.child.kill(signal);
    await config.close();
    expect(await daemon.child.exited).toBe(0);
    await daemon.out.closed;
    expect(daemon.out.all).toEqual([]);
    expect(readdirSync(dir.path)).toEqual(["slow.toml"]);
  },
);

test("F116 SIGTERM as soon as the data folder is taken ends serve with 0, and the folder is free", async () => {
  using dir = tempDir("early-stop");
  mkdirSync(dir.at("data"));
  const locked = appearing(dir.at("data"), "lock.db");
  using daemon = await serve(dir);
  await locked;
  daemon.child.kill("SIGTERM");
  expect(await daemon.child.exited).toBe(0);
  expect(readdirSync(dir.at("data"))).not.toContain("server.json");
  using again = await serve(dir);
  await again.out.waitFor(/^listening on /, 30_000);
});

test("F116 F103 SIGTERM while a large damaged database is being saved ends serve with 0, and nothing is lost", async () => {
  using dir = tempDir("early-stop");
  damaged(dir);
  const saving = appearing(dir.at("data"), "state.db.rebuilding", "state.db.damaged-");
  using daemon = await serve(dir);
  await saving;
  daemon.child.kill("SIGTERM");
  expect(await daemon.child.exited).toBe(0);
  await daemon.out.closed;
  expect(daemon.out.all).toEqual([]);
  await expectWhole(dir);
});

test("F103 I2 killed while a large damaged database is being saved, the next start saves all of it", async () => {
  using dir = tempDir("early-stop");
  damaged(dir);
  const saving = appearing(dir.at("data"), "state.db.rebuilding", "state.db.damaged-");
  {
    using daemon = await serve(dir);
    await saving;
    daemon.child.kill("SIGKILL");
    await daemon.child.exited;
  }
  await expectWhole(dir);
});

test("F116 a second signal while the process is held up by something synchronous ends it at once", async () => {
  const script = `import { onInterrupt } from ${JSON.stringify(join(import.meta.dir, "../../src/cli/terminal.ts"))};
    const { signal } = onInterrupt();
    // As a database or a disk does: nothing of ours runs until it is over, which it never is.
    signal.addEventListener("abort", () => setTimeout(() => {
      process.stdout.write("held up\\n");
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    }, 1));
    setInterval(() => {}, 1000);
    console.log("ready");`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "inherit" });
  const out = new Lines(child.stdout);
  await out.waitFor(/^ready$/);
  child.kill("SIGTERM");
  await out.waitFor(/^held up$/);
  child.kill("SIGTERM");
  await child.exited;
  expect(child.signalCode).toBe("SIGTERM");
});
