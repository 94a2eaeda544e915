import { describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Locator } from "playwright-core";
import { hasBrowser, PHONE, type Theme, type View, WIDE } from "./browser.ts";
import { begin, downloadsWorld, line, rowOf, slow } from "./downloads-world.ts";

setDefaultTimeout(60_000);

/** As it looks without focus and pointer. */
async function looks(view: View, what: Locator): Promise<string> {
  await view.page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
  await view.page.mouse.move(0, 0);
  return (await what.screenshot({ animations: "disabled" })).toString("base64");
}

describe.skipIf(!hasBrowser)("with colours of the reader's own", () => {
  const world = downloadsWorld();
  const open = (theme: Theme, width = WIDE, at = "/"): Promise<View> =>
    world.open({ theme, width, at, prepare: (page) => page.emulateMedia({ forcedColors: "active" }) });

  test.each(["light", "dark"] as const)("A27 in %s a switch shows whether it is on", async (theme) => {
    const view = await open(theme, WIDE, "/#/settings");
    const control = view.page.getByRole("switch", { name: "Notify when a download ends" });
    const track = view.page.locator(".switch", { has: control }).locator(".track");
    await track.waitFor();
    const isOn = await view.page.getByRole("switch", { name: "Live connection" }).isChecked();
    expect([isOn, await control.isChecked()]).toEqual([true, false]);
    const live = view.page
      .locator(".switch", { has: view.page.getByRole("switch", { name: "Live connection" }) })
      .locator(".track");
    expect(await looks(view, live)).not.toBe(await looks(view, track));
  });

  test.each(["light", "dark"] as const)("A27 in %s a bar shows how far it is", async (theme) => {
    await begin(world, 0, "done");
    await rowOf(await open(theme), "done")
      .getByText(/^completed$/i)
      .waitFor();
    slow(world);
    await line(world, ["runs", "waits"]);
    const view = await open(theme);
    const bar = (name: string) => rowOf(view, name).getByRole("progressbar");
    await bar("waits").waitFor();
    expect(await looks(view, bar("done"))).not.toBe(await looks(view, bar("waits")));
  });

  test.each(["light", "dark"] as const)(
    "A27 in %s the chosen filter is told from the others",
    async (theme) => {
      const view = await open(theme);
      const all = view.button(/^All/);
      const chosen = await looks(view, all);
      await view.button(/^Paused/).click();
      expect(await looks(view, all)).not.toBe(chosen);
    },
  );

  test("A27 on a phone, where it is a dot, the connection is seen", async () => {
    const view = await open("dark", PHONE);
    const dot = view.button("Connection: live");
    await dot.waitFor();
    const isLive = await looks(view, dot);
    await dot.evaluate((button) => button.classList.replace("live", "offline"));
    expect(await looks(view, view.button("Connection: live"))).not.toBe(isLive);
  });
});
