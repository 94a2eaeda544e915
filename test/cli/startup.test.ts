import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { startupRequests } from "../../src/cli/startup.ts";
import { ggufRepo, startHub } from "../support/hub.ts";
import { startOrigin } from "../support/origin.ts";
import { until } from "../support/until.ts";
import { Home, sha256 } from "./product.ts";

/** Each test starts processes, and the machine may be busy. */
setDefaultTimeout(60_000);

const MB = 1 << 20;

describe("R138a an entry is read like a body of POST /v1/downloads", () => {
  test("with every member that has a place in a file", () => {
    const entry = {
      repo_id: "o/n",
      filename: "m.gguf",
      revision: "v1",
      sha256: `sha256:${"AB".repeat(32)}`,
      priority: 5,
      rate_limit_bps: 1000,
      retry: { max_attempts: 2 },
      layout: "hf-cache",
      engine: {
        engine_id: "chat",
        load_immediately: false,
        main_gpu_id: 1,
        model_type: "llm",
        inference_engine: "llama-cuda",
        loading_parameters: { n_ctx: 2048 },
      },
    };
    expect(startupRequests([entry, { url: "http://h/x", include: [] }])).toEqual([
      {
        repoId: "o/n",
        filename: "m.gguf",
        revision: "v1",
        sha256: "ab".repeat(32),
        priority: 5,
        rateLimit: 1000,
        retry: { maxAttempts: 2 },
        layout: "hf-cache",
        modelId: "chat",
        engine: expect.objectContaining({
          engineId: "chat",
          loadImmediately: false,
          mainGpuId: 1,
          modelType: "llm",
          inferenceEngine: "llama-cuda",
          parameters: expect.objectContaining({ n_ctx: 2048, n_batch: 2048 }),
        }),
        labels: { engine_id: "chat" },
      },
      { url: "http://h/x", include: [] },
    ]);
  });

  test("an id given for the download is not replaced by the engine's", () => {
    const [first, second] = startupRequests([
      { url: "http://h/x", model_id: "mine", engine: { engine_id: "chat" } },
      { url: "http://h/y", model_id: "both", engine: {} },
    ]);
    expect([first?.modelId, first?.engine?.engineId]).toEqual(["mine", "chat"]);
    expect([second?.modelId, second?.engine?.engineId]).toEqual(["both", "both"]);
  });
});

describe("F118 a bad entry is named by its number and key", () => {
  const url = "http://h/x";
  const cases: [string, Record<string, unknown>, RegExp][] = [
    ["an unknown key", { url, modelid: "m" }, /^startup entry 2, modelid: no such key$/],
    [
      "an unknown key of the engine",
      { url, engine: { gpu: 1 } },
      /^startup entry 2, engine\.gpu: no such key$/,
    ],
    [
      "an unknown parameter",
      { url, engine: { engine_id: "e", loading_parameters: { ctx: 1 } } },
      /^startup entry 2, engine\.loading_parameters\.ctx: no such key$/,
    ],
    ["what the API alone knows", { action: "cancel_all" }, /^startup entry 2, action: no such key$/],
    ["nothing to download", { model_id: "m" }, /^startup entry 2: Give 'url', or 'repo_id'/],
    ["two things to download", { url, repo_id: "o/n" }, /^startup entry 2, url: /],
    ["text for a number", { url, priority: "5" }, /^startup entry 2, priority: .*integer/],
    ["a number for text", { url: 5 }, /^startup entry 2, url: .*text/],
    ["a wrong digest", { url, sha256: "ab" }, /^startup entry 2, sha256: /],
    ["an unknown layout", { url, layout: "deep" }, /^startup entry 2, layout: .*flat, hf-cache/],
    ["an engine without id", { url, engine: {} }, /^startup entry 2, engine\.engine_id: /],
    [
      "parameters that contradict",
      { url, engine: { engine_id: "e", loading_parameters: { n_ctx: 8, n_keep: 9 } } },
      /^startup entry 2, loading_parameters\.n_keep: /,
    ],
  ];
  for (const [name, entry, message] of cases)
    test(name, () => {
      expect(() => startupRequests([{ url }, entry])).toThrow(message);
    });

  test("F193 secrets are refused with a hint where they belong, and not repeated", () => {
    for (const entry of [
      { url, token: "hf_s3cret" },
      { url, headers: { authorization: "Bearer hf_s3cret" } },
    ]) {
      expect(() => startupRequests([entry])).toThrow(/^startup entry 1, (token|headers): .*HF_TOKEN/);
      expect(() => startupRequests([entry])).not.toThrow(/s3cret/);
    }
  });
});

describe("serve", () => {
  test("F118 refuses a bad entry with 2, before anything is opened", async () => {
    using home = new Home();
    const file = home.dir.at("m.toml");
    const good = '[[startup]]\nurl = "http://127.0.0.1:1/a"\n';
    for (const [bad, message] of [
      ['[[startup]]\nurl = "http://127.0.0.1:1/b"\nsha = "x"\n', "startup entry 2, sha: no such key"],
      ['[[startup]]\nrepo_id = "no such"\n', "startup entry 2, repo_id: "],
    ] as const) {
      writeFileSync(file, good + bad);
      const { code, err, out } = await home.run("serve", "--listen", "127.0.0.1:0", "--config", file);
      expect([code, out]).toEqual([2, ""]);
      expect(err).toContain(message);
      expect(existsSync(home.data)).toBe(false);
    }
  });

  test("R138a R84 brings what the file names, across a kill, once, and again when the file is gone", async () => {
    await using hub = await startHub({
      repos: [ggufRepo("acme/tiny", { quantizations: { Q8_0: 4 * MB } })],
      cdnLimits: { ratePerConnection: MB, rateTotal: 2 * MB },
    });
    await using origin = await startOrigin({ resources: [{ path: "/plain.bin", seed: 1, size: MB }] });
    using home = new Home({ HF_ENDPOINT: hub.endpoint });
    const file = home.dir.at("m.toml");
    writeFileSync(
      file,
      `[[startup]]
      repo_id = "acme/tiny"
      filename = "tiny-Q8_0.gguf"
      engine = { engine_id = "chat", load_immediately = true, main_gpu_id = 0 }
      [[startup]]
      url = "${origin.url("/plain.bin")}"
      model_id = "plain"`,
    );
    const serve = () => home.serve("--config", file);
    const one = async (url: string, id: string) => (await fetch(`${url}/v1/downloads/${id}`)).json();
    const all = async (url: string) =>
      (await (await fetch(`${url}/v1/downloads?state=all`)).json()).active_downloads;
    const completed = (url: string, id: string) =>
      until(async () => (await one(url, id)).state === "completed" && one(url, id), `${id} to complete`, {
        timeoutMs: 30_000,
      });

    let daemon = await serve();
    await until(
      async () => (await one(daemon.url, "chat")).progress.downloaded_bytes >= 2 * MB,
      "half of it",
    );
    daemon.child.kill("SIGKILL");
    await daemon.child.exited;

    daemon = await serve();
    Object.assign(hub.cdn.limits, { ratePerConnection: 64 * MB, rateTotal: 64 * MB });
    const chat = await completed(daemon.url, "chat");
    const plain = await completed(daemon.url, "plain");
    expect([chat.download_type, plain.download_type]).toEqual(["startup", "regular"]);
    expect(chat.engine_creation).toMatchObject({ engine_id: "chat", load_immediately: true });
    const { sha256: promised } = hub.repo("acme/tiny").file("tiny-Q8_0.gguf");
    expect(await sha256(chat.local_path)).toBe(promised);
    expect(hub.cdn.stats.bytesSent).toBeLessThan(5.5 * MB);
    const sent = [hub.cdn.stats.bytesSent, origin.stats.bytesSent];

    for (let i = 0; i < 2; i++) {
      daemon.child.kill("SIGTERM");
      expect(await daemon.child.exited).toBe(0);
      daemon = await home.serve("--config", file, "--log-level", "info");
      await daemon.err.waitFor(/startup download.*entry.*2/);
      expect((await all(daemon.url)).map(({ id }: { id: string }) => id).sort()).toEqual(
        [chat.id, plain.id].sort(),
      );
    }
    expect([hub.cdn.stats.bytesSent, origin.stats.bytesSent]).toEqual(sent);

    daemon.child.kill("SIGTERM");
    await daemon.child.exited;
    rmSync(chat.local_path);
    daemon = await serve();
    const again = await until(
      async () => {
        const now = await one(daemon.url, "chat");
        return now.id !== chat.id && now.state === "completed" && now;
      },
      "the file to be fetched again",
      { timeoutMs: 30_000 },
    );
    expect(again.local_path).toBe(chat.local_path);
    expect(await sha256(again.local_path)).toBe(promised);
    expect(await all(daemon.url)).toHaveLength(3);
  });
});
