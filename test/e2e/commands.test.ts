import { afterAll, beforeAll, expect, test } from "bun:test";
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { version } from "../../package.json";
import {
  cleanEnv,
  type Daemon,
  type Finished,
  runExecutable,
  type Shown,
  spawnExecutable,
  startDaemon,
} from "../support/daemon.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { type TempDir, tempDir } from "../support/temp.ts";

const MIB = 1 << 20;
let origin: Origin;
let dir: TempDir;
let daemon: Daemon;

beforeAll(async () => {
  dir = tempDir("commands");
  origin = await startOrigin({
    resources: [
      { path: "/quick.bin", seed: 1, size: MIB },
      { path: "/slow.bin", seed: 2, size: 16 * MIB },
      { path: "/medium.bin", seed: 3, size: 4 * MIB },
    ],
  });
  origin.on({ path: "/slow.bin" }, { kind: "rate", bytesPerSecond: 500_000 });
  origin.on({ path: "/medium.bin" }, { kind: "rate", bytesPerSecond: 2_000_000 });
  daemon = await startDaemon({ dir: dir.path, args: ["--connections", "2"] });
});

afterAll(async () => {
  await daemon.stop();
  await origin.stop();
  dir.remove();
});

/** A command that talks to the daemon by its address. */
const client = (...args: string[]): Promise<Finished> =>
  runExecutable([...args, "--server", daemon.base], cleanEnv(dir.path));

/** One that finds it by the data directory. */
const beside = (...args: string[]): Promise<Finished> =>
  runExecutable([...args, "--data-dir", daemon.dataDir], cleanEnv(dir.path));

const lines = <T>({ out }: Finished): T[] => out.split("\n").map((line) => JSON.parse(line) as T);

test("version and openapi need no daemon", async () => {
  const env = cleanEnv(dir.at("nobody"));
  expect(await runExecutable(["version"], env)).toMatchObject({
    code: 0,
    out: `modelhaul ${version}`,
    err: "",
  });
  const { code, out } = await runExecutable(["openapi"], env);
  const own = JSON.parse(out) as { openapi: string; paths: object };
  expect(code).toBe(0);
  expect(own.paths).toEqual((await daemon.must("GET", "/openapi.json")).paths);
});

test("pause, resume, cancel and retry do what they say; list and status show it; errors have their codes", async () => {
  const { id } = await daemon.begin({ url: origin.url("/slow.bin") });
  await daemon.until(id, (it) => it.progress.downloaded_bytes > 0);
  const listed = await client("list", "--json");
  expect(lines<Shown>(listed).map((it) => [it.id, it.state])).toEqual([[id, "downloading"]]);
  expect((await client("list")).out).toMatch(/downloading .* slow\.bin/);

  for (const [verb, state] of [
    ["pause", "paused"],
    ["resume", "downloading"],
    ["cancel", "cancelled"],
    ["retry", "downloading"],
    ["cancel", "cancelled"],
  ] as const) {
    expect(await client(verb, "slow.bin")).toMatchObject({ code: 0, err: "" });
    expect((await daemon.until(id, (it) => it.state === state)).state).toBe(state);
    const status = await client("status", id, "--json");
    expect([status.code, (JSON.parse(status.out) as Shown).state]).toEqual([0, state]);
  }
  const again = await client("pause", "slow.bin");
  expect([again.code, again.err]).toEqual([1, expect.stringContaining("it has ended")]);
  const unknown = await client("status", "nobody");
  expect([unknown.code, unknown.err]).toEqual([4, expect.stringContaining("nobody")]);
  const all = await client("list", "--all", "--json");
  expect(lines<Shown>(all).map((it) => it.state)).toContain("cancelled");
});

test("watch --json follows to the end, one object per line", async () => {
  const { id } = await daemon.begin({ url: origin.url("/medium.bin") });
  const { child, out } = await spawnExecutable(
    ["watch", id, "--json", "--server", daemon.base],
    cleanEnv(dir.path),
  );
  expect(await child.exited).toBe(0);
  await out.closed;
  const seen = out.all.map((line) => JSON.parse(line) as Shown);
  expect(seen.every((it) => it.id === id)).toBe(true);
  expect(seen.some((it) => it.state === "downloading" && it.progress.percentage < 100)).toBe(true);
  expect([seen.at(-1)?.state, seen.at(-1)?.progress.percentage]).toEqual(["completed", 100]);
});

test("R129 where the settings let no download run, list and status say so", async () => {
  await daemon.must("PATCH", "/v1/settings", { paused: true });
  const { id } = await daemon.begin({ url: origin.url("/medium.bin") });
  const listed = await client("list");
  expect(listed.out).toMatch(/queued .*medium\.bin/);
  expect(listed.out).toContain("All downloads are paused by the settings.");
  expect((await client("status", id)).out).toContain("waiting: all downloads are paused by the settings");
  await daemon.must("PATCH", "/v1/settings", { paused: false });
  await daemon.until(id, "completed");
  expect((await client("list", "--all")).out).not.toContain("paused");
});

test("files and verify tell what is on disk; F93 a file that was changed is exit code 5", async () => {
  const { id } = await daemon.begin({
    url: origin.url("/quick.bin"),
    sha256: origin.sha256("/quick.bin"),
  });
  const { local_path } = await daemon.until(id, "completed");
  expect(local_path).toBe(join(daemon.modelsDir, "quick.bin"));
  const listed = await beside("files", "--json");
  expect(lines<{ local_path: string; verified: boolean }>(listed)).toContainEqual(
    expect.objectContaining({ local_path, verified: true, size: MIB, exists: true }),
  );
  expect((await beside("files")).out).toMatch(/verified .*quick\.bin/);

  expect(await beside("verify", local_path!)).toMatchObject({
    code: 0,
    out: `${local_path}: OK (sha256:${origin.sha256("/quick.bin")})`,
  });
  const digest = ["--sha256", origin.sha256("/quick.bin")];
  expect((await beside("verify", local_path!, ...digest)).code).toBe(0);
  appendFileSync(local_path!, "more");
  const changed = await beside("verify", local_path!);
  expect([changed.code, changed.out]).toEqual([5, expect.stringContaining("DOES NOT MATCH")]);
  expect((await beside("files")).out).toMatch(/damaged .*quick\.bin/);
  expect((await client("status", id)).out).toContain("quick.bin (1 MB 100.0%, damaged)");
  expect((await beside("verify", local_path!, ...digest)).code).toBe(5);
  expect((await beside("verify", join(dir.path, "nothing"))).code).toBe(4);
});

test("without a daemon: files and verify work all the same, the others say how to start one", async () => {
  const env = cleanEnv(dir.at("alone"), {
    MODELHAUL_DATA_DIR: dir.at("alone", "data"),
    MODELHAUL_MODELS_DIR: dir.at("alone", "models"),
  });
  const { code, out } = await runExecutable(["pull", origin.url("/quick.bin"), "--quiet"], env);
  expect(code).toBe(0);
  expect((await runExecutable(["verify", out], env)).code).toBe(0);
  expect((await runExecutable(["files"], env)).out).toContain("quick.bin");
  const list = await runExecutable(["list", "--server", "http://127.0.0.1:9"], env);
  expect([list.code, list.err]).toEqual([1, expect.stringContaining("modelhaul serve")]);
});
