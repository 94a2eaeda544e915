import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileNameOf, pairOfFileName } from "../../src/api/wingman/file-name.ts";
import { EventClient } from "../api/event-client.ts";
import { query, transfers, weights } from "../api/wingman-world.ts";
import { cleanEnv, type Daemon, runExecutable, startDaemon } from "../support/daemon.ts";
import { startHub } from "../support/hub.ts";
import { tempDir } from "../support/temp.ts";
import { until } from "../support/until.ts";
import { filesBelow, partials, sha256File } from "./support.ts";

/** The executable may have to be built first, on a busy machine. */
setDefaultTimeout(180_000);

const MB = 1 << 20;
const REPO = "acme/Weights";
const KILLS = 3;
const VIEW: Record<string, string> = { "in-progress": "downloading" };

interface Said {
  status: string;
  progress: number;
  error: string | null;
}

const folderOf = (daemon: Daemon): string => join(daemon.dataDir, "progress");
const pathOf = (daemon: Daemon, file: string): string =>
  join(folderOf(daemon), fileNameOf({ repo: REPO, file }));
const read = (daemon: Daemon, file: string): Said => JSON.parse(readFileSync(pathOf(daemon, file), "utf8"));
const ask = (daemon: Daemon, file: string) => daemon.must("GET", `/api/download${query(REPO, file)}`);
/** Resolves when the file says so. */
const says = (daemon: Daemon, file: string, holds: (said: Said) => boolean, timeoutMs = 60_000) =>
  until(() => holds(read(daemon, file)), `${file} to say something else`, { timeoutMs });

/** Each progress file as its reader finds it, by the path it is about. */
function allSaid(daemon: Daemon): Map<string, Said> {
  const names = filesBelow(folderOf(daemon)).filter((name) => !name.startsWith(".new-"));
  return new Map(
    names.map((name) => {
      const text = readFileSync(join(folderOf(daemon), name), "utf8");
      expect([name, Object.keys(JSON.parse(text))]).toEqual([name, ["status", "progress", "error"]]);
      return [pairOfFileName(name)?.file ?? name, JSON.parse(text)];
    }),
  );
}

test("R147 R148 R149 R150 R157 three kill -9 while it runs: the files are whole, true again when it listens, and one transfer is all", async () => {
  using dir = tempDir("wingman");
  const size = 24 * MB;
  await using hub = await startHub({
    repos: [weights(REPO, { "Big.bin": size, "small.bin": MB, "Waits.bin": MB })],
    cdnLimits: { ratePerConnection: MB },
  });
  const env = { HF_ENDPOINT: hub.endpoint };
  await using daemon = await startDaemon({ dir: dir.path, env, args: ["--connections", "4"] });
  const { id } = await ask(daemon, "Big.bin");
  const small = await ask(daemon, "small.bin");
  await daemon.until(small.id, "completed");
  const waits = await ask(daemon, "Waits.bin");
  await daemon.must("POST", `/v1/downloads/${waits.id}/pause`);
  await says(daemon, "Waits.bin", ({ status }) => status === "queued");
  const orphan = join(folderOf(daemon), fileNameOf({ repo: "acme/gone", file: "X.bin" }));

  for (let kill = 1; kill <= KILLS; kill++) {
    await says(daemon, "Big.bin", (said) => said.status === "in-progress" && said.progress >= kill * 10);
    await daemon.kill();
    expect([...allSaid(daemon).keys()].sort()).toEqual(["Big.bin", "Waits.bin", "small.bin"]);
    writeFileSync(orphan, '{"status":"in-progress","progress":50,"error":null}');
    writeFileSync(pathOf(daemon, "small.bin"), '{"status":"in-progress","progress":99,"error":null}');
    writeFileSync(pathOf(daemon, "Waits.bin"), '{"status":"in-pro');
    await daemon.start();
    const said = allSaid(daemon);
    expect(said.get("small.bin")).toEqual({ status: "done", progress: 100, error: null });
    expect(said.get("Waits.bin")).toMatchObject({ status: "queued", error: null });
    expect(["queued", "in-progress"]).toContain(said.get("Big.bin")?.status as string);
    expect(existsSync(orphan)).toBe(false);
    expect(await askedAgain(daemon, "Big.bin")).toEqual([id]);
  }

  const stream = await EventClient.open(`${daemon.base}/api/progress${query(REPO, "Big.bin")}`);
  await stream.whenEnded(90_000);
  expect(stream.messages.at(-1)?.data).toMatchObject({ status: "done", progress: 100, id });
  await says(daemon, "Big.bin", ({ status }) => status === "done");
  expect(await sha256File(join(daemon.modelsDir, REPO, "Big.bin"))).toBe(
    hub.repo(REPO).file("Big.bin").sha256,
  );
  expect(transfers(hub, REPO, "Big.bin").sent).toBeLessThan(1.6 * size);
  const shown = await daemon.must("GET", "/api/progress");
  const inFiles = [...allSaid(daemon)].map(([file, { status }]) => `${file} ${VIEW[status] ?? status}`);
  expect(inFiles.sort()).toEqual(
    shown.map(({ FilePath, status }: { FilePath: string; status: string }) => `${FilePath} ${status}`).sort(),
  );
  expect(partials(daemon.modelsDir).filter((name) => name.includes("Big"))).toEqual([]);
});

/** Ids that two hundred equal requests, GET and POST mixed, are told; none of them starts anything. */
async function askedAgain(daemon: Daemon, file: string): Promise<string[]> {
  const requests = Array.from({ length: 200 }, (_, i) =>
    i % 2
      ? daemon.api("GET", `/api/download${query(REPO, file)}`)
      : daemon.api("POST", "/api/download", { ModelRepo: REPO, FilePath: file }),
  );
  const answers = await Promise.all(requests);
  expect(answers.every(({ status }) => status === 200)).toBe(true);
  return [...new Set(answers.map(({ body }) => body.id))];
}

test("R148 R151 a service that is stopped says queued; a pull without it goes on and says done", async () => {
  using dir = tempDir("wingman");
  await using hub = await startHub({
    repos: [weights(REPO, { "Big.bin": 8 * MB })],
    cdnLimits: { rateTotal: 4 * MB },
  });
  const env = { HF_ENDPOINT: hub.endpoint };
  await using daemon = await startDaemon({ dir: dir.path, env });
  await ask(daemon, "Big.bin");
  await says(daemon, "Big.bin", ({ progress }) => progress >= 10);
  await daemon.stop();
  const stopped = read(daemon, "Big.bin");
  expect(stopped).toMatchObject({ status: "queued", error: null });
  expect(stopped.progress).toBeGreaterThanOrEqual(10);

  const folders = ["--data-dir", daemon.dataDir, "--models-dir", daemon.modelsDir];
  const pulled = await runExecutable(["pull", `hf:${REPO}/Big.bin`, ...folders], cleanEnv(dir.path, env));
  expect([pulled.code, pulled.err]).toEqual([0, expect.any(String)]);
  expect(read(daemon, "Big.bin")).toEqual({ status: "done", progress: 100, error: null });
  expect(transfers(hub, REPO, "Big.bin").sent).toBeLessThan(10 * MB);
  expect(filesBelow(folderOf(daemon)).length).toBe(1);
});
