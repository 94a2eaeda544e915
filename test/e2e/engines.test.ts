import { afterEach, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { gguf, LLAMA } from "../engines/support.ts";
import { literal } from "../support/bytes.ts";
import { type Daemon, startDaemon } from "../support/daemon.ts";
import { crash, LlamaProgram } from "../support/llama-server.ts";
import { startOllamaDaemon } from "../support/ollama-daemon.ts";
import { startOrigin } from "../support/origin.ts";
import { tempDir } from "../support/temp.ts";
import { until } from "../support/until.ts";

const content = literal(gguf({ pairs: LLAMA }));
const programs: LlamaProgram[] = [];
afterEach(() => {
  for (const pid of programs.splice(0).flatMap((program) => program.alive())) process.kill(pid, "SIGKILL");
});

/** The executable, with a llama-server on PATH or named. */
async function world(...args: string[]) {
  const dir = tempDir("engines");
  const program = new LlamaProgram(dir.path);
  programs.push(program);
  const origin = await startOrigin({ resources: ["/a.gguf", "/b.gguf"].map((path) => ({ path, content })) });
  const all = ["--engine-runtime", "llama-server", "--llama-server", program.path, ...args];
  const daemon = await startDaemon({ dir: dir.path, args: all });
  return {
    dir,
    program,
    origin,
    daemon,
    /** Starts a download whose engine has the name of its file. */
    begin: (name: string, engine: object = {}) =>
      daemon.begin({ url: origin.url(`/${name}.gguf`), engine: { engine_id: name, ...engine } }),
    async [Symbol.asyncDispose]() {
      await daemon[Symbol.asyncDispose]();
      await origin[Symbol.asyncDispose]();
      dir.remove();
    },
  };
}

const engineOf = async (daemon: Daemon, id: string) => (await daemon.api("GET", `/engines/${id}`)).body;
const loaded = (daemon: Daemon, id: string) =>
  until(async () => {
    const engine = await engineOf(daemon, id);
    return engine.state === "loaded" && engine;
  }, `engine ${id} to be loaded`);

describe("A16 engines of the executable", () => {
  test("R81 R84 a startup download ends with a process that answers, and its clean exit leaves none", async () => {
    await using it = await world();
    const { id } = await it.begin("a");
    const done = await it.daemon.until(id, "completed");
    expect(done.status).toBe("completed");
    const engine = await loaded(it.daemon, "a");
    expect((await fetch(`${engine.endpoint}/health`)).status).toBe(200);
    expect(it.program.alive()).toHaveLength(1);
    await it.daemon.stop();
    expect(it.program.alive()).toEqual([]);
    await it.daemon.start();
    const again = await loaded(it.daemon, "a");
    expect((await fetch(`${again.endpoint}/health`)).status).toBe(200);
    expect(it.program.alive()).toHaveLength(1);
  }, 60_000);

  test("R41 the file already there becomes an engine at once, with a process of its own", async () => {
    await using it = await world();
    const { id } = await it.begin("a");
    await it.daemon.until(id, "completed");
    const { bytesSent } = it.origin.stats;
    const body = { engine_id: "second", model_path: it.origin.url("/a.gguf") };
    const answer = await it.daemon.api("POST", "/engines", body);
    expect([answer.status, answer.body.status]).toEqual([201, "loaded"]);
    const { endpoint } = await engineOf(it.daemon, "second");
    expect((await fetch(`${endpoint}/health`)).status).toBe(200);
    expect([it.program.alive().length, it.origin.stats.bytesSent]).toEqual([2, bytesSent]);
  }, 60_000);

  test("A16 what POST /engines loads from disk is seen as loading, after kill -9 too, and DELETE ends it", async () => {
    await using it = await world();
    const { id } = await it.begin("a");
    await it.daemon.until(id, "completed");
    it.program.order({ neverReady: true });
    const body = { engine_id: "second", model_path: it.origin.url("/a.gguf") };
    const cut = it.daemon.api("POST", "/engines", body).catch(() => undefined);
    await until(() => it.program.alive().length === 2, "the second process to run");
    expect((await engineOf(it.daemon, "second")).state).toBe("loading");
    await it.daemon.kill();
    expect(await cut).toBeUndefined();
    await until(() => it.program.alive().length === 0, "both processes to end");
    await it.daemon.start();
    await until(() => it.program.alive().length === 2, "both processes to run again");
    expect((await engineOf(it.daemon, "second")).state).toBe("loading");
    const removed = await it.daemon.api("DELETE", "/models/second");
    expect([removed.status, removed.body.status]).toEqual([200, "removed"]);
    expect(it.program.alive()).toHaveLength(1);
    expect((await it.daemon.api("GET", "/engines/second")).status).toBe(404);
  }, 60_000);

  test("kill -9 leaves no orphan, deaf or loading or ready, and what was loaded runs again after the next start", async () => {
    await using it = await world();
    const ready = await it.begin("a");
    await it.daemon.until(ready.id, "completed");
    it.program.order({ neverReady: true, deaf: true });
    const creating = await it.begin("b");
    await until(() => it.program.alive().length === 2, "the second process to run");
    expect((await it.daemon.one(creating.id)).state).toBe("creating_engine");
    await it.daemon.kill();
    await until(() => it.program.alive().length === 0, "both processes to end");
    it.program.order({});
    await it.daemon.start();
    await it.daemon.until(creating.id, "completed");
    await Promise.all([loaded(it.daemon, "a"), loaded(it.daemon, "b")]);
    expect(it.program.alive()).toHaveLength(2);
  }, 60_000);

  test("R87 cancelling while the engine is created ends its process; the verified file stays", async () => {
    await using it = await world();
    it.program.order({ neverReady: true });
    const { id, model_id } = await it.begin("a");
    await until(() => it.program.alive().length === 1, "the process to run");
    const { body } = await it.daemon.api("POST", `/v1/downloads/${model_id}/cancel`);
    expect(body).toMatchObject({ success: true, previous_status: "creating_engine", status: "cancelled" });
    const { local_path } = await it.daemon.one(id);
    expect([it.program.alive(), existsSync(local_path as string)]).toEqual([[], true]);
  }, 60_000);

  test("a failing engine fails the download with its last words; a crash of a ready one is mended", async () => {
    await using it = await world();
    it.program.order({ exitCode: 1 });
    const bad = await it.begin("a");
    const failed = await it.daemon.until(bad.id, (one) => one.state === "failed");
    expect(failed.status).toBe("failed");
    expect(JSON.stringify(failed)).toContain("exiting due to model loading error");
    expect(existsSync(failed.local_path as string)).toBe(true);
    it.program.order({});
    const good = await it.begin("b");
    await it.daemon.until(good.id, "completed");
    const { endpoint } = await loaded(it.daemon, "b");
    await crash(endpoint);
    await until(() => it.program.starts().length === 3, "another start");
    await loaded(it.daemon, "b");
  }, 60_000);

  test("inference_engine names another runtime: register starts nothing, ollama imports", async () => {
    await using ollama = await startOllamaDaemon();
    await using it = await world("--ollama-url", ollama.url);
    const kept = await it.begin("a", { inference_engine: "register" });
    await it.daemon.until(kept.id, "completed");
    const imported = await it.begin("b", { inference_engine: "ollama" });
    await it.daemon.until(imported.id, "completed");
    expect(it.program.starts()).toEqual([]);
    expect([...ollama.installed.keys()].join()).toContain("b");
    expect((await it.daemon.api("DELETE", "/engines/b")).status).toBe(200);
    expect([...ollama.installed.keys()]).toEqual([]);
  }, 60_000);

  test("A23 R83 R69 the download and its engine say what the header says", async () => {
    using dir = tempDir("engines");
    const bert = literal(gguf({ pairs: { "general.architecture": "bert", "bert.context_length": 512 } }));
    await using origin = await startOrigin({ resources: [{ path: "/plain.gguf", content: bert }] });
    await using daemon = await startDaemon({ dir: dir.path });
    const { id } = await daemon.begin({ url: origin.url("/plain.gguf"), engine: { engine_id: "plain" } });
    await daemon.until(id, "completed");
    const { engine_creation } = (await daemon.must("GET", "/v1/downloads/plain.gguf")) as {
      engine_creation: object;
    };
    expect(engine_creation).toMatchObject({
      model_type: "embedding",
      embedding_features: { normalization: true },
    });
    const engine = await engineOf(daemon, "plain");
    expect(engine).toMatchObject({ model_type: "embedding", state: "loaded", runtime: "register" });
    expect(engine.details).toMatchObject({ format: "gguf", architecture: "bert", context_length: 512 });
  }, 60_000);
});
