import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { until } from "../support/until.ts";
import { hasBrowser, type View } from "./browser.ts";
import { downloadsWorld, line, rowOf, slow } from "./downloads-world.ts";

setDefaultTimeout(60_000);

/** Words of what has the focus; nothing when the page has lost it. */
const focused = (view: View): Promise<string> =>
  view.page.evaluate(() => {
    const at = document.activeElement;
    if (at === null || at === document.body) return "";
    return at.closest("[role=listitem]")?.querySelector("button")?.textContent ?? at.textContent.trim();
  });

describe.skipIf(!hasBrowser)("the focus stays", () => {
  const world = downloadsWorld();

  test("R135 on what pauses and resumes everything", async () => {
    slow(world);
    const all = await line(world, ["one", "two"]);
    const view = await world.open();
    await rowOf(view, "two").waitFor();
    await view.button("Pause all").press("Enter");
    await view.page.getByText("2 downloads paused").waitFor();
    await until(() => view.button("Pause all").isDisabled(), "nothing left to pause");
    expect(await focused(view)).toBe("Pause all");
    await view.page.keyboard.press("Enter");
    await view.button("Resume all").press("Enter");
    await view.page.getByText("2 downloads resumed").waitFor();
    await until(() => view.button("Resume all").isDisabled(), "nothing left to resume");
    expect(await focused(view)).toBe("Resume all");
    expect((await world.daemon.one(all[1]!.id)).state).not.toBe("paused");
    // Left, it is off as any other.
    await view.page.keyboard.press("Tab");
    expect(await focused(view)).toBe("Cancel all");
    await until(async () => (await view.button("Resume all").getAttribute("disabled")) !== null, "it off");
  });

  test("R135 on what is done to a selection, and goes to the list when that is cleared", async () => {
    slow(world);
    await line(world, ["one", "two", "three"]);
    const view = await world.open();
    await rowOf(view, "two").focus();
    await view.page.keyboard.press("Control+a");
    await view.button("Pause").press("Enter");
    await view.page.getByText("3 downloads paused").waitFor();
    await until(() => view.button("Pause").isDisabled(), "nothing left to pause");
    expect(await focused(view)).toBe("Pause");
    await view.button("Resume").press("Enter");
    await view.page.getByText("3 downloads resumed").waitFor();
    await until(() => view.button("Resume").isDisabled(), "nothing left to resume");
    expect(await focused(view)).toBe("Resume");
    await view.button("Clear selection").press("Enter");
    await view.button("Pause all").waitFor();
    expect(await focused(view)).toBe("two");
  });

  test("R135 when a message goes with the button that was pressed", async () => {
    slow(world);
    const all = await line(world, ["one", "two"]);
    const view = await world.open();
    await rowOf(view, "two").focus();
    await view.page.keyboard.press("Delete");
    await view.button("Cancel download").press("Enter");
    await view.page.getByText("two cancelled").waitFor();
    await view.button("Start again").press("Enter");
    await world.daemon.until(all[1]!.id, "queued");
    await view.button("Start again").waitFor({ state: "detached" });
    expect(await focused(view)).toBe("two");
  });
});
