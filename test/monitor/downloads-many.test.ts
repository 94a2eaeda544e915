import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { until } from "../support/until.ts";
import { hasBrowser, LOOKS } from "./browser.ts";
import { begin, downloadsWorld, letGo, names, rowOf, slow } from "./downloads-world.ts";

setDefaultTimeout(180_000);

describe.skipIf(!hasBrowser)("the page over time", () => {
  const world = downloadsWorld();

  test.each(LOOKS)(
    "a reload in the middle loses nothing: filter, search, sort and the download, in %s at %i px",
    async (theme, width) => {
      slow(world);
      const { id } = await begin(world, 0, "alpha moving");
      await begin(world, 1, "alpha second");
      const paused = await begin(world, 2, "alpha paused");
      await world.daemon.must("POST", `/v1/downloads/${paused.id}/pause`);
      await begin(world, 3, "beta moving");
      await world.daemon.until(id, (it) => it.progress.downloaded_bytes > 0);
      const view = await world.open({ theme, width });
      await rowOf(view, "beta moving").waitFor();
      await view.button(/^Active \d/).click();
      await view.field("Search").fill("alpha");
      await view.field("Sort by").selectOption("Name");
      await view.button("Reverse order").click();
      const shown = ["alpha second", "alpha moving"];
      await until(async () => (await names(view)).join() === shown.join(), "what is asked for");
      const before = Number(await rowOf(view, "alpha moving").getByRole("progressbar").getAttribute("value"));
      await view.page.reload();
      await until(async () => (await names(view)).join() === shown.join(), "the same after the reload");
      expect(await view.field("Search").inputValue()).toBe("alpha");
      expect(await view.button(/^Active \d/).getAttribute("aria-pressed")).toBe("true");
      expect(await view.button("Reverse order").getAttribute("aria-pressed")).toBe("true");
      const after = Number(await rowOf(view, "alpha moving").getByRole("progressbar").getAttribute("value"));
      expect(after).toBeGreaterThanOrEqual(before);
      letGo(world);
      await view.button(/^Completed/).click();
      await rowOf(view, "alpha moving").getByText("100.0%").waitFor();
    },
  );

  test("an update draws one row and takes the focus from nobody", async () => {
    slow(world);
    await begin(world, 0, "moving");
    await begin(world, 1, "other");
    const view = await world.open();
    await rowOf(view, "moving").waitFor();
    const button = view.button("Pause moving");
    await button.focus();
    await button.evaluate((it) => Object.assign(window, { kept: it }));
    const bar = rowOf(view, "moving").getByRole("progressbar");
    const first = await bar.getAttribute("value");
    await until(async () => (await bar.getAttribute("value")) !== first, "progress");
    const isKept = await view.page.evaluate(
      () => document.activeElement === (window as unknown as { kept: Element }).kept,
    );
    expect(isKept).toBe(true);
  });
});

describe.skipIf(!hasBrowser)("ten thousand records", () => {
  const COUNT = 10_000;
  const world = downloadsWorld();

  test("are one list of which only what is in sight is drawn", async () => {
    await world.daemon.must("PATCH", "/v1/settings", { paused: true });
    const batch = 50;
    for (let from = 0; from < COUNT; from += batch)
      await Promise.all(
        Array.from({ length: batch }, (_, at) =>
          world.daemon.begin({
            url: world.origin.url(`/file-${from + at}.gguf`),
            model_id: `model ${from + at}`,
          }),
        ),
      );
    const view = await world.open();
    const { page } = view;
    await view
      .button(`All ${COUNT.toLocaleString("en-US")}`)
      .or(view.button(`All ${COUNT}`))
      .waitFor();
    const drawn = () => page.getByRole("list", { name: "Downloads" }).locator("> *").count();
    expect(await drawn()).toBeLessThan(80);
    await page.getByRole("list", { name: "Downloads" }).locator("> *").first().focus();
    await page.keyboard.press("End");
    // Added many at a time, they may have come in another order.
    const nth = (place: number) => page.locator(`[aria-posinset="${place}"]`);
    await nth(COUNT).waitFor();
    expect(await drawn()).toBeLessThan(80);
    await page.keyboard.press("Home");
    await nth(1).waitFor();
    await view.field("Search").fill("model 7777");
    await until(async () => (await names(view)).join() === "model 7777", "the one that is looked for");
    await view.field("Search").fill("");
    const frames = await page.evaluate(async () => {
      const scroller = document.querySelector("[data-scroller]")!;
      let longest = 0;
      let before = performance.now();
      for (let step = 0; step < 60; step++) {
        scroller.scrollTop += 1500;
        await new Promise((resolve) => requestAnimationFrame(resolve));
        const now = performance.now();
        longest = Math.max(longest, now - before);
        before = now;
      }
      return { longest, top: scroller.scrollTop };
    });
    expect(frames.top).toBeGreaterThan(50_000);
    console.log(
      `10 000 records: the longest of 60 frames while scrolling took ${frames.longest.toFixed(0)} ms`,
    );
  });
});
