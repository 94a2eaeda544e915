import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  cleanEnv,
  type Daemon,
  runExecutable,
  type Shown,
  spawnExecutable,
  startDaemon,
} from "../support/daemon.ts";
import { executable } from "../support/executable.ts";
import { type OllamaDaemon, startOllamaDaemon } from "../support/ollama-daemon.ts";
import { tempDir } from "../support/temp.ts";
import { until } from "../support/until.ts";
import { filesBelow } from "./support.ts";

setDefaultTimeout(60_000);

const MB = 1 << 20;
const LAYERS = [6 * MB, 5 * MB, 1429];
const TOTAL = LAYERS.reduce((a, b) => a + b, 0);
const three = { provider: "ollama", model: "three" };
let ollama: OllamaDaemon;

beforeAll(async () => {
  await executable();
  ollama = await startOllamaDaemon({ models: [{ name: "three", layers: LAYERS }] });
});
afterAll(() => ollama[Symbol.asyncDispose]());

/** As a machine with an Ollama on it: nothing pulled yet, this fast. */
function fresh(rate: number): void {
  ollama.rate = rate;
  ollama.blobs.clear();
  ollama.installed.clear();
  ollama.pulls.length = 0;
}

const served = (dir: string, args: readonly string[] = []): Promise<Daemon> =>
  startDaemon({ dir, args: [...args], env: { OLLAMA_HOST: new URL(ollama.url).host } });

function expectRising(downloads: readonly Shown[]): void {
  let most = 0;
  for (const { progress, state } of downloads) {
    expect(progress.percentage).toBeGreaterThanOrEqual(most);
    if (state === "downloading") expect(progress.percentage).toBeLessThanOrEqual(99);
    most = progress.percentage;
  }
}

test("R165 R174 R175 A17 A25 a pull of three layers is one percentage that never falls, over every event", async () => {
  using dir = tempDir("ollama");
  fresh(8 * MB);
  await using daemon = await served(dir.path);
  using events = await daemon.events();
  const { id, model_id, repo_id, filename, local_path, url } = (await daemon.begin(three)) as Shown &
    Record<string, string>;
  expect({ model_id, repo_id, filename, local_path, url }).toEqual({
    model_id: "three",
    repo_id: "three",
    filename: "",
    local_path: "",
    url: "ollama:three:latest",
  });
  const done = await daemon.until(id, "completed");
  await events.next(({ data }) => data.download?.state === "completed");
  expect(done.progress).toMatchObject({ downloaded_bytes: TOTAL, total_bytes: TOTAL, percentage: 100 });
  expect(done.files?.map(({ size, state }) => [size, state])).toEqual(LAYERS.map((size) => [size, "done"]));
  const seen = events.all.flatMap(({ data }) => (data.download?.id === id ? [data.download] : []));
  expectRising(seen);
  expect(seen.length).toBeGreaterThan(5);
  const lines = [...new Set(seen.map(({ status_line }) => status_line))];
  for (const line of ["pulling manifest", "verifying sha256 digest", "writing manifest"])
    expect(lines).toContain(line);
  expect(seen.find(({ status_line }) => status_line === "verifying sha256 digest").state).toBe("verifying");
  const { files } = await daemon.must("GET", "/v1/files");
  expect(files).toEqual([]);
  expect(filesBelow(daemon.modelsDir)).toEqual([]);
});

test("A17 A25 killed in the middle and started again, the pull goes on and shows no less than before", async () => {
  using dir = tempDir("ollama");
  fresh(3 * MB);
  await using daemon = await served(dir.path);
  const { id } = await daemon.begin(three);
  await daemon.until(id, ({ progress }) => progress.downloaded_bytes > 5 * MB);
  await daemon.kill();
  await ollama.waitFor(({ active }) => active.length === 0, "the Ollama server to notice");
  const kept = ollama.blobs.get(ollama.layers("three")[0]!.digest)!;
  await daemon.start();
  const again = await daemon.one(id);
  // Recorded once a second.
  expect(again.progress.downloaded_bytes).toBeGreaterThan(0);
  using events = await daemon.events();
  ollama.rate = 100 * MB;
  const done = await daemon.until(id, "completed");
  expect(done.progress.downloaded_bytes).toBe(TOTAL);
  await events.next(({ data }) => data.download?.state === "completed");
  expectRising([
    again,
    ...events.all.flatMap(({ data }) => (data.download?.id === id ? [data.download] : [])),
  ]);
  expect(JSON.parse(ollama.pulls.at(-1)!.lines[1]!).completed).toBe(kept);
  await daemon.stop();
});

test("R74 R75 R53 pause and cancel over HTTP stop the server's pull", async () => {
  using dir = tempDir("ollama");
  fresh(2 * MB);
  await using daemon = await served(dir.path);
  const { id } = await daemon.begin(three);
  await daemon.until(id, ({ progress }) => progress.downloaded_bytes > MB);
  expect((await daemon.api("POST", `/v1/downloads/${id}/pause`)).status).toBe(200);
  await ollama.waitFor(({ active }) => active.length === 0, "the pause");
  expect((await daemon.api("POST", `/v1/downloads/${id}/resume`)).status).toBe(200);
  await ollama.waitFor(({ active }) => active.length === 1, "the pull to go on");
  expect((await daemon.api("POST", `/v1/downloads/${id}/cancel`)).status).toBe(200);
  await ollama.waitFor(({ active }) => active.length === 0, "the cancel");
  expect((await daemon.one(id)).state).toBe("cancelled");
  expect(ollama.pulls.map(({ outcome }) => outcome)).toEqual(["gone", "gone"]);
});

test("A26 behind a key the operator's own server is asked, another private one is not", async () => {
  using dir = tempDir("ollama");
  fresh(100 * MB);
  const key = "a-key-of-this-test";
  const env = { OLLAMA_HOST: ollama.url };
  await using daemon = await startDaemon({ dir: dir.path, args: ["--api-key", key], env, apiKey: key });
  const refused = await daemon.api("POST", "/v1/downloads", { ...three, base_url: "http://127.0.0.1:9" });
  expect(refused.status).toBe(400);
  expect(refused.body.error).toMatchObject({ param: "base_url" });
  expect(refused.body.error.message).toContain("127.0.0.1");
  const { id } = await daemon.begin({ ...three, base_url: ollama.url });
  expect((await daemon.until(id, "completed")).progress.total_bytes).toBe(TOTAL);
});

test("R175 pull ollama:three waits for the model, says so, and prints no path", async () => {
  using dir = tempDir("ollama");
  fresh(100 * MB);
  const env = cleanEnv(dir.path, { OLLAMA_HOST: ollama.url, MODELHAUL_DATA_DIR: dir.at("data") });
  const { code, out, err } = await runExecutable(["pull", "ollama:three"], env);
  expect([code, out]).toEqual([0, ""]);
  expect(err).toContain("three: completed 100.0%");
  expect(ollama.installed.has("three:latest")).toBe(true);
  const again = await runExecutable(["pull", "--json", "ollama:three:latest"], env);
  expect(again.code).toBe(0);
  expect(JSON.parse(again.out.split("\n").at(-1)!)).toMatchObject({ state: "completed" });
  const files = await runExecutable(["files"], env);
  expect([files.code, files.out]).toEqual([0, "no files"]);
});

test("F72 a proxy for the outside is not asked for the server on this machine", async () => {
  using dir = tempDir("ollama");
  fresh(100 * MB);
  const env = { OLLAMA_HOST: ollama.url, MODELHAUL_DATA_DIR: dir.at("data") };
  const proxy = { MODELHAUL_PROXY: "http://127.0.0.1:9" };
  const { code, err } = await runExecutable(
    ["pull", "ollama:three"],
    cleanEnv(dir.path, { ...env, ...proxy }),
  );
  expect([code, err]).toEqual([0, expect.stringContaining("three: completed")]);
});

test("R179 R181 pull says what is wrong: no such model, no server", async () => {
  using dir = tempDir("ollama");
  fresh(100 * MB);
  const env = (host: string) => cleanEnv(dir.path, { OLLAMA_HOST: host, MODELHAUL_DATA_DIR: dir.at("data") });
  const missing = await runExecutable(["pull", "ollama:nothing"], env(ollama.url));
  expect(missing.code).toBe(4);
  expect(missing.err).toContain("pull model manifest: file does not exist");
  const away = await startOllamaDaemon();
  await away.down();
  const none = await runExecutable(["pull", "ollama:three"], env(away.url));
  expect(none.code).toBe(1);
  expect(none.err).toContain(`Cannot connect to Ollama server at ${away.url}`);
  expect(none.err).not.toContain("waiting to try again");
});

test("A6 pull that is interrupted stops the server's pull, and goes on when asked again", async () => {
  using dir = tempDir("ollama");
  fresh(3 * MB);
  const env = cleanEnv(dir.path, { OLLAMA_HOST: ollama.url, MODELHAUL_DATA_DIR: dir.at("data") });
  const { child } = await spawnExecutable(["pull", "ollama:three"], env);
  const [first] = ollama.layers("three");
  await until(() => (ollama.blobs.get(first!.digest) ?? 0) > MB, "a part of the first layer");
  child.kill("SIGINT");
  expect(await child.exited).toBe(130);
  await ollama.waitFor(({ active }) => active.length === 0, "the server to notice");
  ollama.rate = 100 * MB;
  expect((await runExecutable(["pull", "ollama:three"], env)).code).toBe(0);
  expect(ollama.pulls.map(({ outcome }) => outcome)).toEqual(["gone", "success"]);
});
