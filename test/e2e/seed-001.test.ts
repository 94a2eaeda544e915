import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { blocks, seed } from "../api/seeds.ts";
import { mismatches } from "../api/shapes.ts";
import { type Daemon, startDaemon } from "../support/daemon.ts";
import { ggufFile, type Hub, startHub } from "../support/hub.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { until } from "../support/until.ts";
import { sha256File } from "./support.ts";

/** The curl lines of seed 001 as they stand there, against the built executable on the port they name. */
setDefaultTimeout(120_000);

const MIB = 1 << 20;
const PORT = 8080;
const QWEN = "Qwen/Qwen2.5-0.5B-Instruct-GGUF";
const QWEN_FILE = "qwen2.5-0.5b-instruct-q4_k_m.gguf";
const DIALOG = "microsoft/DialoGPT-medium";
const text = seed("001");

/** Whether both loopback addresses have the port free; the seed says `localhost`. */
function isFree(): boolean {
  try {
    for (const hostname of ["127.0.0.1", "::1"])
      Bun.listen({ hostname, port: PORT, socket: { data() {} } }).stop(true);
    return true;
  } catch {
    console.warn(`SKIPPED: port ${PORT}, which the seed's curl lines name, is taken or there is no IPv6`);
    return false;
  }
}

describe.skipIf(text === undefined || !isFree())("seed 001's own words", () => {
  let hub: Hub;
  let dir: TempDir;
  let daemon: Daemon;
  const commands = blocks(text ?? "", "bash").map((block) => block.trim());
  /** Without the comments that JSON has not; 10.0 is a number of any kind, which JSON.parse would not show. */
  const examples = blocks(text ?? "", "json").map((block) =>
    JSON.parse(block.replace(/ \/\/.*$/gm, "").replaceAll("10.0", "10.5")),
  );

  beforeAll(async () => {
    dir = tempDir("seed-001");
    hub = await startHub({
      repos: [
        { id: QWEN, files: [ggufFile(QWEN, QWEN_FILE, 24 * MIB, "Q4_K_M")] },
        {
          id: DIALOG,
          files: [{ path: "pytorch_model.bin", content: "not a GGUF file, and none it need be" }],
        },
      ],
      cdnLimits: { ratePerConnection: 2 * MIB, rateTotal: 8 * MIB },
    });
    const listen = ["127.0.0.1", "[::1]"].flatMap((host) => ["--listen", `${host}:${PORT}`]);
    daemon = await startDaemon({ dir: dir.path, args: listen, env: { HF_ENDPOINT: hub.endpoint } });
  });
  afterAll(async () => {
    await daemon.stop();
    await hub.stop();
    dir.remove();
  });

  /** Runs one of the seed's commands in a shell, unchanged, and answers what curl has printed. */
  async function run(command: string) {
    const child = Bun.spawn(["sh", "-c", command], { stdout: "pipe", stderr: "ignore" });
    const body = await new Response(child.stdout).json();
    expect([command, await child.exited]).toEqual([command, 0]);
    return body;
  }
  const commandWith = (part: string): string => commands.find((it) => it.includes(part)) ?? "no such command";

  test("R36 R37 R38 R40 R43 R27 R34 start a download, check its progress, list all, see it end as an engine", async () => {
    const started = await run(commandWith("/engines"));
    const wanted = examples.find((it) => "download_status" in it);
    expect(Object.keys(started)).toEqual(Object.keys(wanted));
    expect(mismatches(wanted, started)).toEqual([]);
    const target = join(daemon.modelsDir, QWEN, QWEN_FILE);
    expect(started).toEqual({
      ...wanted,
      engine_id: "qwen-model",
      download_url: `https://huggingface.co/${QWEN}/resolve/main/${QWEN_FILE}`,
      local_path: target,
      progress_endpoint: "/download-progress/qwen-model",
    });

    const check = commandWith("/download-progress/qwen-model");
    const moving = await until(async () => {
      const one = await run(check);
      return one.progress.downloaded_bytes > MIB && one;
    }, "bytes to arrive");
    const shape = examples.find((it) => "progress" in it);
    expect(mismatches(shape, moving, ["estimated_remaining_seconds"])).toEqual([]);
    expect(moving).toMatchObject({ model_id: "qwen-model", status: "downloading", local_path: target });
    expect(moving.progress.total_bytes).toBe(24 * MIB);

    const all = await run(commandWith("localhost:8080/downloads"));
    const list = examples.find((it) => "active_downloads" in it);
    expect(mismatches(list, all, ["estimated_remaining_seconds"])).toEqual([]);
    expect(all.total_active).toBe(1);

    const again = await run(commandWith("/engines"));
    expect(again).toMatchObject({ download_status: "in_progress", engine_id: "qwen-model" });

    Object.assign(hub.cdn.limits, { ratePerConnection: 64 * MIB, rateTotal: 256 * MIB });
    await daemon.until("qwen-model", "completed");
    expect((await run(check)).status).toBe("completed");
    expect(await sha256File(target)).toBe(hub.repo(QWEN).file(QWEN_FILE).sha256);
    const engine = await daemon.must("GET", "/engines/qwen-model");
    expect(engine).toMatchObject({ engine_id: "qwen-model", status: "loaded", model_path: target });
  });

  test("R41 the same command once more: the engine is there at once, nothing is downloaded", async () => {
    const sent = hub.cdn.stats.bytesSent;
    expect(await run(commandWith("/engines"))).toMatchObject({
      engine_id: "qwen-model",
      status: "loaded",
      message: "Engine added successfully",
    });
    await daemon.must("DELETE", "/v1/engines/qwen-model");
    await daemon.restart();
    expect((await run(commandWith("/engines"))).status).toBe("loaded");
    expect(hub.cdn.stats.bytesSent).toBe(sent);
  });

  test("R39 R40 the first request of the seed: a file that is no GGUF, under the id that its curl line asks for", async () => {
    const request = examples.find((it) => "model_path" in it);
    const answer = await daemon.api("POST", "/v1/engines", request);
    expect([answer.status, answer.body.engine_id]).toEqual([202, "my-model"]);
    expect((await run(commandWith("/download-progress/my-model"))).model_id).toBe("my-model");
    const done = await daemon.until("my-model", "completed");
    expect(done.local_path).toBe(join(daemon.modelsDir, DIALOG, "pytorch_model.bin"));
    expect((await daemon.must("GET", "/engines/my-model")).state).toBe("loaded");
  });

  test("R46 a download that ends badly says why, and nothing partial is left", async () => {
    const model_path = `https://huggingface.co/${QWEN}/resolve/main/no-such.gguf`;
    const answer = await daemon.api("POST", "/engines", { engine_id: "missing", model_path });
    expect(answer.status).toBe(202);
    const failed = await daemon.until("missing", (it) => it.state === "failed");
    expect(failed.error_message).toContain("no-such.gguf");
    expect((await daemon.api("GET", "/engines/missing")).status).toBe(404);
  });

  test("engines are still there after a restart and after a kill", async () => {
    const before = await daemon.must("GET", "/engines");
    expect(before.total_count).toBe(2);
    await daemon.restart();
    expect(await daemon.must("GET", "/engines")).toEqual(before);
    await daemon.kill();
    await daemon.start();
    expect(await daemon.must("GET", "/engines")).toEqual(before);
  });
});

test("R138a an engine of the configuration file is fetched and made at start, and made again when it was removed", async () => {
  using dir = tempDir("startup-engine");
  await using hub = await startHub({
    repos: [{ id: QWEN, files: [ggufFile(QWEN, QWEN_FILE, MIB, "Q4_K_M")] }],
  });
  await Bun.write(
    dir.at("m.toml"),
    `[[startup]]
    repo_id = "${QWEN}"
    filename = "${QWEN_FILE}"
    engine = { engine_id = "chat", main_gpu_id = 1 }`,
  );
  const args = ["--config", dir.at("m.toml")];
  await using daemon = await startDaemon({ dir: dir.path, args, env: { HF_ENDPOINT: hub.endpoint } });
  const engine = () =>
    until(async () => {
      const { status, body } = await daemon.api("GET", "/engines/chat");
      return status === 200 && body.state === "loaded" && body;
    }, "the engine to be made");
  const first = await engine();
  expect(first).toMatchObject({ status: "loaded", main_gpu_id: 1, inference_engine: "llama-cpu" });
  expect(await sha256File(first.model_path)).toBe(hub.repo(QWEN).file(QWEN_FILE).sha256);
  await daemon.until("chat", "completed");
  const sent = hub.cdn.stats.bytesSent;
  await daemon.must("DELETE", "/engines/chat");
  await daemon.restart();
  expect(await engine()).toMatchObject({ status: "loaded", model_path: first.model_path });
  expect(hub.cdn.stats.bytesSent).toBe(sent);
});
