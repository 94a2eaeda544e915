import { expect, test } from "bun:test";
import { type Shown, startDaemon } from "../support/daemon.ts";
import { ggufRepo, startHub } from "../support/hub.ts";
import { startOriginProcess } from "../support/origin/process.ts";
import { tempDir } from "../support/temp.ts";
import { partials, sha256File } from "./support.ts";

const MIB = 1 << 20;
const RATE = 4_000_000;
/** What may be on its way over four connections when they are cut, twice over in a pause and a stop. */
const IN_FLIGHT = MIB;

const past = (bytes: number) => (it: Shown) => it.progress.downloaded_bytes > bytes;

test("pause, SIGTERM, start, resume: paused stays paused, and nothing but what was in flight is sent again", async () => {
  const path = "/model.gguf";
  const size = 48 * MIB;
  using dir = tempDir("pause");
  await using origin = await startOriginProcess({
    resources: [{ path, seed: 11, size }],
    ratePerConnection: RATE,
  });
  const sha256 = await origin.ask("sha256", path);
  await using daemon = await startDaemon({ dir: dir.path, args: ["--connections", "4"] });
  const { id } = await daemon.begin({ url: origin.url(path), sha256 });
  await daemon.until(id, past(size / 4));

  const paused = await daemon.must("POST", `/v1/downloads/${id}/pause`);
  expect(paused.state).toBe("paused");
  const before = await daemon.one(id);
  await daemon.restart();
  const after = await daemon.one(id);
  expect([after.state, after.waiting?.reason]).toEqual(["paused", "user"]);
  expect(after.progress.downloaded_bytes).toBe(before.progress.downloaded_bytes);
  expect((await origin.ask("stats")).active).toBe(0);

  await daemon.must("POST", `/v1/downloads/${id}/resume`);
  await daemon.until(id, past(size / 2));
  await daemon.restart();
  const done = await daemon.until(id, "completed");
  expect(await sha256File(done.local_path!)).toBe(sha256);
  expect(await origin.ask("sent", path)).toBeLessThanOrEqual(size + IN_FLIGHT);
}, 60_000);

test("F116 SIGTERM during three downloads: exit code 0 within 5 s, and the next start goes on where they were", async () => {
  const size = 16 * MIB;
  const paths = ["/a.gguf", "/b.gguf", "/c.gguf"];
  using dir = tempDir("sigterm");
  await using origin = await startOriginProcess({
    resources: paths.map((path, seed) => ({ path, seed, size })),
    ratePerConnection: RATE / 2,
  });
  await using daemon = await startDaemon({ dir: dir.path, args: ["--connections", "2"] });
  const ids: string[] = [];
  for (const path of paths) ids.push((await daemon.begin({ url: origin.url(path) })).id);
  const shown: Shown[] = [];
  for (const id of ids) shown.push(await daemon.until(id, past(3 * MIB)));
  expect(shown.map((it) => it.state)).toEqual(["downloading", "downloading", "downloading"]);

  await daemon.stop();
  expect(partials(daemon.modelsDir)).toHaveLength(3);
  await daemon.start();
  for (const [i, id] of ids.entries()) {
    const done = await daemon.until(id, "completed");
    expect(await sha256File(done.local_path!)).toBe(await origin.ask("sha256", paths[i]!));
  }
  for (const path of paths) expect(await origin.ask("sent", path)).toBeLessThanOrEqual(size + IN_FLIGHT / 2);
}, 60_000);

test("F40 signed links that expire in the middle are refreshed, and nobody notices", async () => {
  const repo = "acme/big-gguf";
  const file = "big-Q4_K_M.gguf";
  const size = 32 * MIB;
  using dir = tempDir("links");
  await using hub = await startHub({
    repos: [ggufRepo(repo, { quantizations: { Q4_K_M: size } })],
    cdnLimits: { ratePerConnection: RATE },
  });
  await using daemon = await startDaemon({
    dir: dir.path,
    args: ["--connections", "4"],
    env: { HF_ENDPOINT: hub.endpoint },
  });
  using events = await daemon.events();
  const { id } = await daemon.begin({ repo_id: repo, filename: file });
  for (const share of [0.25, 0.6]) {
    await daemon.until(id, past(share * size));
    hub.expireLinks();
  }
  const done = await daemon.until(id, "completed");
  await events.next(({ data }) => data.download?.state === "completed");

  expect(await sha256File(done.local_path!)).toBe(hub.repo(repo).file(file).sha256);
  const refused = hub.cdn.log.filter((it) => it.status === 403);
  expect(refused.length).toBeGreaterThan(0);
  const seen = events.all.flatMap(({ data }): Shown[] => (data.download ? [data.download] : []));
  expect([...new Set(seen.map((it) => it.state))]).toEqual([
    "queued",
    "downloading",
    "verifying",
    "completed",
  ]);
  expect(
    seen.filter((it) => it.attempts > 0 || it.last_error || it.error_message || it.waiting?.until),
  ).toEqual([]);
  expect(seen.flatMap((it) => it.warnings ?? [])).toEqual([]);
  expect(hub.cdn.sent(hub.cdnPath(repo, file))).toBeLessThan(size + IN_FLIGHT);
  const asked = hub.origin.log.filter((it) => it.path.includes("/resolve/"));
  expect(asked.length).toBeLessThanOrEqual(1 + 2 * 4);
}, 60_000);
