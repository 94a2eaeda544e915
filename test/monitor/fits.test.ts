import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { ggufRepo } from "../support/hub.ts";
import { hasBrowser, PHONE, type View } from "./browser.ts";
import { begin, downloadsWorld, rowOf, slow } from "./downloads-world.ts";

setDefaultTimeout(60_000);

const REPO = "acme/a-model-with-a-name-of-some-length-GGUF";

describe.skipIf(!hasBrowser)("what a reader is to see", () => {
  const world = downloadsWorld({ hub: { repos: [ggufRepo(REPO)] } });

  const moving = async (): Promise<void> => {
    slow(world);
    const { id } = await begin(world, 0, "moving");
    await world.daemon.until(id, ({ progress }) => progress.downloaded_bytes > 0);
  };
  const textOf = async (view: View, selector: string): Promise<string> =>
    (await rowOf(view, "moving").locator(selector).textContent()) ?? "";

  test("A27 free space stands in the head, on phones, tablets and wide screens", async () => {
    const view = await world.open();
    const free = view.page.locator("header").getByText(/ free$/);
    for (const width of [360, 390, 600, 761, 768, 900, 960, 961, 1100, 1440]) {
      await view.page.setViewportSize({ width, height: 900 });
      await free.waitFor({ timeout: 5_000 });
    }
  });

  test("A27 where a date is too long for its place on a phone it breaks before the hour", async () => {
    await moving();
    for (const locale of ["en-US", "de-DE", "ko-KR", "ar-EG"]) {
      const view = await world.open({ width: PHONE, locale });
      await view.button("moving").click();
      const added = view.page.locator(".fact", { hasText: "Added" }).locator("dd");
      const breaks = (await added.textContent())?.match(/ /g) ?? [];
      expect([locale, breaks.length]).toEqual([locale, 1]);
      const { height, line } = await added.evaluate((it) => ({
        height: it.getBoundingClientRect().height,
        line: Number.parseFloat(getComputedStyle(it).lineHeight),
      }));
      expect(height).toBeLessThan(2.5 * line);
    }
  });

  test("A27 shares, times and counts are written as the reader writes them", async () => {
    await moving();
    const german = await world.open({ locale: "de-DE" });
    await rowOf(german, "moving").waitFor();
    expect(await textOf(german, ".dl-percent")).toMatch(/^\d+,\d\s%$/);
    const arabic = await world.open({ locale: "ar-EG" });
    await rowOf(arabic, "moving")
      .getByText(/elapsed/)
      .waitFor();
    const written = [
      await textOf(arabic, ".dl-percent"),
      await textOf(arabic, ".dl-elapsed"),
      (await arabic.button(/^All/).textContent()) ?? "",
    ];
    for (const text of written) expect(text).toMatch(/^[^0-9]*[٠-٩][^0-9]*$/);
  });

  test("A27 R135 in a window so low that nothing but the buttons would be left, all of Add scrolls", async () => {
    const view = await world.open({ at: "/#/add" });
    await view.page.setViewportSize({ width: 320, height: 256 });
    await view.field("URL, repository or model").fill(REPO);
    await view.button("Look up").click();
    const box = view.page.getByRole("checkbox", { name: /^Q4_K_M/ });
    await box.waitFor();
    await box.evaluate((it) => it.scrollIntoView({ block: "center" }));
    const isFree = await view.page.evaluate(() => {
      const main = document.querySelector("main")!.getBoundingClientRect();
      const foot = document.querySelector(".add-foot")!.getBoundingClientRect();
      return foot.top >= main.bottom - 1 || foot.height < main.height / 3;
    });
    expect(isFree).toBe(true);
    await view.button("Download").click();
    await view.page.waitForURL(/#\/downloads$/);
  });

  test("A27 a message about the longest name leaves the page in sight, and its buttons in reach", async () => {
    const name = "a-name-".repeat(60);
    slow(world);
    const { id } = await begin(world, 0, name);
    await world.daemon.until(id, "downloading");
    const view = await world.open({ width: PHONE });
    await view.button(`Cancel ${name}`).click();
    await view.button("Cancel download").click();
    const message = view.page.locator(".toast");
    await message.waitFor();
    expect((await message.boundingBox())?.height).toBeLessThan(150);
    await view.button("Start again", message).click();
    await world.daemon.until(id, ({ state }) => state !== "cancelled");
  });

  test("A27 on a phone on its side the name of a model is not cut", async () => {
    const { id } = await world.daemon.begin({ repo_id: REPO, include: ["*Q4_K_M*"] });
    await world.daemon.until(id, "completed");
    const view = await world.open({ at: "/#/models" });
    await view.page.setViewportSize({ width: 844, height: 390 });
    const name = view.page.getByRole("list", { name: "Models" }).locator("strong").first();
    await name.waitFor();
    expect(await name.evaluate((it) => it.scrollWidth <= it.clientWidth)).toBe(true);
  });
});
