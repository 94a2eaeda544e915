import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { until } from "../support/until.ts";
import { hasBrowser, LOOKS } from "./browser.ts";
import { begin, choose, downloadsWorld, letGo, line, MIB, names, rowOf, slow } from "./downloads-world.ts";

setDefaultTimeout(90_000);

describe.skipIf(!hasBrowser)("the list of downloads", () => {
  const world = downloadsWorld();

  test.each(LOOKS)("R119 R120 R121 R124 R126 every state, in %s at %i px", async (theme, width) => {
    world.origin.on({ path: "/1.gguf" }, { kind: "respond", status: 404 });
    slow(world);
    const failed = await begin(world, 1, "failed-one");
    await until(async () => (await world.daemon.one(failed.id)).state === "failed", "the failure");
    const cancelled = await begin(world, 2, "cancelled-one");
    await world.daemon.must("POST", `/v1/downloads/${cancelled.id}/cancel`);
    const paused = await begin(world, 3, "paused-one");
    await world.daemon.must("POST", `/v1/downloads/${paused.id}/pause`);
    await line(world, ["moving-one"]);
    await begin(world, 4, "queued-one");
    const view = await world.open({ theme, width });
    const word = async (name: string, state: RegExp) => rowOf(view, name).getByText(state).first().waitFor();
    await word("moving-one", /^downloading$/i);
    await word("queued-one", /^queued · 1$/i);
    await word("paused-one", /^paused$/i);
    await word("failed-one", /^failed$/i);
    await word("cancelled-one", /^cancelled$/i);
    const moving = rowOf(view, "moving-one");
    const bar = moving.getByRole("progressbar");
    await until(async () => Number(await bar.getAttribute("value")) > 0, "progress");
    await moving.getByText(/^\d+\.\d%$/).waitFor();
    await moving.getByText(/ of 32\.0 MB$/).waitFor();
    await rowOf(view, "failed-one").getByText("There is no such model or file").waitFor();
    const enabled = async (name: string) => {
      const all = ["Pause", "Resume", "Retry", "Cancel", "Remove"].map(async (verb) => {
        const button = view.button(`${verb} ${name}`);
        return (await button.count()) > 0 && (await button.isEnabled()) ? verb : "";
      });
      return (await Promise.all(all)).filter(Boolean).join(" ");
    };
    expect(await enabled("moving-one")).toBe("Pause Cancel");
    expect(await enabled("queued-one")).toBe("Pause Cancel");
    expect(await enabled("paused-one")).toBe("Resume Cancel");
    expect(await enabled("failed-one")).toBe("Retry Remove");
    expect(await enabled("cancelled-one")).toBe("Retry Remove");
    expect(await view.overflows()).toBe(false);
  });

  test.each(LOOKS)(
    "R124 pause, resume, cancel, start again, remove, in %s at %i px",
    async (theme, width) => {
      slow(world);
      const { id } = await begin(world, 0, "the-model");
      await world.daemon.until(id, (it) => it.progress.downloaded_bytes > 0);
      const view = await world.open({ theme, width });
      const row = rowOf(view, "the-model");
      await view.button("Pause the-model").click();
      await row.getByText(/^paused$/i).waitFor();
      await world.daemon.until(id, "paused");
      await view.button("Resume the-model").click();
      await world.daemon.until(id, "downloading");
      await row.getByText(/^downloading$/i).waitFor();

      await view.button("Cancel the-model").click();
      const question = view.page.getByRole("alertdialog");
      await question.getByText("What has arrived so far is deleted.").waitFor();
      await view.button("Keep it", question).click();
      expect((await world.daemon.one(id)).state).toBe("downloading");
      await view.button("Cancel the-model").click();
      await view.button("Cancel download", question).click();
      await row.getByText(/^cancelled$/i).waitFor();
      await world.daemon.until(id, "cancelled");

      await view.button("Start again").click();
      letGo(world);
      await row.getByText(/^completed$/i).waitFor();
      await row.getByText("100.0%").waitFor();
      await view.button("Remove the-model").click();
      await view.page.getByText("No active downloads").waitFor();
      expect((await world.daemon.api("GET", `/v1/downloads/${id}`)).status).toBe(404);
    },
  );

  test.each(LOOKS)(
    "R129 a queue that stands still says why, and goes on, in %s at %i px",
    async (theme, width) => {
      slow(world);
      const { id } = await begin(world, 0, "standing");
      const view = await world.open({ theme, width });
      const row = rowOf(view, "standing");
      await row.getByText(/^downloading$/i).waitFor();
      const banner = view.page.getByRole("status").filter({ hasText: "All downloads are paused" });
      // Somebody else does it.
      await world.daemon.must("PATCH", "/v1/settings", { paused: true });
      await banner.waitFor();
      await row.getByText("all are paused", { exact: true }).waitFor();
      expect(await view.overflows()).toBe(false);
      await view.page.reload();
      await view.button("Let downloads run", banner).click();
      await banner.waitFor({ state: "detached" });
      await row.getByText(/^downloading$/i).waitFor();
      await world.daemon.until(id, "downloading");
      expect((await world.daemon.must("GET", "/v1/settings")).paused).toBe(false);
    },
  );

  test("R129 without any download too it says that none will run", async () => {
    await world.daemon.must("PATCH", "/v1/settings", { paused: true });
    const view = await world.open();
    const button = view.button("Let downloads run");
    await button.waitFor();
    const { id } = await begin(world, 0, "newcomer");
    await rowOf(view, "newcomer").getByText("all are paused", { exact: true }).waitFor();
    // Somebody else ends it.
    await world.daemon.must("PATCH", "/v1/settings", { paused: false });
    await button.waitFor({ state: "detached" });
    await world.daemon.until(id, "completed");
  });

  test("R122 R134 an error says what to do, a retry mends it", async () => {
    const wrong = world.origin.on({ path: "/0.gguf" }, { kind: "respond", status: 404 });
    const { id } = await begin(world, 0, "lost");
    const view = await world.open();
    const row = rowOf(view, "lost");
    await row.getByText(/^failed$/i).waitFor();
    await view.button("lost").click();
    const box = row.getByRole("region", { name: "Error" });
    await box.getByText("There is no such model or file.").waitFor();
    expect(await box.textContent()).toContain("Check the spelling");
    const { error_message } = await world.daemon.one(id);
    await box.getByText(error_message ?? "nothing").waitFor();
    wrong.remove();
    await view.button("Retry lost").click();
    await row.getByText(/^completed$/i).waitFor();
    expect(await box.count()).toBe(0);
  });

  test.each(LOOKS)(
    "R116 all are paused, resumed, cancelled with the result told, in %s at %i px",
    async (theme, width) => {
      slow(world);
      const all = await line(world, ["one", "two", "three"]);
      const view = await world.open({ theme, width });
      await rowOf(view, "three").waitFor();
      expect(await view.button("Resume all").isDisabled()).toBe(true);
      await view.button("Pause all").click();
      await view.page.getByText("3 downloads paused").waitFor();
      for (const { id } of all) expect((await world.daemon.one(id)).state).toBe("paused");
      await until(() => view.button("Pause all").isDisabled(), "nothing left to pause");
      await view.button("Resume all").click();
      await view.page.getByText("3 downloads resumed").waitFor();
      await view.button("Cancel all").click();
      await view.button("Cancel all", view.page.getByRole("alertdialog")).click();
      await view.page.getByText("3 downloads cancelled").waitFor();
      for (const { id } of all) expect((await world.daemon.one(id)).state).toBe("cancelled");
      await until(() => view.button("Cancel all").isDisabled(), "nothing left to cancel");
    },
  );

  test("R116 while all are being cancelled the button says so and cannot be pressed", async () => {
    slow(world);
    await line(world, ["one", "two"]);
    const gate = Promise.withResolvers<void>();
    const view = await world.open({
      prepare: (page) =>
        page.route("**/v1/downloads/cancel", async (route) => {
          await gate.promise;
          await route.continue();
        }),
    });
    await view.button("Cancel all").click();
    await view.button("Cancel all", view.page.getByRole("alertdialog")).click();
    const button = view.button("Cancelling…");
    await button.waitFor();
    expect(await button.isDisabled()).toBe(true);
    gate.resolve();
    await view.page.getByText("2 downloads cancelled").waitFor();
    await view.button("Cancel all").waitFor();
  });

  test("R123 R126 an engine to come is shown with its id, GPU and Auto-load", async () => {
    slow(world);
    await begin(world, 0, "with-engine", {
      engine: { engine_id: "my-engine", main_gpu_id: 1, load_immediately: false },
    });
    const view = await world.open();
    const row = rowOf(view, "with-engine");
    await row
      .getByText(/engine my-engine/)
      .first()
      .waitFor();
    await view.button("with-engine").click();
    const box = row.getByRole("region", { name: "Engine" });
    expect(await box.textContent()).toMatch(/Engine my-engine.*GPU1.*Auto-loadNo/);
    await row.getByText("Startup download").waitFor();
  });

  test("R114 R117 a refresh that fails is told in a banner, one that works clears it; it shows that it is busy", async () => {
    slow(world);
    await begin(world, 0, "there");
    const view = await world.open();
    await rowOf(view, "there").waitFor();
    const refresh = view.button("Refresh now");
    const gate = Promise.withResolvers<void>();
    let asked = 0;
    await view.page.route("**/v1/downloads?**", async (route) => {
      asked += 1;
      await gate.promise;
      await route.fulfill({
        status: 500,
        json: {
          error: { message: "The database is being moved.", type: "server_error", param: null, code: null },
        },
      });
    });
    view.allow(/500/);
    await refresh.click();
    await view.page.locator('[aria-busy="true"]:visible').waitFor();
    await refresh.click();
    gate.resolve();
    const banner = view.page.getByRole("alert").filter({ hasText: "The database is being moved." });
    await banner.waitFor();
    expect(asked).toBe(1);
    await view.page.unroute("**/v1/downloads?**");
    await view.button("Try again", banner).click();
    await banner.waitFor({ state: "detached" });
    await rowOf(view, "there").waitFor();
  });

  test("R118 nothing at all, and nothing that matches", async () => {
    const view = await world.open();
    await view.page.getByText("No active downloads").waitFor();
    slow(world);
    await begin(world, 0, "there");
    await rowOf(view, "there").waitFor();
    await view.field("Search").fill("something else");
    await view.page.getByText("No downloads match “something else”").waitFor();
    await view.button("Show all").click();
    await rowOf(view, "there").waitFor();
  });
});

describe.skipIf(!hasBrowser)("more of a download", () => {
  const world = downloadsWorld({
    hub: {
      repos: [
        {
          id: "acme/many",
          files: [
            { path: "config.json", content: "{}" },
            { path: "model-00001-of-00002.safetensors", content: "a".repeat(1000) },
            { path: "model-00002-of-00002.safetensors", content: "b".repeat(8 * MIB) },
          ],
        },
      ],
    },
  });

  test.each(LOOKS)("files are shown on demand and move, in %s at %i px", async (theme, width) => {
    const { hub, daemon } = world;
    hub.cdn.limits.rateTotal = 192 * 1024;
    const { id } = await daemon.begin({ repo_id: "acme/many" });
    await daemon.until(id, (it) => it.files_done === 2 && it.progress.downloaded_bytes > 2000);
    const view = await world.open({ theme, width });
    await view.button("acme/many").click();
    expect(await view.page.getByText("config.json").count()).toBe(0);
    await view.button(/Show files/).click();
    const files = view.page.getByRole("list", { name: "Files of this download" });
    await files.getByText("config.json").waitFor();
    const moving = files.getByRole("listitem").filter({ hasText: "model-00002-of-00002" });
    await until(
      async () => Number(await moving.getByRole("progressbar").getAttribute("value")) > 0,
      "progress",
    );
    expect(await files.getByRole("listitem").filter({ hasText: "model-00001" }).textContent()).toContain(
      "Verified",
    );
    expect(await view.overflows()).toBe(false);
    delete hub.cdn.limits.rateTotal;
    await moving.getByText("Verified").waitFor();
    await view.button(/Hide files/).click();
    expect(await files.count()).toBe(0);
  });

  test("R136 a speed limit for one download, and for all together", async () => {
    slow(world);
    const { id } = await begin(world, 0, "limited");
    const view = await world.open();
    await choose(view, "limited", "Speed limit…");
    const dialog = view.dialog("Speed limit of limited");
    await view.field("Limit", dialog).fill("nothing");
    await view.button("Save", dialog).click();
    await dialog.getByText("A number above 0").waitFor();
    await view.field("Limit", dialog).fill("2.5");
    await view.button("Save", dialog).click();
    await rowOf(view, "limited")
      .getByText(/at most 2\.50 MB\/s/)
      .waitFor();
    expect((await world.daemon.one(id)).rate_limit_bps).toBe(2.5 * 1024 ** 2);
    await choose(view, "limited", "Speed limit…");
    expect(await view.field("Limit", dialog).inputValue()).toBe("2.5");
    await view.button("No limit", dialog).click();
    await until(async () => (await world.daemon.one(id)).rate_limit_bps === 0, "no limit");

    await view.button("More for all downloads").click();
    await view.menuItem(/Total speed limit/).click();
    const total = view.dialog("Speed limit of all downloads together");
    await view.field("Limit", total).fill("300");
    await view.field("Unit", total).selectOption("KB/s");
    await view.field("Limit", total).press("Enter");
    await until(
      async () => (await world.daemon.must("GET", "/v1/settings")).rate_limit_bps === 300 * 1024,
      "the limit of all",
    );
  });

  test("R131 total speed is a figure and a chart of the last minutes, whose library comes by itself", async () => {
    await world.daemon.must("PATCH", "/v1/settings", { rate_limit_bps: 512 * 1024 });
    await begin(world, 0, "moving");
    const view = await world.open();
    const chart = view.page.getByRole("img", { name: "Total speed of the last 5 minutes" });
    await chart.locator("canvas").waitFor();
    await view.page.getByText(/^highest [1-9]/).waitFor();
    const isDrawn = () =>
      chart.locator("canvas").evaluate((canvas: HTMLCanvasElement) => {
        const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
        for (let at = 0; at < data.length; at += 4)
          if (data[at + 3]! > 200 && data[at + 2]! > data[at]! + 60) return true;
        return false;
      });
    view.allow(/willReadFrequently/);
    await until(isDrawn, "a line in the chart");
  });

  test("finished ones are removed from the list, and one with its files", async () => {
    const first = await begin(world, 0, "keep-file");
    const second = await begin(world, 1, "lose-file");
    const paths = [];
    for (const { id } of [first, second]) paths.push((await world.daemon.until(id, "completed")).local_path!);
    const view = await world.open();
    await choose(view, "lose-file", /delete files/);
    await view.button("Delete files", view.page.getByRole("alertdialog")).click();
    await rowOf(view, "lose-file").waitFor({ state: "detached" });
    await view.button("More for all downloads").click();
    await view.menuItem("Remove finished (1)").click();
    await view.button("Remove from list", view.page.getByRole("alertdialog")).click();
    await view.page.getByText("No active downloads").waitFor();
    expect(await Promise.all(paths.map((path) => Bun.file(path).exists()))).toEqual([true, false]);
  });

  test("R135 priority decides who is next", async () => {
    slow(world);
    await line(world, ["first", "second", "third", "fourth"]);
    const view = await world.open();
    await rowOf(view, "fourth").waitFor();
    expect(await names(view)).toEqual(["first", "second", "third", "fourth"]);
    await choose(view, "fourth", "High priority");
    await until(async () => (await names(view)).join() === "first,fourth,second,third", "the new order");
    await rowOf(view, "fourth")
      .getByText(/priority 10/)
      .first()
      .waitFor();
  });
});
