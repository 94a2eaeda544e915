import { expect, test } from "bun:test";
import { lstatSync, readFileSync, readlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { cleanEnv, startDaemon } from "../support/daemon.ts";
import { awkwardRepo, ggufRepo, type Hub, safetensorsRepo, startHub } from "../support/hub.ts";
import { pythonWithHub } from "../support/python.ts";
import { tempDir } from "../support/temp.ts";
import { filesBelow, sha256File } from "./support.ts";

const GGUF = "acme/tiny-gguf";
const AWKWARD = "acme/awkward";

const python = pythonWithHub("Python's own look into the cache");

/** What protocols/huggingface.md §7 asks of one repository in the cache. */
async function expectStructure(cache: string, hub: Hub, id: string): Promise<void> {
  const folder = join(cache, `models--${id.replace("/", "--")}`);
  const commit = hub.repo(id).branches.get("main")!;
  expect(readFileSync(join(folder, "refs", "main"), "utf8")).toBe(commit);
  const files = hub.repo(id).resolve(commit)!.files;
  const snapshot = join(folder, "snapshots", commit);
  expect(filesBelow(snapshot)).toEqual([...files.keys()].sort());
  for (const [path, entry] of files) {
    const blob = entry.isLfs ? entry.sha256 : entry.oid;
    const up = "../".repeat(path.split("/").length + 1);
    const link = join(snapshot, path);
    expect([path, readlinkSync(link)]).toEqual([path, `${up}blobs/${blob}`]);
    expect(lstatSync(join(dirname(link), readlinkSync(link))).mode & 0o777).toBe(0o666 & ~process.umask());
    expect([path, await sha256File(link)]).toEqual([path, entry.sha256]);
  }
  const blobs = [...files.values()].map((it) => (it.isLfs ? it.sha256 : it.oid));
  expect(filesBelow(join(folder, "blobs"))).toEqual([...new Set(blobs)].sort());
}

test("hf-cache: blobs, links and refs stand as the reference tools expect them, and nothing is fetched twice", async () => {
  using dir = tempDir("hf-cache");
  await using hub = await startHub({
    repos: [ggufRepo(GGUF), awkwardRepo(AWKWARD), safetensorsRepo("acme/shards")],
  });
  const cache = dir.at("hub");
  await using daemon = await startDaemon({
    dir: dir.path,
    args: ["--layout", "hf-cache", "--hf-cache", cache],
    env: { HF_ENDPOINT: hub.endpoint },
  });
  for (const repo_id of [GGUF, AWKWARD]) {
    const { id } = await daemon.begin({ repo_id });
    await daemon.until(id, "completed");
    await expectStructure(cache, hub, repo_id);
  }
  expect(readFileSync(join(cache, "CACHEDIR.TAG"), "utf8")).toStartWith(
    "Signature: 8a477f597d28d172789f06886806bc55\n",
  );
  expect(filesBelow(daemon.modelsDir)).toEqual([]);

  const { bytesSent } = hub.cdn.stats;
  const again = await daemon.begin({ repo_id: GGUF });
  const done = await daemon.until(again.id, "completed");
  expect(hub.cdn.stats.bytesSent).toBe(bytesSent);
  expect(done.files?.every((it) => it.state === "done" && it.verified)).toBe(true);

  const flat = await daemon.begin({ repo_id: "acme/shards", layout: "flat" });
  const { local_path } = await daemon.until(flat.id, "completed");
  expect(local_path).toBe(join(daemon.modelsDir, "acme/shards"));
}, 60_000);

const LOOK = `
import json, sys
from huggingface_hub import hf_hub_download, scan_cache_dir, snapshot_download
repo, path = sys.argv[1:]
cache = scan_cache_dir()
print(json.dumps({
  "file": hf_hub_download(repo, path, local_files_only=True),
  "folder": snapshot_download(repo, local_files_only=True),
  "warnings": [str(it) for it in cache.warnings],
  "repos": sorted(it.repo_id for it in cache.repos),
}))
`;

test.skipIf(!python)(
  "hf-cache: Python's huggingface_hub finds the files offline and calls the cache sound",
  async () => {
    using dir = tempDir("hf-python");
    const cache = dir.at("hub");
    await using hub = await startHub({ repos: [awkwardRepo(AWKWARD)] });
    await using daemon = await startDaemon({
      dir: dir.path,
      env: { HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: cache },
    });
    const { id } = await daemon.begin({ repo_id: AWKWARD, layout: "hf-cache" });
    await daemon.until(id, "completed");
    await hub.stop();

    const path = "sub/dir/file name (1).gguf";
    const env = cleanEnv(dir.path, { HF_HUB_CACHE: cache, HF_HUB_OFFLINE: "1" });
    const run = Bun.spawnSync([python!, "-c", LOOK, AWKWARD, path], { env, stderr: "pipe" });
    expect([run.exitCode, run.exitCode === 0 ? "" : run.stderr.toString()]).toEqual([0, ""]);
    const seen = JSON.parse(run.stdout.toString());
    const commit = hub.repo(AWKWARD).branches.get("main")!;
    const snapshot = join(cache, "models--acme--awkward", "snapshots", commit);
    expect(seen).toEqual({ file: join(snapshot, path), folder: snapshot, warnings: [], repos: [AWKWARD] });
    expect(await sha256File(seen.file)).toBe(hub.repo(AWKWARD).file(path).sha256);
  },
  60_000,
);
