import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { hasBrowser, type View } from "./browser.ts";
import { begin, downloadsWorld, rowOf, slow } from "./downloads-world.ts";

setDefaultTimeout(60_000);

/** A name that leads to this machine: to a browser a page over http is secure on loopback addresses only. */
const HOST = "box.test";

describe.skipIf(!hasBrowser)("on a page that is not secure", () => {
  const world = downloadsWorld({
    args: ["--allow-host", HOST],
    chromiumArgs: [`--host-resolver-rules=MAP ${HOST} 127.0.0.1`],
  });

  const open = async (): Promise<View> => {
    const view = await world.open({ at: world.daemon.base.replace("127.0.0.1", HOST) });
    // Said of every page that comes over http.
    view.allow(/Cross-Origin-Opener-Policy/);
    return view;
  };

  test.each(["Copy address", "Copy path"])("A27 %s of a download works all the same", async (act) => {
    slow(world);
    const { id } = await begin(world, 0, "the-model");
    await world.daemon.until(id, "downloading");
    const { url = "", local_path = "" } = await world.daemon.one(id);
    const view = await open();
    await rowOf(view, "the-model").waitFor();
    expect(await view.page.evaluate(() => isSecureContext)).toBe(false);
    await view.button("Connection: live").waitFor();
    await view.button("More for the-model").click();
    await view.menuItem(act).click();
    await view.page.getByText(/^(Address|Path) copied$/).waitFor();
    await view.field("Search").focus();
    await view.page.keyboard.press("Control+v");
    expect(await view.field("Search").inputValue()).toBe(act === "Copy path" ? local_path : url);
  });

  test("A14 A26 without a key the page works under a name that the operator allows, too", async () => {
    slow(world);
    const { id } = await begin(world, 0, "the-model");
    await world.daemon.until(id, "downloading");
    const view = await open();
    await view.button("Connection: live").waitFor();
    await view.button("Pause the-model").click();
    await world.daemon.until(id, "paused");
  });
});
