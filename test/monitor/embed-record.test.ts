import { beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { rmSync } from "node:fs";
import { generated } from "../support/bytes.ts";
import { ggufRepo } from "../support/hub.ts";
import { until } from "../support/until.ts";
import { hasBrowser, monitorWorld, type View } from "./browser.ts";
import { buttonOf, events, noting, siteOf, status } from "./site.ts";

/** R164: the download button shows what its attributes ask for and what has become of it, and nothing that is over. */
setDefaultTimeout(60_000);

const MIB = 1 << 20;
const REPO = "acme/big-gguf";
const FILE = "big-Q4_K_M.gguf";
const OTHER = "big-Q8_0.gguf";
const SLOW = 2 * MIB;
const FAST = 1024 * MIB;
const repos = [ggufRepo(REPO, { quantizations: { Q4_K_M: 12 * MIB, Q8_0: 12 * MIB } })];
const GONE = /404|409/;

describe.skipIf(!hasBrowser)("R164 the button and its record", () => {
  const world = monitorWorld({ hub: { repos } });
  const held = siteOf(world, buttonOf({ repo: REPO, file: FILE }));
  beforeEach(async () => {
    world.hub.cdn.limits.rateTotal = FAST;
    held.site.body = buttonOf({ repo: REPO, file: FILE });
    await world.forget();
  });

  const open = async (attributes: Record<string, string> = { repo: REPO, file: FILE }): Promise<View> => {
    held.site.body = buttonOf(attributes);
    const view = await world.open({ at: held.site.url() });
    await noting(view);
    return view;
  };
  const completed = async (): Promise<View> => {
    const view = await open();
    await view.button(`Download ${FILE}`).click();
    await view.page.getByText("Downloaded · 12.0 MB").waitFor();
    return view;
  };
  const failed = async (file: string): Promise<View> => {
    const view = await open({ repo: REPO, file });
    view.allow(GONE);
    await view.button(`Download ${file}`).click();
    await view.button("Try again").waitFor();
    return view;
  };
  const set = (view: View, attributes: Record<string, string | null>): Promise<unknown> =>
    view.page.evaluate((given) => {
      const button = document.querySelector("model-download");
      for (const [name, value] of Object.entries(given))
        if (value === null) button?.removeAttribute(name);
        else button?.setAttribute(name, value);
    }, attributes);
  const property = (view: View, name: "state" | "download"): Promise<unknown> =>
    view.page.evaluate(`document.querySelector("model-download").${name}`);

  test("R164 asked for something else it is as new; asked for the same again it knows it", async () => {
    const view = await completed();
    await set(view, { file: OTHER });
    await view.button(`Download ${OTHER}`).waitFor({ timeout: 3000 });
    expect([await property(view, "state"), await property(view, "download")]).toEqual(["idle", undefined]);
    expect(await view.page.getByText("Downloaded").count()).toBe(0);
    await set(view, { repo: null, file: null, url: `${world.hub.endpoint}/${REPO}/resolve/main/${OTHER}` });
    await view.button(`Download ${OTHER}`).click();
    await view.page.getByText("Downloaded · 12.0 MB").waitFor();
    const { active_downloads: all } = await world.daemon.must("GET", "/v1/downloads?state=all");
    expect(all.map((it: { filename: string }) => it.filename).sort()).toEqual([FILE, OTHER]);

    await set(view, { url: null, repo: REPO, file: FILE });
    await view.page.getByText("Downloaded · 12.0 MB").waitFor();
    expect(await property(view, "download")).toMatchObject({ filename: FILE });
  });

  test("R164 another label, or the same values again, leave its download to it", async () => {
    const view = await completed();
    await set(view, { label: "Get it", repo: REPO, file: FILE });
    expect(await property(view, "state")).toBe("completed");
  });

  test("R164 what was on its way when something else was asked for goes on without the button", async () => {
    world.hub.cdn.limits.rateTotal = SLOW;
    const view = await open();
    let release = (): void => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    await view.page.route("**/v1/downloads", async (route) => {
      const answer = await route.fetch();
      await released;
      await route.fulfill({ response: answer });
    });
    await view.button(`Download ${FILE}`).click();
    await until(
      async () => (await world.daemon.must("GET", "/v1/downloads")).active_downloads.length === 1,
      "the service to have begun",
    );
    await set(view, { file: OTHER });
    const answered = view.page.waitForResponse(/\/v1\/downloads$/);
    release();
    await (await answered).finished();
    await view.button(`Download ${OTHER}`).waitFor();
    expect(await events(view)).toEqual([]);
    const [running] = (await world.daemon.must("GET", "/v1/downloads")).active_downloads;
    expect([running.filename, running.state]).toEqual([FILE, "downloading"]);
    // It was noted for this tab, so that the button knows it again.
    await set(view, { file: FILE });
    await view.button("Pause").waitFor();
  });

  test("R164 its record is gone: it starts anew", async () => {
    const view = await failed("late.gguf");
    await world.daemon.must("DELETE", "/v1/history");
    world.hub.repo(REPO).commit([{ path: "late.gguf", content: "GGUF, in the end" }]);
    await view.button("Try again").click();
    await status(view, "Downloaded").waitFor({ state: "attached" });
    expect(await events(view)).not.toContain("error download_not_found");
  });

  test("R164 its record is gone and it fails again: the new reason is told", async () => {
    const view = await failed("absent.gguf");
    await world.daemon.must("DELETE", "/v1/history");
    await view.button("Try again").click();
    await until(
      async () =>
        (await world.daemon.must("GET", "/v1/downloads?state=failed")).active_downloads.length === 1,
      "a new one to fail",
    );
    await view.button("Try again").waitFor();
    await view.page
      .getByRole("alert")
      .getByText(/absent\.gguf/)
      .waitFor();
    expect(await view.page.getByText("No download found").count()).toBe(0);
  });

  test("R164 somebody else has started it since: it joins", async () => {
    const view = await failed("shared.gguf");
    world.hub.cdn.limits.rateTotal = SLOW;
    world.hub.repo(REPO).commit([{ path: "shared.gguf", content: generated(4, 12 * MIB) }]);
    const { id } = await world.daemon.begin({ repo_id: REPO, filename: "shared.gguf" });
    await view.button("Try again").click();
    await view.button("Pause").waitFor();
    expect(await property(view, "download")).toMatchObject({ id });
  });

  test("R164 one that ended before its start was answered is seen, though the stream has told its end already", async () => {
    const small = "small.gguf";
    world.hub.repo(REPO).commit([{ path: small, content: "GGUF, and no more" }]);
    world.hub.cdn.on({ path: world.hub.cdnPath(REPO, FILE) }, { kind: "stall", at: 1000 });
    held.site.body = buttonOf({ repo: REPO, file: FILE }) + buttonOf({ repo: REPO, file: small });
    const view = await world.open({ at: held.site.url() });
    await view.button(`Download ${FILE}`).click();
    await view.button("Pause").waitFor();
    const released = Promise.withResolvers<void>();
    await view.page.route("**/v1/downloads", async (route) => {
      const answer = await route.fetch();
      await released.promise;
      await route.fulfill({ response: answer });
    });
    await view.button(`Download ${small}`).click();
    const all = async () => (await world.daemon.must("GET", "/v1/downloads?state=all")).active_downloads;
    const ended = await until(
      async () => (await all()).find((it: { filename: string }) => it.filename === small),
      "the small one to have begun",
    );
    await world.daemon.until(ended.id, "completed");
    // The stream tells in order: what comes of the other one now comes after that end.
    const { id } = (await all()).find((it: { filename: string }) => it.filename === FILE);
    await world.daemon.must("PATCH", `/v1/downloads/${id}`, { priority: 7 });
    await view.page.waitForFunction('document.querySelector("model-download").download?.priority === 7');
    expect(await view.page.getByText("Downloaded").count()).toBe(0);
    released.resolve();
    await view.page.getByText("Downloaded · 17 B").waitFor({ timeout: 5000 });
    world.hub.cdn.clear();
  });

  test("A22 its file was removed by hand: after a reload, or back in the page, it offers the download again", async () => {
    const view = await completed();
    const remove = async (): Promise<void> => {
      const { files } = await world.daemon.must("GET", "/v1/files");
      for (const { local_path } of files) rmSync(local_path, { force: true });
    };
    await remove();
    await view.page.reload();
    await view.button(`Download ${FILE}`).click({ timeout: 5000 });
    await view.page.getByText("Downloaded · 12.0 MB").waitFor();
    const back = (): Promise<unknown> =>
      view.page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
    const looked = view.page.waitForResponse(/exists=true/);
    await back();
    await (await looked).finished();
    await view.page.getByText("Downloaded · 12.0 MB").waitFor();
    await remove();
    await back();
    await view.button(`Download ${FILE}`).waitFor({ timeout: 5000 });
    expect([await property(view, "state"), await property(view, "download")]).toEqual(["idle", undefined]);
  });

  test("A22 its file was deleted: after a reload it offers the download again, and gets it", async () => {
    const view = await completed();
    await view.page.reload();
    await view.page.getByText("Downloaded · 12.0 MB").waitFor();
    const { files } = await world.daemon.must("GET", "/v1/files");
    await world.daemon.must("DELETE", `/v1/files/${files[0].id}`);
    await view.page.reload();
    await view.button(`Download ${FILE}`).click({ timeout: 5000 });
    await view.page.getByText("Downloaded · 12.0 MB").waitFor();
    expect((await world.daemon.must("GET", "/v1/files")).files[0]).toMatchObject({ exists: true });
  });

  test("R164 that the service did not answer is over when it tells of progress", async () => {
    world.hub.cdn.limits.rateTotal = SLOW;
    const view = await open();
    view.allow(/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE/);
    await view.button(`Download ${FILE}`).click();
    await view.button("Pause").waitFor();
    const { port } = new URL(world.daemon.base);
    await world.daemon.kill();
    await view.page.getByText("Connection lost, trying again").waitFor();
    await view.button("Pause").click();
    await view.page.getByRole("alert").getByText("does not answer").waitFor();
    Object.assign(world.daemon.options, { port: Number(port) });
    await world.daemon.start();
    await view.page.getByText(/ of 12\.0 MB/).waitFor();
    expect(await view.page.getByRole("alert").count()).toBe(0);
    expect(await property(view, "state")).toBe("downloading");
  });
});

describe.skipIf(!hasBrowser)("R164 what the button refuses", () => {
  const world = monitorWorld({ hub: { repos } });
  const held = siteOf(world, "");

  test.each([
    ["nothing", {}, "Nothing to download is named: give repo, or url, or provider and model"],
    ["empty attributes", { repo: "", url: "" }, "Nothing to download is named"],
    ["a model of nobody", { model: "llama3.2:1b" }, "Nothing to download is named"],
    ["no SHA-256", { repo: REPO, sha256: "00" }, "sha256 has to be 64 hexadecimal digits"],
    ["two sources", { repo: REPO, url: "http://127.0.0.1:1/m" }, "Give either 'url' or 'repo', not both"],
    ["a far too long name", { repo: "x".repeat(513) }, /^'repo' must be/],
  ] as const)("R164 %s is refused in words of its attributes", async (_, attributes, words) => {
    held.site.body = buttonOf(attributes);
    const view = await world.open({ at: held.site.url() });
    view.allow(/400/);
    await noting(view);
    await view.button(/^Download/).click();
    await view.page.getByRole("alert").getByText(words).waitFor({ timeout: 5000 });
    expect(await events(view)).toEqual(["error invalid_request"]);
  });
});
