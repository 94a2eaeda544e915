import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { type Browser, chromium, type Page } from "playwright-core";
import { blocks, seed } from "../api/seeds.ts";
import { type Daemon, startDaemon } from "../support/daemon.ts";
import { ggufFile, type Hub, startHub } from "../support/hub.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { until } from "../support/until.ts";
import { sha256File } from "./support.ts";

/** The client code of seed 000 as it stands there, in a browser, against the built executable on the port it names. */
setDefaultTimeout(120_000);

const MIB = 1 << 20;
const PORT = 8000;
const REPO = "TheBloke/Llama-2-7B-GGUF";
const FILE = "llama-2-7b.Q4_K_M.gguf";
const SLOW = 2 * MIB;
const BLANK = "<!doctype html><meta charset=utf-8><title>A page of a user's own</title>";

function isFree(): boolean {
  try {
    Bun.listen({ hostname: "127.0.0.1", port: PORT, socket: { data() {} } }).stop(true);
    return true;
  } catch {
    console.warn(`SKIPPED: port ${PORT}, which the client of seed 000 names, is taken`);
    return false;
  }
}

const text = seed("000");
const browserPath = Bun.which("chromium") ?? Bun.which("google-chrome");
if (browserPath === null) console.warn("SKIPPED: no Chromium, the client of seed 000 is not tried");
const isReady = text !== undefined && browserPath !== null && isFree();

/** Types go, everything else stays. */
const typeless = new Bun.Transpiler({ loader: "ts" });

describe.skipIf(!isReady)("seed 000's own client", () => {
  const [startSample = "", watchSample = "", cancelSample = ""] = blocks(text ?? "", "javascript");
  const [managerSample = "", types = ""] = blocks(text ?? "", "typescript");
  let hub: Hub;
  let dir: TempDir;
  let daemon: Daemon;
  let browser: Browser;
  beforeAll(async () => {
    dir = tempDir("seed-000");
    mkdirSync(dir.at("web"));
    writeFileSync(dir.at("web", "index.html"), BLANK);
    hub = await startHub({
      repos: [{ id: REPO, files: [ggufFile(REPO, FILE, 8 * MIB, "Q4_K_M")] }],
      cdnLimits: { rateTotal: SLOW },
    });
    daemon = await startDaemon({
      dir: dir.path,
      args: ["--listen", "127.0.0.1:0", "--listen", `127.0.0.1:${PORT}`, "--web-root", dir.at("web")],
      env: { HF_ENDPOINT: hub.endpoint },
    });
    browser = await chromium.launch({ executablePath: browserPath ?? "", args: ["--no-sandbox"] });
  });
  afterAll(async () => {
    await browser?.close();
    await daemon?.[Symbol.asyncDispose]();
    await hub?.stop();
    dir?.[Symbol.dispose]();
  });

  /** A page that has run nothing yet, and what its console says. */
  async function open(url: string) {
    const page = await browser.newPage();
    const said: string[] = [];
    page.on("console", (message) => void said.push(message.text()));
    await page.goto(url);
    const hears = (wanted: RegExp): Promise<boolean> =>
      until(() => said.some((line) => wanted.test(line)), `the console to say ${wanted}`, {
        timeoutMs: 60_000,
      });
    return { page, said, hears };
  }

  /** Runs a sample as the body of an application's function, which gives it `names` and keeps what it declares. */
  const run = (page: Page, sample: string, keeps: string, names = ""): Promise<unknown> =>
    page.evaluate(
      typeless.transformSync(
        `(async () => { ${names}\n${sample}\n Object.assign(window, { ${keeps} }); })()`,
      ),
    );

  const readers = async (): Promise<number> => {
    const { body } = await daemon.api("GET", "/metrics");
    return Number(/^modelhaul_live_connections (\d+)$/m.exec(String(body))?.[1]);
  };

  /** The next download starts from nothing. */
  async function forget(): Promise<void> {
    await daemon.must("DELETE", "/v1/downloads");
    await daemon.must("DELETE", "/v1/history?files=true");
    hub.cdn.limits.rateTotal = SLOW;
  }

  test("R1 R2 R3 R6 R7 R11 R16 R18 R20 R21 R26a its three samples on a page of the same origin", async () => {
    const { page, said, hears } = await open(`${daemon.base}/`);
    await run(page, watchSample, "eventSource");
    await run(page, startSample, "download_id");
    const id = await page.evaluate<string>("download_id");
    await hears(/^Download complete: /);
    const percents = said.flatMap((line) => /^Download (.+): ([\d.]+)%$/.exec(line)?.[2] ?? []).map(Number);
    expect(said.filter((line) => line.startsWith(`Download ${id}: `)).length).toBe(percents.length);
    expect(percents.length).toBeGreaterThan(3);
    expect(percents).toEqual(percents.toSorted((a, b) => a - b));
    expect([percents[0], percents.at(-1)]).toEqual([0, 100]);
    const path = said.find((line) => line.startsWith("Download complete: "))?.slice(19) ?? "";
    expect(await sha256File(path)).toBe(hub.repo(REPO).file(FILE).sha256);

    await daemon.must("POST", "/local/download", { repo_id: REPO, filename: "absent.gguf" });
    await hears(/^Download failed: .*absent\.gguf/);
    await forget();
    const again = await daemon.must("POST", "/local/download", { repo_id: REPO, filename: FILE });
    await daemon.until(again.download_id, (it) => it.progress.downloaded_bytes > 0);
    using events = await daemon.events("/local/download/status");
    const names = `const downloadId = ${JSON.stringify(again.download_id)};`;
    await run(page, cancelSample, "", names);
    await events.next(({ data }) => data.download_id === again.download_id && data.status === "cancelled");
    expect((await daemon.one(again.download_id)).state).toBe("cancelled");
    events[Symbol.dispose]();

    expect(await readers()).toBeGreaterThan(0);
    await page.evaluate("eventSource.close()");
    await until(async () => (await readers()) === 0, "the stream to be let go of");
    expect(said.filter((line) => line.includes("SSE connection error"))).toEqual([]);
    await page.close();
    await forget();
  });

  /** What the application of the seed's `Usage` part has of its own. */
  const application = `
    const repoId = ${JSON.stringify(REPO)}, filename = ${JSON.stringify(FILE)};
    const percents = [], successes = [];
    const updateProgressBar = (percent: number) => percents.push(percent);
    const showSuccess = (message: string) => successes.push(message);
    Object.assign(window, { percents, successes });
    const startDownload = async (repo_id: string, filename: string): Promise<DownloadResponse> => {
      const headers = { 'Content-Type': 'application/json' };
      const body: DownloadRequest = { repo_id, filename };
      const request = { method: 'POST', headers, body: JSON.stringify(body) };
      return (await fetch('http://127.0.0.1:${PORT}/local/download', request)).json();
    };`;
  const usage = (page: Page) => run(page, managerSample, "manager, download_id", `${types}\n${application}`);
  const percentsOf = (page: Page) => page.evaluate<number[]>("percents");
  const succeeded = (page: Page) => page.waitForFunction("successes.length > 0", null, { timeout: 60_000 });

  describe("DownloadProgressManager on a page of another origin", () => {
    let pages: ReturnType<typeof Bun.serve>;
    beforeAll(() => {
      pages = Bun.serve({
        port: 0,
        hostname: "127.0.0.1",
        fetch: () => new Response(BLANK, { headers: { "Content-Type": "text/html" } }),
      });
    });
    afterAll(() => pages.stop(true));
    const openOther = () => open(`http://127.0.0.1:${pages.port}/`);

    test("A1 R21 R22 R23 R25 R26 R26a subscribes after the POST, is told to the end, and its listener is dropped", async () => {
      const { page } = await openOther();
      await usage(page);
      await succeeded(page);
      const percents = await percentsOf(page);
      expect(percents.length).toBeGreaterThan(3);
      expect(percents).toEqual(percents.toSorted((a, b) => a - b));
      expect(percents.at(-1)).toBe(100);
      expect(await page.evaluate("[successes, manager.listeners.size]")).toEqual([["Download complete!"], 0]);

      const unsubscribed = await page.evaluate<number>(`(async () => {
        let calls = 0;
        const other = new Promise((resolve) => manager.subscribe(download_id, resolve));
        manager.subscribe('nobody', () => calls++);
        manager.unsubscribe('nobody');
        manager.disconnect();
        manager.connect();
        const { status } = await other;
        return status === 'completed' ? calls + manager.listeners.size : -1;
      })()`);
      expect(unsubscribed).toBe(0);
      await page.evaluate("manager.disconnect()");
      await until(async () => (await readers()) === 0, "the stream to be let go of");
      await page.close();
      await forget();
    });

    test("R24 after the server was away it connects again, and what ended meanwhile is told", async () => {
      const { page } = await openOther();
      await usage(page);
      await page.waitForFunction("percents.at(-1) > 10");
      await page.evaluate("window.first = manager.eventSource");
      await daemon.stop();
      const before = await percentsOf(page);
      expect(before.at(-1)).toBeLessThan(100);
      hub.cdn.limits.rateTotal = undefined;
      await daemon.start();
      await daemon.until(await page.evaluate<string>("download_id"), "completed");
      await succeeded(page);
      const percents = await percentsOf(page);
      expect(percents).toEqual(percents.toSorted((a, b) => a - b));
      expect([percents.at(-1), await page.evaluate("manager.listeners.size")]).toEqual([100, 0]);
      // The browser has come back by itself; five seconds after the error the manager does so too, and hears it all again.
      const told = page.evaluate(
        "new Promise((resolve) => manager.subscribe(download_id, ({ status }) => resolve(status)))",
      );
      await page.waitForFunction("manager.eventSource !== first && manager.eventSource.readyState === 1");
      expect(await told).toBe("completed");
      await page.evaluate("manager.disconnect()");
      await page.close();
      await forget();
    });
  });
});
