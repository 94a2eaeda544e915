import { expect, test } from "bun:test";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { Daemon, type Shown } from "../support/daemon.ts";
import { ggufRepo, startHub } from "../support/hub.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { tempDir } from "../support/temp.ts";
import { filesBelow, partials, sha256File } from "./support.ts";

const SIZE = 8 << 20;
/** Slow enough that the watermark, some 25 ms old when the process dies, is worth little. */
const RATE = 16_000_000;
const STALE = SIZE / 4;
const NAME = "model.gguf";
const MODE = 0o666 & ~process.umask();

/** One call has several names; the question mark lets a system be without that one. */
const CALLS: Record<string, string> = {
  link: "?link,linkat",
  unlink: "?unlink,unlinkat",
  symlink: "?symlink,symlinkat",
};

/** Calls that we make synchronously. */
const ON_FIRST_THREAD = new Set(["fchmod"]);

/** A tracer that kills the process at the first system call of a kind (on this path), before it takes place. */
function killedAt(call: string, path?: string): string[] {
  const only = path === undefined ? [] : ["-P", path];
  const quiet = ["-f", "-qqq", "-o", "/dev/null", "-e", "signal=none"];
  // The filter makes the tracer fast, but lets the first thread's calls pass.
  if (!ON_FIRST_THREAD.has(call)) quiet.unshift("--seccomp-bpf");
  const calls = CALLS[call] ?? call;
  return ["strace", ...quiet, ...only, "-e", `trace=${calls}`, "-e", `inject=${calls}:signal=SIGKILL:when=1`];
}

const tracing = Bun.which("strace") !== null && Bun.spawnSync([...killedAt("chroot"), "true"]).exitCode === 0;
if (!tracing)
  console.warn("SKIPPED: kills between two system calls; they need strace and the right to trace");

/** Runs until the kill, looks at what is on disk then, starts again; answers the download at its end. */
async function crash(
  daemon: Daemon,
  wrap: string[],
  request: Record<string, unknown>,
  look: () => void,
): Promise<Shown> {
  // SQLite's own calls at the very first start would be counted.
  await daemon.start();
  await daemon.stop();
  await daemon.start(wrap);
  const { id } = await daemon.begin(request);
  if (!(await Promise.race([daemon.gone().then(() => true), Bun.sleep(10_000)]))) {
    const note = readFileSync(join(daemon.dataDir, "server.json"), "utf8");
    const shown = JSON.stringify(await daemon.one(id));
    process.kill((JSON.parse(note) as { pid: number }).pid, "SIGKILL");
    throw new Error(`not killed by ${wrap.join(" ")}: ${shown}`);
  }
  look();
  await daemon.start();
  return daemon.until(id, "completed");
}

interface Step {
  after: string;
  call: string;
  /** The final name is there, the partial one is there. */
  there: [final: boolean, partial: boolean];
}

const STEPS: Step[] = [
  { after: "the last byte and its sync", call: "link", there: [false, true] },
  { after: "the final name, beside the partial one", call: "unlink", there: [true, true] },
  { after: "the rename, with nothing recorded", call: "fsync", there: [true, false] },
];

const CONTENTS = {
  "a promised digest": (origin: Origin) => ({ sha256: origin.sha256(`/${NAME}`) }),
  "no digest": () => ({}),
  "neither digest nor length": (origin: Origin) => {
    origin.on({}, { kind: "ignore-range" }, { kind: "chunked" });
    return {};
  },
};

for (const { after, call, there } of STEPS)
  for (const [what, prepare] of Object.entries(CONTENTS))
    test.skipIf(!tracing)(
      `F97 killed after ${after}: completed at the next start, with ${what}`,
      async () => {
        using dir = tempDir("crash");
        await using origin = await startOrigin({
          resources: [{ path: `/${NAME}`, seed: 5, size: SIZE }],
          rateTotal: RATE,
        });
        await using daemon = new Daemon({ dir: dir.path });
        const request = { url: origin.url(`/${NAME}`), ...prepare(origin) };
        const final = join(daemon.modelsDir, NAME);
        let sent = 0;
        // The first directory that is synced, and that of a name just given.
        const wrap = killedAt(call, call === "fsync" ? daemon.modelsDir : undefined);
        const done = await crash(daemon, wrap, request, () => {
          expect([existsSync(final), partials(daemon.modelsDir).length > 0]).toEqual(there);
          sent = origin.sent();
        });
        expect(done.local_path).toBe(final);
        expect(await sha256File(final)).toBe(origin.sha256(`/${NAME}`));
        expect(filesBelow(daemon.modelsDir)).toEqual([NAME]);
        expect(statSync(final).mode & 0o777).toBe(MODE);
        // What has its name is not fetched again; what nobody can vouch for is, once.
        const unproven = what === "neither digest nor length" ? SIZE : 0;
        expect(origin.sent() - sent).toBeLessThanOrEqual(call === "link" ? unproven + STALE : 0);
      },
      30_000,
    );

const REPO = "acme/tiny-gguf";
const FILE = "tiny-Q4_K_M.gguf";

test.skipIf(!tracing).each([
  ["the last byte", "fchmod"],
  ["the rename to its digest, before the link to it", "symlink"],
])(
  "F97 hf-cache: killed after %s: completed at the next start, nothing fetched twice",
  async (_, call) => {
    using dir = tempDir("crash-cache");
    await using hub = await startHub({
      repos: [ggufRepo(REPO, { quantizations: { Q4_K_M: SIZE } })],
      cdnLimits: { rateTotal: RATE },
    });
    const cache = dir.at("hub");
    const folder = join(cache, "models--acme--tiny-gguf");
    const { sha256 } = hub.repo(REPO).file(FILE);
    const blob = join(folder, "blobs", sha256);
    await using daemon = new Daemon({
      dir: dir.path,
      args: ["--layout", "hf-cache", "--hf-cache", cache],
      env: { HF_ENDPOINT: hub.endpoint },
    });
    let sent = 0;
    const request = { repo_id: REPO, filename: FILE };
    const done = await crash(daemon, killedAt(call), request, () => {
      expect([existsSync(blob), partials(folder).length > 0]).toEqual([call !== "fchmod", call === "fchmod"]);
      sent = hub.cdn.stats.bytesSent;
    });
    const commit = hub.repo(REPO).branches.get("main")!;
    expect(await sha256File(done.local_path!)).toBe(sha256);
    expect(filesBelow(folder)).toEqual([`blobs/${sha256}`, "refs/main", `snapshots/${commit}/${FILE}`]);
    expect(statSync(blob).mode & 0o777).toBe(MODE);
    expect(hub.cdn.stats.bytesSent - sent).toBeLessThanOrEqual(call === "fchmod" ? STALE : 0);
  },
  30_000,
);
