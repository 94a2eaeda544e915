import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync } from "node:fs";
import { basename } from "node:path";
import type { Engine } from "../../src/core/ports.ts";
import { codeOf } from "../core/support.ts";
import { literal } from "../support/bytes.ts";
import { crash, isAlive, type LlamaProgram } from "../support/llama-server.ts";
import { startOrigin } from "../support/origin.ts";
import { openProduct } from "../support/product.ts";
import { until } from "../support/until.ts";
import { becomes, create, endAll, healthOf, never, open, served } from "./llama-world.ts";
import { engineSpec, gguf, writeModel } from "./support.ts";

afterEach(endAll);

describe("A16 llama-server: one supervised process per engine", () => {
  test("R84 creating_engine lasts until /health says 200; R81 completed means that it is loaded", async () => {
    await using world = await open();
    await using origin = await served();
    const { product, program } = world;
    program.order({ loadMs: 300 });
    const { download } = await product.downloads.start({
      url: origin.url("/tiny.gguf"),
      engine: engineSpec("tiny"),
    });
    const creating = await product.reaches(download.id, "creating_engine");
    expect(creating.type).toBe("startup");
    expect(await product.downloads.engines.get("tiny")).toBeUndefined();
    const done = await product.reaches(download.id, "completed");
    const engine = (await product.downloads.engines.get("tiny")) as Engine;
    expect(engine).toMatchObject({
      runtime: "llama-server",
      inferenceEngine: "llama-cpu",
      state: "loaded",
      error: null,
    });
    expect(engine).toMatchObject({
      downloadId: done.id,
      details: { architecture: "llama", quantization: "Q4_K_M" },
    });
    expect(await healthOf(engine)).toBe(200);
    expect(program.alive()).toHaveLength(1);
  });

  test("model, port, GPU and context parameters are passed on; our secrets are not", async () => {
    await using world = await open();
    const parameters = {
      n_ctx: 2048,
      n_gpu_layers: 7,
      n_batch: 64,
      use_mlock: true,
      use_mmap: false,
      warmup: true,
      evil: "--x",
    };
    const { endpoint } = await create(world, "e", { mainGpuId: 3, parameters });
    const [{ args, port, variables }] = world.program.starts() as [ReturnType<LlamaProgram["starts"]>[0]];
    expect(endpoint).toBe(`http://127.0.0.1:${port}`);
    const expected = `-m ${world.model} --host 127.0.0.1 --port ${port} --main-gpu 3 --ctx-size 2048 --batch-size 64 --n-gpu-layers 7 --mlock --no-mmap`;
    expect(args.join(" ")).toBe(expected);
    expect(variables).toContain("KEPT");
    const secrets = ["MODELHAUL_API_KEY", "HF_TOKEN", "MODELSCOPE_API_TOKEN"];
    for (const name of secrets) expect(variables).not.toContain(name);
  });

  test("A23 R83 an embedding model is started as one, and the download says so once the header is known", async () => {
    await using world = await open();
    const content = literal(gguf({ pairs: { "general.architecture": "bert" } }));
    await using origin = await startOrigin({ resources: [{ path: "/plain.gguf", content }] });
    const request = { url: origin.url("/plain.gguf"), engine: engineSpec("plain", { mainGpuId: -1 }) };
    const { download } = await world.product.downloads.start(request);
    expect(download.modelType).toBe("llm");
    const done = await world.product.reaches(download.id, "completed");
    expect([done.modelType, done.engine?.modelType]).toEqual(["embedding", "embedding"]);
    expect((await world.product.downloads.engines.get("plain"))?.modelType).toBe("embedding");
    const { args } = world.program.starts()[0] as { args: string[] };
    expect(args).toContain("--embedding");
    expect(args).not.toContain("--main-gpu");
  });

  test("several engines run beside each other, each on its port", async () => {
    await using world = await open();
    const engines = await Promise.all(["a", "b", "c"].map((id) => create(world, id)));
    expect(new Set(engines.map(({ endpoint }) => endpoint)).size).toBe(3);
    expect(await Promise.all(engines.map(healthOf))).toEqual([200, 200, 200]);
  });

  test("a port that another process took meanwhile is replaced by the next", async () => {
    await using world = await open();
    world.program.order({ portTaken: true, times: 1 });
    const engine = await create(world, "e");
    expect([engine.state, world.program.starts().length]).toEqual(["loaded", 2]);
  });

  test("inference_engine names a runtime; any other name means the default", async () => {
    await using world = await open();
    expect((await create(world, "r", { inferenceEngine: "register" })).runtime).toBe("register");
    expect((await create(world, "l", { inferenceEngine: "llama-vulkan" })).runtime).toBe("llama-server");
    expect(world.program.starts()).toHaveLength(1);
  });

  test("load_immediately:false starts nothing until start is asked for", async () => {
    await using world = await open();
    const { engines } = world.product.downloads;
    expect(await create(world, "e", { loadImmediately: false })).toMatchObject({
      state: "created",
      endpoint: null,
    });
    expect(world.program.starts()).toHaveLength(0);
    expect((await engines.start("e")).state).toBe("loaded");
    expect((await engines.start("e")).state).toBe("loaded");
    expect(world.program.starts()).toHaveLength(1);
  });
});

describe("A16 llama-server: failing", () => {
  test("one that ends while it loads fails the download with its last lines; the verified file stays", async () => {
    await using world = await open();
    await using origin = await served();
    world.program.order({ exitCode: 1 });
    const { product } = world;
    const { download } = await product.downloads.start({
      url: origin.url("/tiny.gguf"),
      engine: engineSpec("tiny"),
    });
    const failed = await product.reaches(download.id, "failed");
    expect(failed.error?.code).toBe("engine_failed");
    expect(failed.error?.message).toContain("exited with code 1 before 'tiny' was ready");
    expect(failed.error?.message).toContain("exiting due to model loading error");
    expect(existsSync(failed.localPath as string)).toBe(true);
    expect(await product.downloads.engines.list()).toEqual([]);
    const { bytesSent } = origin.stats;
    world.program.order({});
    await product.downloads.retry(download.id);
    await product.reaches(download.id, "completed");
    expect(origin.stats.bytesSent).toBe(bytesSent);
  });

  test("one that is never ready is ended after its time, deaf or not", async () => {
    await using world = await open({ readyMs: 3_000 });
    world.program.order({ neverReady: true, deaf: true });
    expect(await codeOf(create(world, "e"))).toBe("engine_failed");
    expect(world.program.starts()).toHaveLength(1);
    expect(world.program.alive()).toEqual([]);
  });

  test("R87 cancelling while the engine is created ends the process; the file stays", async () => {
    await using world = await open();
    await using origin = await served();
    const { product, program } = world;
    program.order({ neverReady: true });
    const { download } = await product.downloads.start({
      url: origin.url("/tiny.gguf"),
      engine: engineSpec("tiny"),
    });
    await until(() => program.alive().length === 1, "the process to run");
    const { previous } = await product.downloads.cancel(download.id);
    expect(previous).toBe("creating_engine");
    const cancelled = await product.reaches(download.id, "cancelled");
    expect(program.alive()).toEqual([]);
    expect(existsSync(cancelled.localPath as string)).toBe(true);
    expect(await product.downloads.engines.list()).toEqual([]);
  });

  test("R87 cancelling ends even a process that listens to no signal", async () => {
    await using world = await open();
    world.program.order({ neverReady: true, deaf: true });
    const cancel = new AbortController();
    const creating = world.product.downloads.engines.create(
      engineSpec("e"),
      world.model,
      null,
      cancel.signal,
    );
    await until(() => world.program.alive().length === 1, "the process to run");
    cancel.abort(new Error("cancelled"));
    expect(creating).rejects.toThrow("cancelled");
    await creating.catch(() => {});
    expect(world.program.alive()).toEqual([]);
  });

  test("a missing program is told with what to do", async () => {
    await using product = await openProduct({ engines: { llamaServer: "/nowhere/llama-server" } });
    const model = writeModel(`${product.dir}/m.gguf`);
    const spec = engineSpec("e", { inferenceEngine: "llama-server" });
    const work = product.downloads.engines.create(spec, model, null, never);
    expect(work).rejects.toThrow(
      "There is no llama-server at '/nowhere/llama-server'. Install llama.cpp, or name the program with --llama-server",
    );
    expect(await codeOf(work)).toBe("engine_failed");
  });

  test("after a crash it is started again, on any port, and says so meanwhile", async () => {
    await using world = await open();
    const first = await create(world, "e");
    await crash(first.endpoint);
    await until(() => world.program.starts().length === 2, "a second start");
    const again = await until(async () => {
      const engine = (await world.product.downloads.engines.get("e")) as Engine;
      return engine.state === "loaded" && engine.endpoint !== first.endpoint && engine;
    }, "the engine to be loaded again");
    expect([await healthOf(again), again.error]).toEqual([200, null]);
    const log = (await world.product.downloads.engines.log("e")) as string[];
    expect(log).toContain("GGML_ASSERT: ordered to crash");
  });

  test("crash after crash it is given up as failed, with its last lines; start tries anew", async () => {
    await using world = await open();
    const { endpoint } = await create(world, "e");
    world.program.order({ exitCode: 3 });
    await crash(endpoint);
    const failed = await becomes(world.product, "e", "failed");
    expect(failed.error).toContain("Given up after 2 crashes in a row.");
    expect(failed.error).toContain("exited with code 3");
    expect(failed.error).toContain("exiting due to model loading error");
    expect([failed.endpoint, world.program.starts().length]).toEqual([null, 3]);
    expect(await codeOf(world.product.downloads.engines.start("e"))).toBe("engine_failed");
    world.program.order({});
    expect((await world.product.downloads.engines.start("e")).state).toBe("loaded");
  });
});

describe("A16 llama-server: stop, start, remove, log", () => {
  test("stop ends the process and keeps the record, start brings it back, remove forgets it", async () => {
    await using world = await open();
    const { engines } = world.product.downloads;
    await create(world, "e");
    expect(await engines.stop("e")).toMatchObject({ state: "stopped", endpoint: null });
    expect(world.program.alive()).toEqual([]);
    expect((await engines.stop("e")).state).toBe("stopped");
    expect(await healthOf(await engines.start("e"))).toBe(200);
    expect(await engines.remove("e")).toBe(true);
    expect(world.program.alive()).toEqual([]);
    expect([await engines.remove("e"), await engines.log("e"), await engines.get("e")]).toEqual([
      false,
      undefined,
      undefined,
    ]);
    expect(existsSync(world.model)).toBe(true);
    expect(await codeOf(engines.start("e"))).toBe("download_not_found");
    expect(await codeOf(engines.stop("e"))).toBe("download_not_found");
  });

  test("stop and remove end a start that is still going on", async () => {
    await using world = await open();
    const { engines } = world.product.downloads;
    await create(world, "e", { loadImmediately: false });
    world.program.order({ neverReady: true });
    const starting = codeOf(engines.start("e"));
    await until(() => world.program.alive().length === 1, "the process to run");
    expect((await engines.get("e"))?.state).toBe("loading");
    expect((await engines.stop("e")).state).toBe("stopped");
    expect(await starting).toBe("engine_failed");
    const again = codeOf(engines.start("e"));
    await until(() => world.program.alive().length === 1, "the process to run");
    expect(await engines.remove("e")).toBe(true);
    expect([await again, world.program.alive()]).toEqual(["engine_failed", []]);
  });

  test("stopped while it waits to be started again it stays stopped", async () => {
    await using world = await open({ backoffMs: 60_000, longestBackoffMs: 60_000 });
    const { endpoint } = await create(world, "e");
    await crash(endpoint);
    const waiting = await becomes(world.product, "e", "loading");
    // R186: its words do not run into ours.
    expect(waiting.error).toEndWith('GGML_ASSERT: ordered to crash". It is being started again.');
    expect((await world.product.downloads.engines.stop("e")).state).toBe("stopped");
    expect(world.program.starts()).toHaveLength(1);
  });

  test("of a folder only the download's own files count, now and when it is started again", async () => {
    await using world = await open();
    const folder = world.dir.at("folder");
    mkdirSync(folder);
    writeModel(`${folder}/a-earlier.gguf`);
    const own = ["README.md", "b-Q8_0.gguf"].map((name) => `${folder}/${name}`);
    writeModel(own[1] as string);
    const { engines } = world.product.downloads;
    const created = await engines.create(engineSpec("e"), folder, null, never, undefined, own);
    expect([created.path, created.details?.file]).toEqual([folder, own[1]]);
    for (let again = 0; again < 2; again++) {
      await engines.stop("e");
      await engines.start("e");
    }
    expect(world.program.starts().map(({ args }) => args[1])).toEqual([own[1], own[1], own[1]] as string[]);
  });

  test("created again under the same id, the old process ends first", async () => {
    await using world = await open();
    await create(world, "e");
    await create(world, "e", { parameters: { n_ctx: 1 } });
    expect([world.program.starts().length, world.program.alive().length]).toEqual([2, 1]);
    expect((await world.product.downloads.engines.get("e"))?.parameters).toEqual({ n_ctx: 1 });
  });

  test("created again in vain it has failed, and shows no address where nobody answers any more", async () => {
    await using world = await open();
    expect((await create(world, "e")).endpoint).toStartWith("http://127.0.0.1:");
    world.program.order({ exitCode: 3 });
    expect(await codeOf(create(world, "e", { parameters: { n_ctx: 7 } }))).toBe("engine_failed");
    const engine = await world.product.downloads.engines.get("e");
    expect(engine).toMatchObject({ state: "failed", endpoint: null });
    expect(engine?.error).toContain("exited with code 3");
  });

  test("the log is the last lines, bounded however much is said", async () => {
    await using world = await open();
    world.program.order({ chatter: 2000 });
    await create(world, "e");
    const log = (await world.product.downloads.engines.log("e")) as string[];
    expect(log.length).toBeLessThanOrEqual(501);
    expect(Math.max(...log.map(({ length }) => length))).toBeLessThanOrEqual(1000);
    expect(log.join("\n")).toContain(`loading model '${world.model}'`);
    expect(log.join("\n")).not.toContain("chatter 1 ");
  });
});

describe("A16 llama-server: our own end", () => {
  test("nothing is left running after our exit, and what was loaded is started again with the next process", async () => {
    await using world = await open();
    await create(world, "on");
    await create(world, "off");
    await world.product.downloads.engines.stop("off");
    await world.product.close();
    expect(world.program.alive()).toEqual([]);
    const product = await world.reopen();
    expect((await product.downloads.engines.get("on"))?.state).toBe("loaded");
    await product.begin();
    const starts = await until(
      () => world.program.starts().length === 3 && world.program.starts(),
      "another start",
    );
    expect(await healthOf(await becomes(product, "on", "loaded"))).toBe(200);
    expect(starts.filter(({ pid }) => isAlive(pid))).toHaveLength(1);
    expect((await product.downloads.engines.get("off"))?.state).toBe("stopped");
  });

  test("an engine being created when we exit is created by the next process", async () => {
    await using world = await open();
    await using origin = await served();
    world.program.order({ neverReady: true });
    const { download } = await world.product.downloads.start({
      url: origin.url("/tiny.gguf"),
      engine: engineSpec("tiny"),
    });
    await until(() => world.program.alive().length === 1, "the process to run");
    await world.product.close();
    expect(world.program.alive()).toEqual([]);
    const { bytesSent } = origin.stats;
    world.program.order({});
    const product = await world.reopen();
    const done = await product.reaches(download.id, "completed");
    expect(basename(done.localPath as string)).toBe("tiny.gguf");
    expect(origin.stats.bytesSent).toBe(bytesSent);
  });
});
