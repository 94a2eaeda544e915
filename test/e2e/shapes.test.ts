import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { type Daemon, type Shown, startDaemon } from "../support/daemon.ts";
import { AWKWARD_NAMES, awkwardRepo, ggufRepo, type Hub, smallFilesRepo, startHub } from "../support/hub.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { filesBelow, sha256File } from "./support.ts";

const MIB = 1 << 20;
let hub: Hub;
let origin: Origin;
let dir: TempDir;
let daemon: Daemon;

beforeAll(async () => {
  dir = tempDir("shapes");
  hub = await startHub({
    repos: [
      awkwardRepo("acme/awkward"),
      smallFilesRepo("acme/many"),
      ggufRepo("acme/split-gguf", {
        quantizations: { Q4_K_M: MIB },
        split: { quantization: "Q8_0", count: 3, sizeOfEach: 3 * MIB },
      }),
    ],
  });
  origin = await startOrigin({
    resources: [
      { path: "/empty.bin", size: 0 },
      { path: "/one.bin", seed: 2, size: 1 },
      { path: "/a b#c%20d.bin", seed: 3, size: 3 * MIB },
      { path: "/no-ranges.bin", seed: 4, size: 20 * MIB, ranges: false },
      { path: "/no-length.bin", seed: 5, size: 20 * MIB },
    ],
  });
  daemon = await startDaemon({ dir: dir.path, env: { HF_ENDPOINT: hub.endpoint } });
}, 60_000);

afterAll(async () => {
  await daemon.stop();
  await Promise.all([hub.stop(), origin.stop()]);
  dir.remove();
});

async function fetched(request: Record<string, unknown>, timeoutMs = 30_000): Promise<Shown> {
  const { id } = await daemon.begin(request);
  return daemon.until(id, "completed", timeoutMs);
}

/** Every file of the download is there, verified, and has the bytes of the hub's. */
async function expectSame(done: Shown, repo: string, paths: readonly string[]): Promise<void> {
  const folder = join(daemon.modelsDir, repo);
  expect(done.files?.map((it) => [it.path, it.state, it.verified]).sort()).toEqual(
    paths.map((path) => [path, "done", true]).sort(),
  );
  expect(filesBelow(folder)).toEqual([...paths].sort());
  for (const path of paths)
    expect([path, await sha256File(join(folder, path))]).toEqual([path, hub.repo(repo).file(path).sha256]);
}

const plain = (name: string, sha256?: string): Record<string, unknown> => ({
  url: origin.url(`/${name}`),
  ...(sha256 === undefined ? {} : { sha256 }),
});

test.each(["empty.bin", "one.bin", "a b#c%20d.bin", "no-ranges.bin", "no-length.bin"])(
  "F16 F19 F21 %s of a plain server arrives whole and verified",
  async (name) => {
    if (name === "no-length.bin")
      origin.on({ path: `/${name}` }, { kind: "ignore-range" }, { kind: "chunked" });
    const sha256 = origin.sha256(`/${name}`);
    const done = await fetched(plain(name, sha256));
    expect(await sha256File(join(daemon.modelsDir, name))).toBe(sha256);
    expect(done.files?.[0]).toMatchObject({ verified: true, state: "done" });
    expect(done.progress.percentage).toBe(name === "empty.bin" ? 0 : 100);
  },
);

test("F77 without a promised digest the file arrives, and is called unverified", async () => {
  const done = await fetched({ ...plain("no-ranges.bin"), filename: "unverified.bin" });
  expect(await sha256File(done.local_path!)).toBe(origin.sha256("/no-ranges.bin"));
  expect(done.files?.[0]?.verified).toBe(false);
  expect(done.warnings?.join()).toContain("unverified");
});

test("names with spaces, #, ?, %, +, umlauts and folders arrive under those names", async () => {
  await expectSame(await fetched({ repo_id: "acme/awkward" }), "acme/awkward", [
    "README.md",
    ...AWKWARD_NAMES,
  ]);
});

test("a split GGUF set is one choice by its glob", async () => {
  const shards = [1, 2, 3].map((it) => `split-Q8_0-0000${it}-of-00003.gguf`);
  const done = await fetched({ repo_id: "acme/split-gguf", include: ["*Q8_0*"] });
  await expectSame(done, "acme/split-gguf", shards);
  expect(done.progress.total_bytes).toBe(9 * MIB);
});

test("2 000 small files arrive, all of them, with one listing and no HEAD for each", async () => {
  const before = hub.origin.log.length;
  const { id } = await daemon.begin({ repo_id: "acme/many" });
  using events = await daemon.events(`/v1/downloads/${id}/events`);
  await events.next(({ data }) => data.download?.state === "completed", 60_000);
  const counted = events.all.flatMap(({ data }) => data.download?.files_done ?? []);
  expect(counted.some((it) => it > 0 && it < 2_001)).toBe(true);
  const done = await daemon.one(id);
  const asked = hub.origin.log.slice(before);
  const paths = [...hub.repo("acme/many").resolve("main")!.files.keys()];
  expect(paths.length).toBe(2_001);
  await expectSame(done, "acme/many", paths);
  expect([done.files_total, done.files_done]).toEqual([2_001, 2_001]);
  expect(asked.filter((it) => it.method === "HEAD")).toEqual([]);
  expect(asked.filter((it) => /^\/api\/(?!resolve-cache)/.test(it.path)).length).toBeLessThan(10);
}, 90_000);
