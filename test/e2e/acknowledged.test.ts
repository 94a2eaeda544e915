import { expect, test } from "bun:test";
import { statSync } from "node:fs";
import { join } from "node:path";
import { type Shown, startDaemon } from "../support/daemon.ts";
import { ggufRepo, startHub } from "../support/hub.ts";
import { startOrigin } from "../support/origin.ts";
import { tempDir } from "../support/temp.ts";
import { partials, sha256File } from "./support.ts";

const SIZE = 32 << 20;
const NAMES = ["a.gguf", "b.gguf", "c.gguf"];

const UNFINISHED = ["queued", "downloading", "verifying"];

test("I2 what was answered with 2xx is still true after kill -9 at once", async () => {
  using dir = tempDir("acknowledged");
  await using origin = await startOrigin({
    resources: NAMES.map((name, seed) => ({ path: `/${name}`, seed, size: SIZE })),
    ratePerConnection: 500_000,
  });
  await using daemon = await startDaemon({ dir: dir.path, args: ["--connections", "2"] });

  /** Sends a command, kills the daemon the moment it has answered, and starts it again. */
  const killAfter = async (method: string, path: string, body?: unknown) => {
    const answer = await daemon.must(method, path, body);
    await daemon.kill();
    await daemon.start();
    return answer;
  };
  const states = (): Promise<string[]> =>
    Promise.all(NAMES.map(async (name) => (await daemon.one(name)).state));

  const settings = {
    max_concurrent: 2,
    connections_per_download: 2,
    rate_limit_bps: 900_000,
    retry: { max_attempts: 4, base_ms: 100, max_ms: 2_000, jitter: 0.5 },
    paused: false,
  };
  expect(await killAfter("PATCH", "/v1/settings", settings)).toEqual(settings);
  expect(await daemon.must("GET", "/v1/settings")).toEqual(settings);

  const begun: Shown[] = [];
  for (const name of NAMES)
    begun.push(await killAfter("POST", "/v1/downloads", { url: origin.url(`/${name}`) }));
  for (const { id, model_id, timing } of begun as (Shown & { timing: unknown })[]) {
    const shown = await daemon.one(id);
    expect(UNFINISHED).toContain(shown.state);
    expect(shown).toMatchObject({
      model_id,
      timing: { start_time: (timing as { start_time: number }).start_time },
    });
  }

  const [a] = NAMES;
  const change = {
    priority: 7,
    rate_limit_bps: 300_000,
    retry: { max_attempts: 9, base_ms: 50, max_ms: 500, jitter: 0 },
  };
  await killAfter("PATCH", `/v1/downloads/${a}`, change);
  expect(await daemon.one(a!)).toMatchObject(change);

  await killAfter("POST", `/v1/downloads/${a}/pause`);
  expect((await daemon.one(a!)).state).toBe("paused");
  await killAfter("POST", `/v1/downloads/${a}/resume`);
  expect(UNFINISHED).toContain((await daemon.one(a!)).state);

  await daemon.until(a!, (it) => it.progress.downloaded_bytes > 0);
  await killAfter("POST", `/v1/downloads/${a}/cancel`);
  expect((await daemon.one(a!)).state).toBe("cancelled");
  expect(partials(daemon.modelsDir).filter((it) => it.startsWith("a."))).toEqual([]);
  await killAfter("POST", `/v1/downloads/${a}/retry`);
  expect(UNFINISHED).toContain((await daemon.one(a!)).state);

  await killAfter("POST", "/v1/downloads/pause");
  expect(await states()).toEqual(["paused", "paused", "paused"]);
  await killAfter("POST", "/v1/downloads/cancel");
  expect(await states()).toEqual(["cancelled", "cancelled", "cancelled"]);
  expect(partials(daemon.modelsDir)).toEqual([]);

  await killAfter("DELETE", `/v1/history/${a}`);
  expect((await daemon.api("GET", `/v1/downloads/${a}`)).status).toBe(404);
}, 60_000);

test("I2 a token given with a request is still known after kill -9 at once, and only to its owner", async () => {
  const repo = "acme/closed-gguf";
  using dir = tempDir("token");
  await using hub = await startHub({ repos: [{ ...ggufRepo(repo), private: true }] });
  const token = hub.addUser("ada", { access: { [repo]: "granted" } });
  await using daemon = await startDaemon({ dir: dir.path, env: { HF_ENDPOINT: hub.endpoint } });
  const request = { repo_id: repo, filename: "closed-Q4_K_M.gguf", token };
  const { id } = await daemon.begin(request);
  await daemon.kill();
  expect(statSync(join(daemon.dataDir, "secrets.json")).mode & 0o777).toBe(0o600);
  await daemon.start();
  const done = await daemon.until(id, "completed");
  expect(await sha256File(done.local_path!)).toBe(hub.repo(repo).file(request.filename).sha256);
}, 30_000);
