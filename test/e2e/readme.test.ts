import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { sectionOf, tableOf } from "../../src/api/guide/markdown.ts";
import { blocksOf, commandsOf, flagsIn, README, SHOWN_BASE } from "../docs/page.ts";
import { type Daemon, runExecutable, startDaemon } from "../support/daemon.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { Lines, until } from "../support/until.ts";
import { filesBelow, startHubByHand } from "./support.ts";

/** What the README shows, done with the built executable and the hub that it tells to start. */
setDefaultTimeout(120_000);

/** Streams that stay open when there is nothing more to tell. */
const ENDLESS = ["/v1/events", "/local/download/status"];

let dir: TempDir;
let hub: Awaited<ReturnType<typeof startHubByHand>>;
let daemon: Daemon;
beforeAll(async () => {
  dir = tempDir("readme");
  const shown = commandsOf(README).find((line) => / run hub( |$)/.test(line)) ?? "";
  hub = await startHubByHand(...shown.split(" run hub ")[1]!.split(" "));
  daemon = await startDaemon({ dir: dir.path, env: { HF_ENDPOINT: hub.endpoint } });
});
afterAll(async () => {
  await daemon.stop();
  await hub[Symbol.asyncDispose]();
  dir.remove();
});

const here = (text: string): string => text.replaceAll(SHOWN_BASE, daemon.base);

/** Runs one of the README's curl lines; answers what it printed, of an endless stream the first event. */
async function curl(line: string): Promise<string> {
  const command = here(line).replace(/^curl /, "exec curl -sS --fail-with-body --max-time 60 ");
  const child = Bun.spawn(["bash", "-c", command], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [out, err] = [new Lines(child.stdout), new Lines(child.stderr)];
  if (ENDLESS.some((path) => line.includes(path))) {
    const event = await out.waitFor(/^data: /, 30_000);
    child.kill();
    await child.exited;
    return event;
  }
  const code = await child.exited;
  await Promise.all([out.closed, err.closed]);
  const text = out.all.join("\n");
  if (code !== 0) throw new Error(`${line}: exit code ${code}: ${err.all.join(" ")} ${text}`);
  return text;
}

const curlsOf = (heading: string): string[] =>
  commandsOf(sectionOf(README, heading)).filter((line) => line.startsWith("curl "));

const dataOf = (text: string) =>
  text
    .split("\n")
    .filter((line) => line.startsWith("data: "))
    .map((line) => JSON.parse(line.slice("data: ".length)));

describe("the README's curl lines", () => {
  test("R138 the first download: start, poll, events, pause", async () => {
    const [start, poll, events, pause, ...more] = curlsOf("A first download");
    expect(more).toEqual([]);
    expect(JSON.parse(await curl(start!)).model_id).toBe("acme/big-gguf/big-Q4_K_M.gguf");
    expect(JSON.parse(await curl(poll!)).status).toBe("downloading");
    expect(dataOf(await curl(events!))[0].downloads.length).toBe(1);
    expect(JSON.parse(await curl(pause!))).toMatchObject({ success: true });
    expect(JSON.parse(await curl(poll!)).status).toBe("paused");
  });

  test("R1 R6 local: start and the one stream", async () => {
    const [start, stream, ...more] = curlsOf("local");
    expect(more).toEqual([]);
    expect(Object.keys(JSON.parse(await curl(start!)))).toEqual(["download_id", "message"]);
    expect(Object.keys(dataOf(await curl(stream!))[0]).length).toBeGreaterThanOrEqual(13);
  });

  test("R27 R34 R36 kolosal: list, progress, an engine from its download on, models, cancel all", async () => {
    const [list, progress, engine, engineProgress, models, cancel, ...more] = curlsOf("kolosal");
    expect(more).toEqual([]);
    expect(JSON.parse(await curl(list!)).total_active).toBeGreaterThan(0);
    expect(JSON.parse(await curl(progress!)).model_id).toBe("acme/tiny-gguf/tiny-Q4_K_M.gguf");
    expect(JSON.parse(await curl(engine!))).toMatchObject({ engine_id: "tiny", download_status: "started" });
    const ended = async () => JSON.parse(await curl(engineProgress!)).status === "completed";
    await until(ended, "the engine's download to end", { timeoutMs: 60_000, everyMs: 200 });
    const shown = JSON.parse(await curl(models!)).models;
    expect(shown.map((it: { model_id: string; status: string }) => [it.model_id, it.status])).toEqual([
      ["tiny", "loaded"],
    ]);
    expect(JSON.parse(await curl(cancel!)).success).toBe(true);
  });

  test("R145 R146 R148 wingman: ask, watch to the end, list, and its progress file", async () => {
    const [ask, watch, list, ...more] = curlsOf("wingman");
    expect(more).toEqual([]);
    expect(JSON.parse(await curl(ask!)).status).toBe("queued");
    expect(dataOf(await curl(watch!)).at(-1)).toMatchObject({ status: "done", progress: 100 });
    expect(JSON.parse(await curl(list!)).length).toBeGreaterThan(1);
    const name = /`([^`]+\.json)`/.exec(sectionOf(README, "wingman"))?.[1] ?? "";
    expect(filesBelow(daemon.dataDir)).toContain(`progress/${name}`);
    const [example = ""] = blocksOf(sectionOf(README, "wingman"), "json");
    const file = await Bun.file(`${daemon.dataDir}/progress/${name}`).json();
    expect(Object.keys(file)).toEqual(Object.keys(JSON.parse(example)));
    expect(JSON.parse(await curl(ask!)).status).toBe("done");
  });

  test("R168 R170 abstractcore: one line downloads a model and tells its progress", async () => {
    const [download, ...more] = curlsOf("abstractcore");
    expect(more).toEqual([]);
    const events = dataOf(await curl(download!));
    expect(events[0].status).toBe("starting");
    expect(events.slice(-2)).toEqual([expect.objectContaining({ status: "complete" }), { done: true }]);
  });

  test("none is left out here", () => {
    const headings = ["A first download", "local", "kolosal", "wingman", "abstractcore"];
    const all = commandsOf(README).filter((line) => line.startsWith("curl "));
    expect(headings.flatMap(curlsOf)).toEqual(all);
  });
});

/** Starts the script that a section shows. */
async function script(heading: string) {
  const [code = ""] = blocksOf(sectionOf(README, heading), "ts");
  const path = dir.at("shown.ts");
  const moved = code.replaceAll(SHOWN_BASE.slice("http".length), daemon.base.slice("http".length));
  // A file outside of the package cannot import it by its name.
  await Bun.write(
    path,
    moved.replace(/"(modelhaul[^"]*)"/, (_, name) => `"${import.meta.resolve(name)}"`),
  );
  return Bun.spawn([process.execPath, path], { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
}

test("R185 the README's client lines download shards with progress, and get a model", async () => {
  const child = await script("TypeScript");
  const out = new Lines(child.stdout);
  expect(await child.exited).toBe(0);
  await out.closed;
  const states = out.all.filter((line) => /^\w+ [\d.]+$/.test(line));
  expect(states.filter((line) => line.startsWith("downloading ")).length).toBeGreaterThan(0);
  expect(states).toContain("completed 100");
  expect(out.all).toContain(`${daemon.modelsDir}/acme/tiny-gguf`);
  expect(out.all.at(-1)).toBe("complete 100");
});

test("the README's WebSocket lines print what a download does", async () => {
  const child = await script("A first download");
  const out = new Lines(child.stdout);
  try {
    await daemon.must("POST", "/v1/downloads/resume");
    const readers = async () =>
      (await daemon.must("GET", "/metrics")).includes("modelhaul_live_connections 1\n");
    await until(readers, "the script to be connected");
    const { model_id } = await daemon.begin({ repo_id: "acme/shards", rate_limit_bps: 16 << 20 });
    await out.waitFor(new RegExp(`^${model_id} completed 100\\.0 %$`), 60_000);
  } finally {
    child.kill();
    await child.exited;
  }
});

describe("R186b the guides of the executable", () => {
  test("R186b are in it, and tell of every family, provider, option and route", async () => {
    const read = async (path: string): Promise<string> => (await daemon.api("GET", path)).body;
    const [short, full] = await Promise.all([read("/llms.txt"), read("/llms-full.txt")]);
    const { paths } = await daemon.must("GET", "/openapi.json");
    const { sources } = await daemon.must("GET", "/v1/sources");
    for (const row of tableOf(sectionOf(README, "You have a client"))) {
      const [, name] = /\[(\w+)\]/.exec(Object.values(row)[0] ?? "") ?? [];
      const anchor = name?.toLowerCase();
      expect(short).toContain(`[${name}](/llms-full.txt#${anchor})`);
      expect(full.toLowerCase()).toContain(`\n### ${anchor}\n`);
    }
    for (const { name } of sources) expect(short).toContain(`[${name}](`);
    for (const path of Object.keys(paths)) expect(full).toContain(path);
    for (const section of ["Configuration", "Providers", "Engines", "Limits"])
      expect(full).toContain(`\n## ${section}\n`);
  });

  test("F118 the options of `serve --help` are those of the README's table", async () => {
    const { out, code } = await runExecutable(["serve", "--help"], { PATH: "", HOME: dir.path });
    expect(code).toBe(0);
    const offered = [...out.matchAll(/^ {2}(--[a-z-]+)/gm)].map(([, flag]) => flag!);
    expect(offered.length).toBeGreaterThan(25);
    const rows = tableOf(sectionOf(README, "Configuration"));
    const told = flagsIn(rows.map((row) => Object.values(row)[0]).join(" "));
    // What the client commands have and `serve` has not.
    told.delete("--server");
    expect([...told].sort()).toEqual(offered.sort());
  });
});
