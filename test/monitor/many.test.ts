import { describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Locator } from "playwright-core";
import { until } from "../support/until.ts";
import { hasBrowser, monitorWorld, PHONE, type View, WIDE } from "./browser.ts";

setDefaultTimeout(240_000);

const MANY = 10_000;
const AT_ONCE = 100;

describe.skipIf(!hasBrowser)("ten thousand downloads", () => {
  const world = monitorWorld({ origin: { resources: [{ path: "/m.bin", seed: 1, size: 1000 }] } });

  /** They wait: nothing new is started. */
  async function fill(): Promise<void> {
    await world.daemon.must("PATCH", "/v1/settings", { paused: true });
    const start = (index: number) =>
      world.daemon.begin({ url: world.origin.url(`/m.bin?${index}`), model_id: `many-${index}` });
    // Of requests at the same time nobody knows which comes first.
    for (let index = 0; index < AT_ONCE; index += 1) await start(index);
    for (let from = AT_ONCE; from < MANY; from += AT_ONCE)
      await Promise.all(Array.from({ length: AT_ONCE }, (_, each) => start(from + each)));
  }

  const rows = (view: View): Locator =>
    view.page.getByRole("list", { name: "Downloads" }).getByRole("listitem");
  const focused = (view: View): Promise<string | null> =>
    view.page.evaluate(() => document.activeElement?.getAttribute("aria-posinset") ?? null);
  /** Longest time between two frames, milliseconds, while the list is scrolled from one end to the other. */
  const scroll = (view: View): Promise<number> =>
    view.page.evaluate(async () => {
      const scroller = document.querySelector("[data-scroller]") as HTMLElement;
      const frame = () => new Promise<number>((resolve) => requestAnimationFrame(resolve));
      let last = await frame();
      let longest = 0;
      for (let step = 0; step <= 60; step += 1) {
        scroller.scrollTop = (scroller.scrollHeight * step) / 60;
        const now = await frame();
        longest = Math.max(longest, now - last);
        last = now;
      }
      return longest;
    });

  test("are all in the list, of which only what is in sight is drawn; keys and the wheel lead through it", async () => {
    await fill();
    for (const width of [WIDE, PHONE]) {
      const view = await world.open({ width });
      await until(
        async () => (await rows(view).first().getAttribute("aria-setsize")) === String(MANY),
        "all",
        {
          timeoutMs: 60_000,
        },
      );
      const drawn = () => rows(view).count();
      expect(await drawn()).toBeLessThan(60);
      console.log(`longest frame while scrolling at ${width} px: ${Math.round(await scroll(view))} ms`);
      expect(await drawn()).toBeLessThan(60);
      await until(
        async () => (await rows(view).last().getAttribute("aria-posinset")) === String(MANY),
        "the end",
      );

      await view.page.evaluate(() => document.querySelector("[data-scroller]")?.scrollTo(0, 0));
      await until(async () => (await rows(view).first().getAttribute("aria-posinset")) === "1", "the start");
      await rows(view).first().focus();
      const press = async (key: string, position: number): Promise<void> => {
        await view.page.keyboard.press(key);
        await until(async () => (await focused(view)) === String(position), `the focus at ${position}`);
      };
      await press("ArrowDown", 2);
      await press("End", MANY);
      expect(await rows(view).last().isVisible()).toBe(true);
      await press("ArrowUp", MANY - 1);
      await press("Home", 1);
      await view.page.keyboard.press("PageDown");
      await until(async () => Number(await focused(view)) > 3, "a page on");
    }
  });

  test("the focus stays on its row while others come, go and change places", async () => {
    const view = await world.open();
    await until(async () => (await rows(view).count()) > 5, "rows", { timeoutMs: 60_000 });
    const name = "many-3";
    const row = rows(view).filter({ has: view.page.getByText(name, { exact: true }) });
    await row.focus();
    const isFocused = () => row.evaluate((element) => element === document.activeElement);
    const place = () => row.getAttribute("aria-posinset");
    expect(await place()).toBe("4");
    await world.daemon.must("POST", "/v1/downloads/many-0/cancel");
    await until(async () => (await place()) === "3", "the row to move up");
    expect(await isFocused()).toBe(true);
    await world.daemon.must("PATCH", "/v1/downloads/many-9000", { position: 1 });
    await until(async () => (await place()) === "4", "the row to move down");
    expect(await isFocused()).toBe(true);
    await world.daemon.must("PATCH", `/v1/downloads/${name}`, { position: 1 });
    await until(async () => (await place()) === "1", "the row to be first");
    expect(await isFocused()).toBe(true);
    // Out of sight, it keeps the focus and is there when it comes back.
    await view.page.mouse.move(700, 600);
    await view.page.mouse.wheel(0, 100_000);
    await until(
      async () => Number(await rows(view).last().getAttribute("aria-posinset")) > 100,
      "other rows",
    );
    expect(await isFocused()).toBe(true);
    await view.page.keyboard.press("ArrowDown");
    await until(async () => (await focused(view)) === "2", "the next row");
    await world.daemon.must("DELETE", "/v1/downloads");
  });
});
