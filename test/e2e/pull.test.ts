import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { cleanEnv, runExecutable, type Shown, spawnExecutable, startDaemon } from "../support/daemon.ts";
import { ggufRepo, type Hub, startHub } from "../support/hub.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { partials, sha256File } from "./support.ts";

const MIB = 1 << 20;
const REPO = "acme/tiny-gguf";
const FILE = "tiny-Q4_K_M.gguf";
let hub: Hub;
let origin: Origin;
let dir: TempDir;

beforeAll(async () => {
  dir = tempDir("pull");
  hub = await startHub({
    repos: [ggufRepo(REPO), { ...ggufRepo("acme/gated-gguf"), gated: "manual" as const }],
  });
  origin = await startOrigin({
    resources: [
      { path: "/a.bin", seed: 1, size: 2 * MIB },
      { path: "/slow.bin", seed: 2, size: 16 * MIB },
      { path: "/vast.bin", seed: 3, size: 1e15 },
      { path: "/refused.bin", seed: 4, size: MIB },
    ],
  });
  origin.on({ path: "/slow.bin" }, { kind: "rate", bytesPerSecond: 2_000_000 });
  origin.on({ path: "/refused.bin" }, { kind: "respond", status: 400 });
});

afterAll(async () => {
  await Promise.all([hub.stop(), origin.stop()]);
  dir.remove();
});

/** Options that keep a command in its own folder below the test's. */
function home(name: string): { env: Record<string, string>; models: string } {
  const models = dir.at(name, "models");
  const folders = { MODELHAUL_DATA_DIR: dir.at(name, "data"), MODELHAUL_MODELS_DIR: models };
  return { env: cleanEnv(dir.at(name), { HF_ENDPOINT: hub.endpoint, ...folders }), models };
}

describe("pull without a daemon", () => {
  test("a hub file and a URL: exit code 0, their paths on standard output, the right bytes", async () => {
    const { env, models } = home("both");
    const run = await runExecutable(["pull", `hf:${REPO}/${FILE}`, origin.url("/a.bin"), "--quiet"], env);
    expect([run.code, run.err]).toEqual([0, expect.stringContaining("unverified")]);
    expect(run.out.split("\n")).toEqual([join(models, REPO, FILE), join(models, "a.bin")]);
    expect(await sha256File(join(models, REPO, FILE))).toBe(hub.repo(REPO).file(FILE).sha256);
    expect(await sha256File(join(models, "a.bin"))).toBe(origin.sha256("/a.bin"));
  });

  const wrong = "0".repeat(64);
  test.each([
    [1, "a server that refuses", () => [origin.url("/refused.bin")], /400/],
    [2, "a reference that cannot be read", () => ["nonsense"], /hf:org\/name/],
    [2, "an option that there is not", () => [origin.url("/a.bin"), "--nonsense"], /--nonsense/],
    [4, "a repository that is not there", () => ["hf:acme/nothing"], /acme\/nothing/],
    [4, "a gated repository", () => ["hf:acme/gated-gguf/gated-Q4_K_M.gguf"], /gated/],
    [5, "another content than promised", () => [origin.url("/a.bin"), "--sha256", wrong], /does not match/],
    [6, "more bytes than the disk has room for", () => [origin.url("/vast.bin")], /space/],
  ])("exit code %i for %s", async (code, name, args, message) => {
    const { env, models } = home(name.replaceAll(" ", "-"));
    const run = await runExecutable(["pull", ...args(), "--quiet"], env);
    expect([run.code, run.err]).toEqual([code, expect.stringMatching(message)]);
    expect(run.out).toBe("");
    // What waits for room is not over.
    if (code !== 6) expect(partials(models)).toEqual([]);
  });

  test("SIGINT: exit code 130, what has arrived is kept, and the same command goes on from there", async () => {
    const { env, models } = home("interrupted");
    const args = ["pull", origin.url("/slow.bin"), "--sha256", origin.sha256("/slow.bin"), "--json"];
    const { child, out } = await spawnExecutable(args, env);
    await out.waitFor(/"downloaded_bytes":[1-9]\d{6}/);
    child.kill("SIGINT");
    expect(await child.exited).toBe(130);
    expect(partials(models)).toHaveLength(1);
    const before = origin.sent("/slow.bin");
    const run = await runExecutable(args, env);
    expect(run.code).toBe(0);
    expect(await sha256File(join(models, "slow.bin"))).toBe(origin.sha256("/slow.bin"));
    expect(before).toBeGreaterThan(MIB);
    expect(origin.sent("/slow.bin")).toBeLessThan(17 * MIB);
    const last = JSON.parse(run.out.split("\n").at(-1)!) as Shown;
    expect([last.state, last.progress.percentage]).toEqual(["completed", 100]);
  });
});

describe("beside a daemon", () => {
  test("F109 a second serve on its data directory ends at once with exit code 3 and says why", async () => {
    await using daemon = await startDaemon({ dir: dir.at("second") });
    const args = ["serve", "--listen", "127.0.0.1:0", "--data-dir", daemon.dataDir];
    const run = await runExecutable(args, cleanEnv(dir.at("second")));
    expect([run.code, run.out]).toEqual([3, ""]);
    expect(run.err).toContain(daemon.dataDir);
    expect(run.err).toContain("in use by another modelhaul");
    expect(run.ms).toBeLessThan(4_000);
    expect((await daemon.api("GET", "/health")).status).toBe(200);
  });

  test("pull hands the work to it, follows, and SIGINT leaves it running there", async () => {
    await using daemon = await startDaemon({
      dir: dir.at("handed"),
      env: { HF_ENDPOINT: hub.endpoint },
    });
    const { env } = home("handed");
    const run = await runExecutable(["pull", `hf:${REPO}/${FILE}`, "--quiet"], env);
    expect([run.code, run.out]).toEqual([0, join(daemon.modelsDir, REPO, FILE)]);
    expect((await daemon.one(`${REPO}/${FILE}`)).state).toBe("completed");

    const { child, err } = await spawnExecutable(["pull", origin.url("/slow.bin")], env);
    await err.waitFor(/slow\.bin: downloading [1-9]/);
    child.kill("SIGINT");
    expect(await child.exited).toBe(130);
    expect((await daemon.one("slow.bin")).state).toBe("downloading");
    await daemon.must("POST", "/v1/downloads/slow.bin/cancel");
    expect(existsSync(join(daemon.modelsDir, "slow.bin"))).toBe(false);
  });

  test("a pull that owns the data directory is told from a daemon: exit code 3", async () => {
    const { env } = home("two-pulls");
    const first = await spawnExecutable(["pull", origin.url("/slow.bin"), "--json"], env);
    await first.out.waitFor(/"downloading"/);
    const second = await runExecutable(["pull", origin.url("/a.bin")], env);
    expect([second.code, second.err]).toEqual([3, expect.stringContaining("in use by another modelhaul")]);
    first.child.kill("SIGINT");
    expect(await first.child.exited).toBe(130);
  });
});
