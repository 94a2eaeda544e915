import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chromium } from "playwright-core";
import { createWebAssets, type WebAssets } from "../src/web.ts";
import { checkPage } from "./cli/page.ts";
import { Home } from "./cli/product.ts";
import { type Origin, startOrigin } from "./support/origin.ts";

/** Each test starts processes, and the machine may be busy. */
setDefaultTimeout(30_000);

describe("the page from source", () => {
  let assets: WebAssets;
  beforeAll(async () => {
    assets = await createWebAssets();
  });

  test("is complete, with a strict policy and nothing inline", () =>
    checkPage(async (path) => assets.lookup(path)));

  test("is not sent again to who has it", () => {
    const etag = assets.lookup("/")?.headers.get("etag") ?? "";
    const request = new Request("http://localhost/", { headers: { "If-None-Match": etag } });
    expect(assets.lookup("/", request)?.status).toBe(304);
  });

  test("is nothing but its own files", () => {
    for (const path of ["", "/index.html", "/../package.json", "/app.tsx", "//", "/constructor"])
      expect(assets.lookup(path)).toBeUndefined();
  });
});

const browserPath = Bun.which("chromium") ?? Bun.which("chromium-browser") ?? Bun.which("google-chrome");
if (browserPath === null)
  console.warn("SKIPPED: no Chromium on this machine, the page is not tried in a browser");

describe.skipIf(browserPath === null)("in a browser", () => {
  const MB = 1 << 20;
  let origin: Origin;
  let browser: Awaited<ReturnType<typeof chromium.launch>>;

  beforeAll(async () => {
    origin = await startOrigin({
      resources: [{ path: "/model.bin", seed: 1, size: 64 * MB }],
      ratePerConnection: MB,
    });
    browser = await chromium.launch({
      executablePath: browserPath ?? "",
      args: ["--no-sandbox", "--disable-gpu"],
    });
  });
  afterAll(async () => {
    await browser?.close();
    await origin?.stop();
  });

  async function openPage(url: string) {
    const page = await browser.newPage();
    const complaints: string[] = [];
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    await page.goto(url);
    return { page, complaints };
  }

  async function start(url: string, body: object): Promise<void> {
    const headers = { "Content-Type": "application/json" };
    await fetch(`${url}/v1/downloads`, { method: "POST", headers, body: JSON.stringify(body) });
  }

  test("starts a download, sees it move, pauses, resumes and cancels it", async () => {
    using home = new Home();
    const { url } = await home.serve();
    const { page, complaints } = await openPage(url);
    await page.getByRole("status").getByText("live").waitFor();
    await page.getByText("No downloads.").waitFor();

    await page.getByLabel("URL or repository").fill(origin.url("/model.bin"));
    await page.getByRole("button", { name: "Download" }).click();
    const row = page.locator("li", { hasText: "model.bin" });
    await row.getByText("downloading", { exact: true }).waitFor();
    const percent = async (): Promise<number> =>
      Number.parseFloat((await row.locator(".percent").textContent()) ?? "");
    const first = await percent();
    await page.waitForFunction(
      (before) => Number.parseFloat(document.querySelector(".percent")?.textContent ?? "") > before,
      first,
    );
    expect(await row.locator(".percent").textContent()).toMatch(/^\d+\.\d%$/);

    const button = (name: string) => row.getByRole("button", { name });
    expect(await button("Resume").isDisabled()).toBe(true);
    expect(await button("Retry").isDisabled()).toBe(true);
    await button("Pause").click();
    await row.getByText("paused", { exact: true }).waitFor();
    expect(await button("Pause").isDisabled()).toBe(true);
    await button("Resume").click();
    await row.getByText("downloading", { exact: true }).waitFor();
    page.on("dialog", (dialog) => void dialog.accept());
    await button("Cancel").click();
    await row.getByText("cancelled", { exact: true }).waitFor();
    expect(complaints).toEqual([]);
    await page.close();
  });

  test.each([
    ["server-sent events when WebSockets do not come through", ["**/v1/ws"], "live"],
    ["polling when nothing live comes through", ["**/v1/ws", "**/v1/events"], "asking every 2 s"],
  ])("falls back to %s", async (_, blocked, shown) => {
    using home = new Home();
    const { url } = await home.serve();
    const page = await browser.newPage();
    await page.routeWebSocket("**/v1/ws", (socket) => socket.close());
    for (const path of blocked) await page.route(path, (route) => route.abort());
    await page.goto(url);
    await page.getByRole("status").getByText(shown).waitFor();
    await start(url, { url: origin.url("/model.bin") });
    await page.locator("li", { hasText: "model.bin" }).getByText("downloading", { exact: true }).waitFor();
    await page.close();
  });

  test("F202 a model id full of markup is text, and an error is told on the page", async () => {
    using home = new Home();
    const { url } = await home.serve();
    const id = '<img src=x onerror="document.title=1">';
    await start(url, { url: origin.url("/none.bin"), model_id: id });
    const { page } = await openPage(url);
    const row = page.locator("li", { hasText: id });
    await row.getByText("failed", { exact: true }).waitFor();
    expect(await row.locator(".error").textContent()).not.toBe("");
    expect(await row.getByRole("button", { name: "Retry" }).isEnabled()).toBe(true);
    expect(await page.locator("img").count()).toBe(0);
    expect(await page.title()).toBe("modelhaul");
    await page.close();
  });

  test("with an API key it asks for it first", async () => {
    using home = new Home({ MODELHAUL_API_KEY: "a-key-of-ours" });
    const { url } = await home.serve();
    const { page } = await openPage(url);
    await page.getByLabel("API key").fill("wrong-key-here");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("alert").waitFor();
    await page.getByLabel("API key").fill("a-key-of-ours");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("status").getByText("live").waitFor();
    await page.close();
  });
});
