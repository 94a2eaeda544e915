import { beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { bundleEmbed } from "../../src/embed.ts";
import { ggufRepo } from "../support/hub.ts";
import { until } from "../support/until.ts";
import { hasBrowser, monitorWorld, type View } from "./browser.ts";
import { buttonOf, events, noting, siteOf, status } from "./site.ts";

/** R164: the download button on a page of somebody else's, another origin under a strict policy. */
setDefaultTimeout(60_000);

const MIB = 1 << 20;
const REPO = "acme/big-gguf";
const FILE = "big-Q4_K_M.gguf";
const SLOW = 2 * MIB;
const FAST = 1024 * MIB;
const BUTTON = buttonOf({ repo: REPO, file: FILE });
const repos = [ggufRepo(REPO, { quantizations: { Q4_K_M: 12 * MIB } })];
const RESOLVED_NAME = "pages.example";

test("R164 it weighs less than 8 KB and leaves nothing in the page but the element", async () => {
  const script = await bundleEmbed();
  expect(Bun.gzipSync(script).length).toBeLessThan(8 * 1024);
  expect(script).toMatch(/^\(\(\)=>\{/);
  expect(script).not.toMatch(/innerHTML|insertAdjacentHTML|\beval\b|new Function/);
});

describe.skipIf(!hasBrowser)("R164 the button on another origin's page", () => {
  const world = monitorWorld({ hub: { repos } });
  const held = siteOf(world, BUTTON);
  beforeEach(async () => {
    world.hub.cdn.limits.rateTotal = SLOW;
    await world.forget();
  });

  const open = async (width = 1440): Promise<View> => {
    const view = await world.open({ at: held.site.url(), width });
    await noting(view);
    return view;
  };

  test("starts, pauses, goes on and finishes; the page hears of it", async () => {
    const view = await open();
    await view.button(`Download ${FILE}`).click();
    const bar = view.page.getByRole("progressbar", { name: FILE });
    await until(async () => Number(await bar.getAttribute("aria-valuenow")) > 5, "the bar to move");
    expect(await bar.getAttribute("aria-valuetext")).toMatch(/^\d+\.\d% · [\d.]+ \w+ of 12.0 MB/);

    await view.button("Pause").click();
    await status(view, "Paused").waitFor({ state: "attached" });
    const [paused] = (await world.daemon.must("GET", "/v1/downloads")).active_downloads;
    expect([paused.state, paused.repo_id]).toEqual(["paused", REPO]);
    // The same button, so the keyboard stays where it is.
    expect(
      await view.button("Resume").evaluate((it) => it === (it.getRootNode() as ShadowRoot).activeElement),
    ).toBe(true);
    world.hub.cdn.limits.rateTotal = FAST;
    await view.page.keyboard.press("Enter");
    await status(view, "Downloaded").waitFor({ state: "attached" });
    await view.page.getByText("Downloaded · 12.0 MB").waitFor();
    expect(await bar.count()).toBe(0);
    expect(await view.page.getByRole("button").count()).toBe(0);
    expect(await events(view)).toEqual(
      expect.arrayContaining([
        "progress downloading",
        "progress paused",
        "progress completed",
        "done completed",
      ]),
    );
  });

  test("asks once before it cancels, by keyboard alone", async () => {
    const view = await open(390);
    await view.page.keyboard.press("Tab");
    await view.page.keyboard.press("Enter");
    await view.button("Cancel").waitFor();
    await view.page.keyboard.press("Tab");
    await view.page.keyboard.press("Enter");
    await status(view, "Cancel, and delete what has arrived?").waitFor({ state: "attached" });
    await view.page.keyboard.press("Escape");
    await view.button("Pause").waitFor();
    await view.page.keyboard.press("Enter");
    await view.button("Keep it").waitFor();
    await view.page.keyboard.press("Enter");
    await status(view, "Cancelled").waitFor({ state: "attached" });
    await view.button(`Download ${FILE}`).waitFor();
    const { active_downloads } = await world.daemon.must("GET", "/v1/downloads?state=all");
    expect(active_downloads.map((it: { state: string }) => it.state)).toEqual(["cancelled"]);
    expect(await view.overflows()).toBe(false);
  });

  test("tells why it failed, and tries again", async () => {
    held.site.body = buttonOf({ repo: REPO, file: "absent.gguf", label: "Get it" });
    const view = await open();
    await view.button("Get it").click();
    await view.page
      .getByRole("alert")
      .getByText(/absent\.gguf/)
      .waitFor();
    expect(await events(view)).toContain("error entry_not_found");
    world.hub.repo(REPO).commit([{ path: "absent.gguf", content: "GGUF, in the end" }]);
    await view.button("Try again").click();
    await status(view, "Downloaded").waitFor({ state: "attached" });
    held.site.body = BUTTON;
  });

  test("goes on after a reload, and after the service was killed and has come back", async () => {
    const view = await open();
    await view.button(`Download ${FILE}`).click();
    await view.button("Pause").waitFor();
    await view.page.reload();
    await view.button("Pause").waitFor();
    view.allow(/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE/);
    const { port } = new URL(world.daemon.base);
    await world.daemon.kill();
    await view.page.getByText("Connection lost, trying again").waitFor();
    Object.assign(world.daemon.options, { port: Number(port) });
    world.hub.cdn.limits.rateTotal = FAST;
    await world.daemon.start();
    await status(view, "Downloaded").waitFor({ state: "attached" });
  });

  test("F202 names and errors are text; a page full of buttons holds one stream", async () => {
    const name = '<img src=x onerror="document.title=1">';
    const button = (file: string, label: string): string => buttonOf({ repo: REPO, file, label });
    const labels = Array.from({ length: 10 }, (_, i) => `Button ${i}`);
    held.site.body = button(name, name) + labels.map((label) => button(FILE, label)).join("");
    const view = await open();
    const streams: string[] = [];
    view.page.on("request", (request) => {
      if (request.url().includes("/v1/events")) streams.push(request.url());
    });
    for (const label of labels) await view.button(label).click();
    await until(async () => (await view.page.getByRole("progressbar").count()) === 10, "ten bars");
    expect(streams.length).toBe(1);
    await view.button(name).click();
    await view.page.getByRole("alert").waitFor();
    expect(await view.page.locator("img").count()).toBe(0);
    expect(await view.page.title()).toBe("Somebody's page");
    held.site.body = BUTTON;
  });

  test("parts, states and properties give it a look; its words may be replaced", async () => {
    const view = await open();
    await view.page.evaluate(() => {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(`model-download { --model-download-accent: rgb(1, 2, 3) }
        model-download::part(button) { border-radius: 9px }
        model-download:state(idle) { outline: 3px solid }`);
      document.adoptedStyleSheets = [sheet];
      const words = { download: "Herunterladen" };
      Object.assign(document.querySelector("model-download") ?? {}, { words });
    });
    const look = await view.button(`Herunterladen ${FILE}`).evaluate((button) => {
      const { backgroundColor, borderRadius } = getComputedStyle(button);
      const host = (button.getRootNode() as ShadowRoot).host;
      return [backgroundColor, borderRadius, getComputedStyle(host).outlineStyle];
    });
    expect(look).toEqual(["rgb(1, 2, 3)", "9px", "solid"]);
  });

  test("the script may be kept and loaded from anywhere, the API's answers not", async () => {
    const { headers, status: code } = await world.daemon.api("GET", "/embed.js");
    expect([code, headers.get("cross-origin-resource-policy"), headers.get("content-type")]).toEqual([
      200,
      "cross-origin",
      "text/javascript; charset=utf-8",
    ]);
    expect(headers.get("cache-control")).toMatch(/^public, max-age=\d+/);
    const again = { "If-None-Match": headers.get("etag") ?? "" };
    expect((await world.daemon.api("GET", "/embed.js", undefined, again)).status).toBe(304);
    const other = await world.daemon.api("GET", "/v1/downloads");
    expect(other.headers.get("cross-origin-resource-policy")).toBe("same-origin");
  });

  test.each([["/embed"], ["/embed.html"]])(
    "the example at %s is live, under the policy of our own pages",
    async (path) => {
      const view = await world.open({ at: path });
      await view.button(`Download ${FILE}`).click();
      await view.button("Pause").waitFor();
      expect(await view.overflows()).toBe(false);
    },
  );
});

describe.skipIf(!hasBrowser)("R164 A14 on a page of an origin that is not of this machine", () => {
  const world = monitorWorld({
    hub: { repos },
    chromiumArgs: [`--host-resolver-rules=MAP ${RESOLVED_NAME} 127.0.0.1`],
  });
  const held = siteOf(world, BUTTON);

  test("A14 the service refuses, and the button says how to allow it", async () => {
    const view = await world.open({ at: held.site.url(RESOLVED_NAME) });
    view.allow(/CORS policy|ERR_FAILED|403/);
    await noting(view);
    await view.button(`Download ${FILE}`).click();
    const origin = new URL(held.site.url(RESOLVED_NAME)).origin;
    await view.page.getByRole("alert").getByText(`--cors-origin ${origin}`).waitFor();
    expect(await events(view)).toEqual(["error unreachable"]);
    expect((await world.daemon.must("GET", "/v1/downloads?state=all")).active_downloads).toEqual([]);
  });
});

describe.skipIf(!hasBrowser)("R164 A15 with a key set", () => {
  const KEY = "a-key-of-the-tests-own";
  const world = monitorWorld({ hub: { repos }, apiKey: KEY });
  const held = siteOf(world, BUTTON);

  test("A15 without it the button says so; tokenProvider gives it, and a ticket opens the stream", async () => {
    const view = await world.open({ at: held.site.url() });
    view.allow(/401/);
    await view.button(`Download ${FILE}`).click();
    await view.page.getByRole("alert").getByText("wants its API key").waitFor();
    const urls: string[] = [];
    view.page.on("request", (request) => void urls.push(request.url()));
    await view.page.evaluate((key) => {
      const provided = { tokenProvider: async () => key };
      Object.assign(document.querySelector("model-download") ?? {}, provided);
    }, KEY);
    await view.button("Try again").click();
    await status(view, "Downloaded").waitFor({ state: "attached" });
    expect(urls.some((url) => url.includes("/v1/events?ticket="))).toBe(true);
    expect(urls.filter((url) => url.includes(KEY))).toEqual([]);
    expect(await view.page.content()).not.toContain(KEY);
  });

  test("A15 on a page of the service itself the session's cookie is enough", async () => {
    const view = await world.open({ at: "/embed" });
    await view.page.evaluate(async (key) => {
      const headers = { "Content-Type": "application/json" };
      await fetch("/v1/session", { method: "POST", headers, body: JSON.stringify({ key }) });
    }, KEY);
    await view.button(`Download ${FILE}`).click();
    await status(view, "Downloaded").waitFor({ state: "attached" });
  });
});
