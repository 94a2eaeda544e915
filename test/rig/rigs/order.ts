import { readFileSync } from "node:fs";
import { join } from "node:path";
import { sha256File } from "../../e2e/support.ts";
import { generated } from "../../support/bytes.ts";
import { Daemon } from "../../support/daemon.ts";
import { type FileSpec, type Hub, startHub } from "../../support/hub.ts";
import { startOrigin } from "../../support/origin.ts";
import { type TempDir, tempDir } from "../../support/temp.ts";
import { judgeOrder, type Verdict } from "../order.ts";
import type { Figure, Rig } from "../rig.ts";
import { stepsOf, tracer } from "../trace.ts";

const MIB = 1 << 20;
const REPO = "acme/ordered";
const LONGEST_MS = 120_000;

/** Downloads of one kind, traced from the first request to the end of the daemon. */
interface Scene {
  name: string;
  args?: (dir: TempDir) => string[];
  /** Folder whose names are judged. */
  root: (daemon: Daemon, dir: TempDir) => string;
  wanted(size: number, hub: Hub): Promise<Wanted>;
}

interface Wanted extends AsyncDisposable {
  /** Of the downloads. */
  requests: Record<string, unknown>[];
  /** SHA-256 of every file that must be there, by its path below the root. */
  promised: Record<string, string>;
}

const flat = (daemon: Daemon): string => daemon.modelsDir;
const cacheOf = (dir: TempDir): string => dir.at("hub");

const SCENES: Scene[] = [
  {
    name: "flat, with and without a digest, without a length",
    root: flat,
    async wanted(size) {
      const names = ["digest.gguf", "none.gguf", "chunked.gguf"];
      const origin = await startOrigin({
        resources: names.map((name, seed) => ({ path: `/${name}`, seed, size })),
      });
      origin.on({ path: "/chunked.gguf" }, { kind: "ignore-range" }, { kind: "chunked" });
      const [first, ...others] = names.map((name) => ({ url: origin.url(`/${name}`) }));
      return {
        requests: [{ ...first, sha256: origin.sha256("/digest.gguf") }, ...others],
        promised: Object.fromEntries(names.map((name) => [name, origin.sha256(`/${name}`)])),
        [Symbol.asyncDispose]: () => origin[Symbol.asyncDispose](),
      };
    },
  },
  { name: "flat, a repository of small files", root: flat, wanted: async (_, hub) => ofRepo(hub, REPO) },
  {
    name: "hf-cache, a repository",
    args: (dir) => ["--layout", "hf-cache", "--hf-cache", cacheOf(dir)],
    root: (_, dir) => cacheOf(dir),
    wanted: async (_, hub) => {
      const commit = hub.repo(REPO).branches.get("main")!;
      return ofRepo(hub, `models--${REPO.replace("/", "--")}/snapshots/${commit}`);
    },
  },
];

/** All of the repository, in this folder. */
function ofRepo(hub: Hub, folder: string): Wanted {
  const repo = hub.repo(REPO);
  const promised = repo.spec.files.map(({ path }) => [join(folder, path), repo.file(path).sha256]);
  return {
    requests: [{ repo_id: REPO }],
    promised: Object.fromEntries(promised),
    async [Symbol.asyncDispose]() {},
  };
}

/** F98, F100, G3: what a power cut would find, from the order of the system calls. */
export const order: Rig = {
  name: "order",
  title:
    "The order of system calls over complete downloads: no final name before its bytes are synced, no record of it before the name is.",
  needs: { strace: "strace" },
  hindrance: () =>
    Bun.spawnSync([...tracer("/dev/null"), "true"]).exitCode === 0
      ? undefined
      : "it needs the right to trace processes",
  async run({ isLong, rounds = isLong ? 10 : 1, seed, say }) {
    const size = (isLong ? 48 : 4) * MIB;
    await using hub = await startHub({ repos: [{ id: REPO, files: repoFiles(seed, isLong ? 300 : 12) }] });
    const seen = { steps: 0, named: 0, recorded: 0, wrong: 0, violations: [] as string[] };
    for (let round = 1; round <= rounds; round++) {
      for (const scene of SCENES) {
        const { verdict, steps, wrong } = await traced(scene, size, hub);
        seen.steps += steps;
        seen.named += verdict.named;
        seen.recorded += verdict.recorded;
        seen.wrong += wrong;
        seen.violations.push(...verdict.violations.map((it) => `${scene.name}, round ${round}: ${it}`));
      }
      if (isLong) say(`${round} of ${rounds} rounds, ${seen.named} names`);
    }
    const least = rounds * (isLong ? 600 : 24);
    return figuresOf(seen, least);
  },
};

function figuresOf(
  {
    steps,
    named,
    recorded,
    wrong,
    violations,
  }: Record<"steps" | "named" | "recorded" | "wrong", number> & {
    violations: string[];
  },
  least: number,
): Figure[] {
  return [
    { what: "system calls judged", value: steps, atLeast: least },
    { what: "final names given", value: named, atLeast: least },
    { what: "files that the played database calls done", value: recorded, atLeast: least },
    { what: "wrong files", value: wrong, atMost: 0 },
    {
      what: "violations of the order",
      value: violations.length,
      atMost: 0,
      ...(violations[0] === undefined ? {} : { note: violations[0] }),
    },
  ];
}

/** One large file and many small ones, and one that is empty. */
function repoFiles(seed: number, count: number): FileSpec[] {
  const small = Array.from({ length: count }, (_, i): FileSpec => {
    const size = 1_000 + ((seed + i * 7_919) % 60_000);
    return { path: `part-${i}.json`, content: generated(seed + i, size) };
  });
  return [
    { path: "model.gguf", content: generated(seed, 3 * MIB) },
    { path: "empty.txt", content: "" },
    ...small,
  ];
}

async function traced(
  { args, root, wanted: prepare }: Scene,
  size: number,
  hub: Hub,
): Promise<{ verdict: Verdict; steps: number; wrong: number }> {
  using dir = tempDir("rig-order");
  await using daemon = new Daemon({
    dir: dir.path,
    args: args?.(dir) ?? [],
    env: { HF_ENDPOINT: hub.endpoint },
  });
  await using wanted = await prepare(size, hub);
  // What the database is made of is there before the trace begins.
  await daemon.start();
  await daemon.stop();
  const database = new Uint8Array(readFileSync(join(daemon.dataDir, "state.db")));
  const trace = dir.at("trace");
  await daemon.start(tracer(trace));
  const ids: string[] = [];
  for (const request of wanted.requests) ids.push((await daemon.begin(request)).id);
  for (const id of ids) await daemon.until(id, "completed", LONGEST_MS);
  await endTraced(daemon);
  const options = { root: root(daemon, dir), dataDir: daemon.dataDir, database, scratch: dir.path };
  let steps = 0;
  const counted = (function* () {
    for (const step of stepsOf(readFileSync(trace, "latin1").split("\n"))) {
      steps += 1;
      yield step;
    }
  })();
  const verdict = judgeOrder(counted, options);
  return { verdict, steps, wrong: await wrongOf(options.root, wanted.promised) };
}

/** The tracer holds signals back: the daemon itself is told. */
async function endTraced(daemon: Daemon): Promise<void> {
  const note = readFileSync(join(daemon.dataDir, "server.json"), "utf8");
  process.kill((JSON.parse(note) as { pid: number }).pid, "SIGTERM");
  await daemon.gone();
}

/** Files that are not there as promised. */
async function wrongOf(root: string, promised: Wanted["promised"]): Promise<number> {
  let wrong = 0;
  for (const [path, sha256] of Object.entries(promised))
    if ((await sha256File(join(root, path)).catch(() => "not there")) !== sha256) wrong += 1;
  return wrong;
}
