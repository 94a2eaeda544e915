import { describe, expect, test } from "bun:test";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { targetIn } from "../../src/core/target-path.ts";
import { pythonWithHub } from "../support/python.ts";
import { COMMIT, failure, gitSha1, input, Place, sha256, store } from "./support.ts";

const hub = { layout: "hf-cache" as const };
const MODEL = { path: "q/m.gguf", content: "model bytes" };
const CONFIG = { path: "config.json", content: "{}", digest: gitSha1("{}") };
const folderOf = (place: Place) => targetIn(place.cache, "models--acme--tiny");
const snapshotOf = (place: Place, commit = COMMIT) => targetIn(folderOf(place), "snapshots", commit);
const OTHER = "f".repeat(40);

describe("what is written", () => {
  test("blobs by digest, relative links in the snapshot, the ref without a line end, the tag", async () => {
    using place = new Place();
    const paths = await store(place.storage(), [MODEL, CONFIG], hub);
    const blobs = { model: sha256(MODEL.content).hex, config: gitSha1("{}").hex };
    expect(place.files(place.cache)).toEqual(
      [
        "CACHEDIR.TAG",
        `models--acme--tiny/blobs/${blobs.model}`,
        `models--acme--tiny/blobs/${blobs.config}`,
        "models--acme--tiny/refs/main",
        `models--acme--tiny/snapshots/${COMMIT}/config.json`,
        `models--acme--tiny/snapshots/${COMMIT}/q/m.gguf`,
      ].sort(),
    );
    expect(paths).toEqual([MODEL, CONFIG].map((it) => targetIn(snapshotOf(place), it.path)));
    expect(readlinkSync(paths[0]!)).toBe(`../../../blobs/${blobs.model}`);
    expect(readlinkSync(paths[1]!)).toBe(`../../blobs/${blobs.config}`);
    expect(readFileSync(paths[0]!, "utf8")).toBe(MODEL.content);
    expect(readFileSync(join(folderOf(place), "refs/main"), "utf8")).toBe(COMMIT);
    expect(statSync(paths[0]!).mode & 0o777).toBe(0o666 & ~process.umask());
    const tag = readFileSync(join(place.cache, "CACHEDIR.TAG"), "utf8").split("\n");
    expect(tag[0]).toBe("Signature: 8a477f597d28d172789f06886806bc55");
    expect(tag).toHaveLength(5);
  });

  test("revisions with slashes are nested; a full commit gets no ref; a moved branch is moved", async () => {
    using place = new Place();
    const storage = place.storage();
    await store(storage, [CONFIG], { ...hub, revision: "refs/pr/1" });
    expect(readFileSync(join(folderOf(place), "refs/refs/pr/1"), "utf8")).toBe(COMMIT);
    await store(storage, [CONFIG], { ...hub, revision: OTHER, commit: OTHER });
    expect(readdirSync(join(folderOf(place), "refs"))).toEqual(["refs"]);
    await store(storage, [CONFIG], { ...hub, revision: "refs/pr/1", commit: OTHER });
    expect(readFileSync(join(folderOf(place), "refs/refs/pr/1"), "utf8")).toBe(OTHER);
  });

  test("a partial file never has the name that older clients would take for theirs", async () => {
    using place = new Place();
    const storage = place.storage();
    const plan = await storage.plan(input([MODEL], hub));
    const part = await storage.open(plan.targets.get(1)!);
    await part.write(0, [Buffer.from("half")]);
    await part.close();
    const names = readdirSync(join(folderOf(place), "blobs"));
    expect(names).toHaveLength(1);
    expect(names[0]).toMatch(/^[0-9a-f]{64}\.[0-9a-f]{8}\.part$/);
    await storage.discard([plan.targets.get(1)!]);
    expect(existsSync(folderOf(place))).toBe(false);
  });

  test("without a digest the file itself stands in the snapshot", async () => {
    using place = new Place();
    const [path] = await store(place.storage(), [{ ...MODEL, digest: null }], hub);
    expect(lstatSync(path!).isFile()).toBe(true);
    expect(place.files(join(folderOf(place), "blobs"))).toEqual([]);
  });

  test("a plain URL has no place in this layout: it goes flat", async () => {
    using place = new Place();
    const [path] = await store(place.storage(), [{ path: "m.gguf" }], { ...hub, repo: null });
    expect(path).toBe(targetIn(place.models, "m.gguf"));
  });

  test("F136 commits and revisions that are none are refused", async () => {
    using place = new Place();
    const storage = place.storage();
    expect((await failure(storage.plan(input([CONFIG], { ...hub, commit: "../../x" })))).code).toBe(
      "invalid_path",
    );
    expect((await failure(store(storage, [CONFIG], { ...hub, revision: "../../../evil" }))).code).toBe(
      "invalid_path",
    );
    expect(existsSync(place.cache) ? place.files(place.cache).filter((f) => f.includes("evil")) : []).toEqual(
      [],
    );
  });
});

describe("what is there already", () => {
  test("a complete file is not fetched again, another snapshot only gets its link", async () => {
    using place = new Place();
    const storage = place.storage();
    await store(storage, [MODEL, CONFIG], hub);
    const again = await storage.plan(input([MODEL, CONFIG], { ...hub, id: "d2" }));
    expect([...again.present!]).toEqual([
      [1, targetIn(snapshotOf(place), MODEL.path)],
      [2, targetIn(snapshotOf(place), CONFIG.path)],
    ]);
    const [path] = await store(storage, [MODEL], { ...hub, id: "d3", commit: OTHER });
    expect(path).toBe(targetIn(snapshotOf(place, OTHER), MODEL.path));
    expect(readFileSync(path!, "utf8")).toBe(MODEL.content);
    expect(readdirSync(join(folderOf(place), "blobs"))).toHaveLength(2);
  });

  test("a blob that leads into the shared store is used and left as it is", async () => {
    using place = new Place();
    const store_ = join(place.cache, "blobs/ab");
    const payload = join(store_, "a".repeat(64));
    const blob = join(folderOf(place), "blobs", sha256(MODEL.content).hex);
    mkdirSync(store_, { recursive: true });
    mkdirSync(dirname(blob), { recursive: true });
    writeFileSync(payload, MODEL.content, { mode: 0o444 });
    symlinkSync(`../../blobs/ab/${"a".repeat(64)}`, blob);
    const storage = place.storage();
    const [path] = await store(storage, [MODEL], hub);
    expect(realpathSync(path!)).toBe(payload);
    expect(readlinkSync(path!)).toBe(`../../../blobs/${sha256(MODEL.content).hex}`);
    await storage.remove(path!);
    expect(readFileSync(payload, "utf8")).toBe(MODEL.content);
    expect(existsSync(folderOf(place))).toBe(false);
  });

  test("a truncated blob and links that lead nowhere are mended by fetching again", async () => {
    using place = new Place();
    const storage = place.storage();
    const [path] = await store(storage, [MODEL], hub);
    const blob = join(folderOf(place), "blobs", sha256(MODEL.content).hex);
    writeFileSync(blob, "cut");
    expect((await storage.plan(input([MODEL], hub))).present!.size).toBe(0);
    await store(storage, [MODEL], hub);
    expect(readFileSync(path!, "utf8")).toBe(MODEL.content);
    unlinkSync(blob);
    expect((await storage.plan(input([MODEL], hub))).present!.size).toBe(0);
    await store(storage, [MODEL], hub);
    expect(readFileSync(path!, "utf8")).toBe(MODEL.content);
  });

  test("F91 a real file of another size in the snapshot is somebody's: told, not replaced", async () => {
    using place = new Place();
    const path = join(snapshotOf(place), CONFIG.path);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, "something of my own");
    const error = await failure(place.storage().plan(input([CONFIG], hub)));
    expect(error).toMatchObject({ code: "name_collision" });
    expect(error.message).toContain(path);
    expect(readFileSync(path, "utf8")).toBe("something of my own");
  });

  test("two downloads of one blob at the same time end in one blob", async () => {
    using place = new Place();
    const storage = place.storage();
    await Promise.all(["a", "b", "c"].map((id) => store(storage, [MODEL], { ...hub, id })));
    expect(readdirSync(join(folderOf(place), "blobs"))).toEqual([sha256(MODEL.content).hex]);
    expect(readFileSync(join(snapshotOf(place), MODEL.path), "utf8")).toBe(MODEL.content);
  });
});

describe("without symbolic links", () => {
  test("§7.1 the file itself moves into the snapshot and is found again; another's blob is copied", async () => {
    using place = new Place();
    const storage = place.storage({ symlinks: false });
    const [path] = await store(storage, [MODEL], hub);
    expect(lstatSync(path!).isFile()).toBe(true);
    expect(place.files(folderOf(place))).toEqual(["refs/main", `snapshots/${COMMIT}/${MODEL.path}`]);
    expect((await storage.plan(input([MODEL], hub))).present!.size).toBe(1);
    await store(storage, [MODEL], { ...hub, id: "d2" });

    using linked = new Place();
    await store(linked.storage(), [MODEL], hub);
    const [copy] = await store(linked.storage({ symlinks: false }), [MODEL], { ...hub, commit: OTHER });
    expect(lstatSync(copy!).isFile()).toBe(true);
    expect(readFileSync(copy!, "utf8")).toBe(MODEL.content);
    expect(linked.files(join(folderOf(linked), "blobs"))).toEqual([sha256(MODEL.content).hex]);
  });
});

describe("taking away", () => {
  test("a file goes with its blob unless another snapshot uses it; refs go with the last file of theirs", async () => {
    using place = new Place();
    const storage = place.storage();
    const [first] = await store(storage, [MODEL], hub);
    const [second] = await store(storage, [MODEL], { ...hub, revision: "v2", commit: OTHER });
    const blob = join(folderOf(place), "blobs", sha256(MODEL.content).hex);
    await storage.remove(first!);
    expect(existsSync(blob)).toBe(true);
    expect(readFileSync(second!, "utf8")).toBe(MODEL.content);
    expect(place.files(join(folderOf(place), "refs"))).toEqual(["v2"]);
    expect(existsSync(snapshotOf(place))).toBe(false);
    await storage.remove(second!);
    expect(place.files(place.cache)).toEqual(["CACHEDIR.TAG"]);
    expect(existsSync(folderOf(place))).toBe(false);
  });

  test("a link out of the repository's blobs is removed as a link only", async () => {
    using place = new Place();
    const storage = place.storage();
    await store(storage, [CONFIG], hub);
    const precious = join(place.dir, "precious");
    writeFileSync(precious, "x");
    symlinkSync(precious, join(snapshotOf(place), "odd"));
    await storage.remove(targetIn(snapshotOf(place), "odd"));
    expect(readFileSync(precious, "utf8")).toBe("x");
  });
});

const python = pythonWithHub("Python's own reading of the cache");

test.skipIf(!python)(
  "Python's huggingface_hub finds everything offline and calls the cache sound",
  async () => {
    using place = new Place();
    await store(place.storage(), [MODEL, CONFIG], hub);
    await store(place.storage(), [{ ...CONFIG, path: "extra/ümlaut #1.json" }], {
      ...hub,
      revision: "refs/pr/1",
      commit: OTHER,
    });
    await store(place.storage({ symlinks: false }), [MODEL], { ...hub, repo: "acme/copied" });
    const script = `
import json, os
from huggingface_hub import hf_hub_download, scan_cache_dir, snapshot_download
cache = os.environ["HF_HUB_CACHE"]
info = scan_cache_dir(cache)
print(json.dumps({
  "model": hf_hub_download("acme/tiny", "q/m.gguf"),
  "commit": hf_hub_download("acme/tiny", "config.json", revision="${COMMIT}"),
  "pull": hf_hub_download("acme/tiny", "extra/ümlaut #1.json", revision="refs/pr/1"),
  "copied": hf_hub_download("acme/copied", "q/m.gguf"),
  "snapshot": snapshot_download("acme/tiny"),
  "warnings": [str(w) for w in info.warnings],
  "repos": sorted((r.repo_id, r.nb_files, sorted(r.refs)) for r in info.repos),
}))`;
    const env = {
      ...process.env,
      HF_HUB_CACHE: place.cache,
      HF_HUB_OFFLINE: "1",
      HF_HOME: join(place.dir, "home"),
    };
    const run = Bun.spawnSync([python!, "-c", script], { env, stderr: "pipe" });
    expect(run.stderr.toString()).not.toContain("Traceback");
    const seen = JSON.parse(run.stdout.toString());
    expect(seen).toEqual({
      model: join(snapshotOf(place), MODEL.path),
      commit: join(snapshotOf(place), CONFIG.path),
      pull: join(snapshotOf(place, OTHER), "extra/ümlaut #1.json"),
      copied: join(place.cache, "models--acme--copied/snapshots", COMMIT, MODEL.path),
      snapshot: snapshotOf(place),
      warnings: [],
      repos: [
        ["acme/copied", 1, ["main"]],
        ["acme/tiny", 2, ["main", "refs/pr/1"]],
      ],
    });
    rmSync(join(place.dir, "home"), { recursive: true, force: true });
  },
);
