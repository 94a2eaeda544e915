import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { type Origin, startOrigin } from "../support/origin.ts";
import { tempDir } from "../support/temp.ts";
import { Lines } from "../support/until.ts";
import { blocks, seed } from "./seeds.ts";
import { type Body, MB, type Served, serve } from "./support.ts";

/** The clients of seeds 001 and 002, as they stand there, against the port they name (R102-R125, R138, R40). */
setDefaultTimeout(60_000);

const PORT = 8080;
const ROOT = join(import.meta.dir, "../..");
const FETCH_CLIENT = 0;
const AXIOS_CLIENT = 1;
const NAME = "text-embedding-3-small";

/** Whether both loopback addresses have the port free; the seeds say `localhost`. */
function isFree(): boolean {
  try {
    for (const hostname of ["127.0.0.1", "::1"])
      Bun.listen({ hostname, port: PORT, socket: { data() {} } }).stop(true);
    return true;
  } catch {
    console.warn(`SKIPPED: port ${PORT}, which the seeds' clients name, is taken or there is no IPv6`);
    return false;
  }
}

const text = seed("002");
const older = seed("001");
const isReady = text !== undefined && older !== undefined && isFree();

describe.skipIf(!isReady)("the seeds' own clients", () => {
  const scripts = blocks(text ?? "", "javascript");
  let origin: Origin;
  let served: Served;
  beforeAll(async () => {
    origin = await startOrigin({
      resources: [
        { path: "/slow.bin", seed: 1, size: 64 * MB },
        { path: "/two-seconds.bin", seed: 2, size: 4 * MB },
      ],
      ratePerConnection: MB / 4,
      rateTotal: 2 * MB,
    });
    served = await serve();
    served.api.start(["127.0.0.1", "::1"].map((host) => ({ host, port: PORT })));
  });
  afterEach(async () => {
    await served.call("DELETE", "/v1/downloads");
    await served.call("DELETE", "/v1/history");
  });
  afterAll(async () => {
    await served[Symbol.asyncDispose]();
    await origin[Symbol.asyncDispose]();
  });

  const start = (model_id: string, file = "/slow.bin", more: object = {}) =>
    served.call("POST", "/v1/downloads", {
      url: `${origin.url(file)}?${encodeURIComponent(model_id)}`,
      model_id,
      ...more,
    });

  /** Runs a script in a process of its own; `meanwhile` may act when the script says something. */
  async function run(code: string, meanwhile: (out: Lines) => Promise<unknown> = async () => {}) {
    using dir = tempDir("seed");
    symlinkSync(join(ROOT, "node_modules"), dir.at("node_modules"));
    writeFileSync(dir.at("client.cjs"), code);
    const child = Bun.spawn(
      [process.execPath, "--preload", join(import.meta.dir, "hurry.ts"), dir.at("client.cjs")],
      {
        stdout: "pipe",
        stderr: "pipe",
      },
    );
    const [out, err] = [new Lines(child.stdout), new Lines(child.stderr)];
    await meanwhile(out);
    const code_ = await child.exited;
    return { code: code_, out: out.all.join("\n"), err: err.all.join("\n") };
  }

  test("R102 R103 R104 DownloadManager and its demonstration: monitor, pause, resume", async () => {
    await start(NAME, "/slow.bin", { engine: { engine_id: "e" } });
    await start("other");
    const { code, out, err } = await run(scripts[FETCH_CLIENT] ?? "");
    expect([code, err]).toEqual([0, ""]);
    for (const line of [
      "Total active: 2",
      "Startup downloads: 1",
      "Regular downloads: 1",
      "Embedding models: 1",
      "LLM models: 1",
      "Status: downloading",
      "Download paused successfully",
      "Download resumed successfully",
      "Engine: e (GPU 0)",
      "Monitoring stopped",
    ])
      expect(out).toContain(line);
    expect(out).toMatch(
      /Progress: \d+\.\d%\n {3}Downloaded: [\d.]+ \w+ \/ [\d.]+ \w+\n {3}Speed: [\d.]+ \w+\/s/,
    );
    expect(out).not.toMatch(/undefined|NaN/);
  });

  test("R102 R103 every method of DownloadManager, its errors by their message", async () => {
    await start("acme/m x");
    const [classes = ""] = (scripts[FETCH_CLIENT] ?? "").split("// Example usage");
    const { code, out } = await run(`${classes}
      console.error = () => {};
      const manager = new DownloadManager();
      const say = async (work) => console.log(JSON.stringify(await work.catch((e) => e.message)));
      (async () => {
        await say(manager.getAllDownloads().then((all) => all.active_downloads.map((d) => d.model_id)));
        await say(manager.getDownloadStatus('acme/m x').then((one) => one.status));
        await say(manager.pauseDownload('acme/m x').then((r) => r.message));
        await say(manager.resumeDownload('acme/m x').then((r) => r.success));
        await say(manager.cancelDownload('acme/m x').then((r) => r.message));
        await say(manager.cancelDownload('acme/m x'));
        await say(manager.getDownloadStatus('nobody'));
        await say(manager.pauseDownload('nobody'));
        await say(manager.cancelAllDownloads().then((r) => r.summary.total_downloads));
      })();`);
    expect(code).toBe(0);
    expect(out.split("\n").map((line) => JSON.parse(line))).toEqual([
      ["acme/m x"],
      "downloading",
      "Download paused successfully",
      true,
      "Download cancelled successfully",
      expect.stringMatching(/^API Error \(400\): .+/),
      "API Error (404): No download found for model ID: nobody",
      expect.stringMatching(/^API Error \(404\): .+/),
      0,
    ]);
  });

  test("R104 the demonstration without any download says so", async () => {
    const { code, out } = await run(scripts[FETCH_CLIENT] ?? "");
    expect([code, out.includes("No active downloads")]).toEqual([0, true]);
  });

  test("R105 R106 R107 R108 R109 AdvancedDownloadManager sees start, progress and completion", async () => {
    const { code, out, err } = await run(scripts[AXIOS_CLIENT] ?? "", async (lines) => {
      await lines.waitFor(/Waiting for text-embedding-3-small/);
      await start(NAME, "/two-seconds.bin", { engine: { engine_id: "e" } });
    });
    expect([code, err]).toEqual([0, ""]);
    for (const line of [
      `Download started: ${NAME} (startup)`,
      `Progress update: ${NAME} - `,
      `Download completed: ${NAME}`,
      "Engine created for embedding model",
      `Download completed successfully: ${NAME}`,
      "Status change: text-embedding-3-small - downloading",
      "Total Downloads: 1",
      "Overall Progress: 100.0%",
      "Demo completed",
    ])
      expect(out).toContain(line);
    expect(out).not.toMatch(/NaN|undefined|Monitoring error/);
  });

  test("R107 R108 monitoring starts once and stops; a wait ends with the download, or with its time", async () => {
    await start("waited for", "/two-seconds.bin");
    await start("endless");
    const [classes = ""] = (scripts[AXIOS_CLIENT] ?? "").split("// Example usage");
    const { code, out } = await run(`${classes}
      const manager = new AdvancedDownloadManager('${served.base}');
      const told = [];
      for (const name of ['monitoringStarted', 'monitoringStopped', 'downloadRemoved', 'downloadSummaryUpdate'])
        manager.on(name, (data) => told.push([name, data]));
      (async () => {
        manager.startMonitoring();
        manager.startMonitoring();
        const done = await manager.waitForDownloadCompletion('waited for');
        const late = await manager.waitForDownloadCompletion('endless', 100).catch((error) => error.message);
        manager.stopMonitoring();
        manager.stopMonitoring();
        const names = told.map(([name]) => name);
        console.log(JSON.stringify({ id: done.model_id, status: done.status, late, begun: told[0], last: names.at(-1),
          summaries: names.includes('downloadSummaryUpdate') }));
      })();`);
    expect([code, out.match(/already active/g)?.length, out.match(/not active/g)?.length]).toEqual([0, 1, 1]);
    expect(JSON.parse(out.split("\n").at(-1) ?? "")).toEqual({
      id: "waited for",
      status: "completed",
      late: "Download timeout after 100ms",
      begun: ["monitoringStarted", { intervalMs: 2000 }],
      last: "monitoringStopped",
      summaries: true,
    });
  });

  test("R138 R40 the curl examples of both seeds", async () => {
    const lines = [...blocks(text ?? "", "bash"), ...blocks(older ?? "", "bash")]
      .flatMap((block) => block.split("\n"))
      .filter((line) => line.startsWith("curl ") && !line.includes("/engines"));
    expect(lines.length).toBe(17);
    for (const line of new Set(lines)) {
      for (const id of ["my-model-id", "my-model", "qwen-model"]) await start(id);
      if (line.endsWith("/resume")) await served.call("POST", "/v1/downloads/my-model-id/pause");
      const command = line.replace(/ \| jq$/, "").replace("curl ", "curl -s --fail-with-body ");
      const child = Bun.spawn(["sh", "-c", command], { stdout: "pipe" });
      const body: Body = await new Response(child.stdout).json();
      expect([line, await child.exited]).toEqual([line, 0]);
      if (line.includes("-X POST") || line.includes("DELETE")) expect(body.success).toBe(true);
      else expect(body.active_downloads ?? body.model_id).toBeDefined();
    }
  });

  const browserPath = Bun.which("chromium") ?? Bun.which("google-chrome");
  if (browserPath === null) console.warn("SKIPPED: no Chromium, the seed's page is not tried");
  test.skipIf(browserPath === null)("R125 the seed's page works from another origin", async () => {
    await start("model-1", "/slow.bin", { engine: { engine_id: "page" } });
    const html = blocks(text ?? "", "html")[0] ?? "";
    const pages = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: () => new Response(html, { headers: { "Content-Type": "text/html; charset=utf-8" } }),
    });
    const browser = await chromium.launch({ executablePath: browserPath ?? "", args: ["--no-sandbox"] });
    try {
      const page = await browser.newPage();
      const wrong: string[] = [];
      page.on("pageerror", (error) => wrong.push(error.message));
      page.on("dialog", (dialog) => void dialog.accept());
      await page.goto(`http://localhost:${pages.port}/`.replace("localhost", "127.0.0.1"));
      await page.locator(".model-id", { hasText: "model-1" }).waitFor();
      await page.locator(".btn-pause").click();
      await page.locator(".status-paused").waitFor();
      expect(await page.locator(".engine-info").textContent()).toContain("GPU: 0 | Auto-load: Yes");
      await page.locator(".btn-resume").click();
      await page.locator(".status-downloading").waitFor();
      expect(await page.locator(".stat-value").allTextContents()).toEqual(["1", "1", "0", "0", "1"]);
      await page.locator("#cancel-all-btn").click();
      await page.locator(".status-cancelled").waitFor();
      expect([wrong, await page.locator("#error-container").textContent()]).toEqual([[], ""]);
    } finally {
      await browser.close();
      await pages.stop(true);
    }
  });
});
