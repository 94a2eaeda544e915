import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { until } from "../support/until.ts";
import { hasBrowser, WIDE } from "./browser.ts";
import { begin, downloadsWorld, line, rowOf, slow } from "./downloads-world.ts";

setDefaultTimeout(60_000);

describe.skipIf(!hasBrowser)("downloads that are begun or looked for again", () => {
  const world = downloadsWorld();

  test("R116 all that were cancelled can be started again", async () => {
    slow(world);
    const all = await line(world, ["one", "two", "three"]);
    const view = await world.open();
    await rowOf(view, "three").waitFor();
    await view.button("Cancel all").click();
    await view.button("Cancel all", view.page.getByRole("alertdialog")).click();
    await view.button("Start again", view.page.locator(".toast")).click();
    await view.page.getByText("3 downloads queued again").waitFor();
    for (const { id } of all) expect((await world.daemon.one(id)).state).toMatch(/^(queued|downloading)$/);
  });

  test("R122 what a retry does not mend is added again, looked up already", async () => {
    world.origin.on({ path: "/0.gguf" }, { kind: "respond", status: 404 });
    await begin(world, 0, "lost");
    const view = await world.open();
    await rowOf(view, "lost")
      .getByText(/^failed$/i)
      .waitFor();
    await view.button("lost").click();
    await view.link("Add it again").click();
    await view.page.getByRole("list", { name: "To download" }).getByText("0.gguf").first().waitFor();
  });

  test("R117 a refresh pressed twice keeps the banner of the one that failed", async () => {
    const view = await world.open();
    await view.button("Connection: live").waitFor();
    view.allow(/500/);
    const [list, settings] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    await view.page.route("**/v1/downloads?**", async (route) => {
      await list.promise;
      await route.fulfill({ status: 500, json: { error: { message: "Not now." } } });
    });
    await view.button("Refresh now").click();
    await view.page.locator('[aria-busy="true"]:visible').waitFor();
    const asked = view.page.waitForRequest("**/v1/settings");
    await view.page.route("**/v1/settings", async (route) => {
      await settings.promise;
      await route.continue();
    });
    await view.button("Refresh now").click();
    await asked;
    list.resolve();
    const banner = view.page.getByRole("alert").filter({ hasText: "Not now." });
    await banner.waitFor();
    const answered = view.page.waitForResponse("**/v1/settings");
    settings.resolve();
    await (await answered).finished();
    await view.page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn))));
    expect(await banner.count()).toBe(1);
  });

  test("R135 what is searched for is seen from its beginning", async () => {
    slow(world);
    await line(
      world,
      Array.from({ length: 12 }, (_, at) => `number-${at}`),
    );
    const view = await world.open();
    await view.page.setViewportSize({ width: WIDE, height: 500 });
    await rowOf(view, "number-0").waitFor();
    const scroller = view.page.locator("[data-scroller]");
    await scroller.evaluate((it) => it.scrollTo(0, it.scrollHeight));
    await rowOf(view, "number-11").waitFor();
    await view.field("Search").fill("number");
    await until(
      () =>
        rowOf(view, "number-0").evaluate((it) => {
          const { left, top } = it.getBoundingClientRect();
          return document.elementFromPoint(left + 60, top + 4)?.closest("[data-id]") === it;
        }),
      "the first one to be in sight",
    );
  });
});
