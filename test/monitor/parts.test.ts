import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { until } from "../support/until.ts";
import { hasBrowser, LOOKS, monitorWorld, type View } from "./browser.ts";

setDefaultTimeout(90_000);

const COUNT = 12;

describe.skipIf(!hasBrowser)("parts that every view is made of", () => {
  const world = monitorWorld({ origin: { resources: [{ path: "/m.bin", seed: 1, size: 1000 }] } });

  async function fill(): Promise<void> {
    await world.daemon.must("PATCH", "/v1/settings", { paused: true });
    for (let index = 0; index < COUNT; index += 1)
      await world.daemon.begin({ url: world.origin.url(`/m.bin?${index}`), model_id: `part-${index}` });
  }

  const focusName = (view: View) =>
    view.page.evaluate(() => {
      const { activeElement } = document;
      return activeElement?.getAttribute("aria-label") ?? activeElement?.textContent ?? "";
    });
  const isInside = (view: View, role: string) =>
    view.page.evaluate((wanted) => document.activeElement?.closest(`[role="${wanted}"]`) !== null, role);

  test.each(LOOKS)(
    "a menu: keys move and choose, Escape gives the focus back, in %s at %i px",
    async (theme, width) => {
      await fill();
      const view = await world.open({ theme, width });
      const button = view.button("More for part-2");
      await button.focus();
      await view.page.keyboard.press("Enter");
      const menu = view.page.getByRole("menu", { name: "More for part-2" });
      await menu.waitFor();
      expect(await button.getAttribute("aria-expanded")).toBe("true");
      const items = await menu.getByRole("menuitem").and(view.page.locator(":enabled")).allTextContents();
      await until(async () => (await focusName(view)) === items[0], "the first item");
      await view.page.keyboard.press("ArrowUp");
      expect(await focusName(view)).toBe(items.at(-1)!);
      await view.page.keyboard.press("ArrowDown");
      await view.page.keyboard.press("ArrowDown");
      expect(await focusName(view)).toBe(items[1]!);
      await view.page.keyboard.press("Escape");
      await menu.waitFor({ state: "detached" });
      expect(await focusName(view)).toBe("More for part-2");
      await button.click();
      await view.page.mouse.click(5, 200);
      await menu.waitFor({ state: "detached" });
      await world.forget();
    },
  );

  test("a menu at the foot of the window opens upwards and is seen whole", async () => {
    await fill();
    const view = await world.open();
    const button = view.button(`More for part-${COUNT - 1}`);
    await button.scrollIntoViewIfNeeded();
    await button.click();
    const menu = view.page.getByRole("menu");
    await until(async () => (await menu.boundingBox()) !== null, "the menu");
    const [list, opener] = [(await menu.boundingBox())!, (await button.boundingBox())!];
    expect(list.y).toBeGreaterThanOrEqual(0);
    expect(list.y + list.height).toBeLessThanOrEqual(900);
    expect(list.y + list.height <= opener.y || list.y >= opener.y + opener.height).toBe(true);
    await view.page.keyboard.press("Escape");
    await world.forget();
  });

  test.each(LOOKS)(
    "a question: the focus goes in, stays in and comes back; Escape is no; the result is told, in %s at %i px",
    async (theme, width) => {
      await fill();
      const view = await world.open({ theme, width });
      const button = view.button("Cancel part-3");
      await button.focus();
      await view.page.keyboard.press("Enter");
      const question = view.page.getByRole("alertdialog", { name: "Cancel part-3?" });
      await question.waitFor();
      expect(await focusName(view)).toBe("Keep it");
      for (let step = 0; step < 5; step += 1) {
        await view.page.keyboard.press("Tab");
        const isOut = await view.page.evaluate(
          () =>
            document.activeElement?.closest("dialog") === null && document.activeElement !== document.body,
        );
        expect(isOut).toBe(false);
      }
      await view.page.keyboard.press("Escape");
      await question.waitFor({ state: "detached" });
      await until(async () => (await focusName(view)) === "Cancel part-3", "the focus where it was");
      expect((await world.daemon.one("part-3")).state).toBe("queued");
      await view.page.keyboard.press("Enter");
      await view.button("Cancel download", question).click();
      const told = view.page.locator('[aria-live="polite"]', { hasText: "part-3 cancelled" });
      await told.waitFor();
      await view.button("Dismiss", told).click();
      await view.page.getByText("part-3 cancelled").waitFor({ state: "detached" });
      expect(await isInside(view, "alertdialog")).toBe(false);
      await world.forget();
    },
  );
});
