import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { until } from "../support/until.ts";
import { hasBrowser, LOOKS, type View } from "./browser.ts";
import { begin, downloadsWorld, line, names, rowOf, slow } from "./downloads-world.ts";

setDefaultTimeout(90_000);

/** Name of the row that has the focus. */
const focused = (view: View): Promise<string> =>
  view.page.evaluate(
    () => document.activeElement?.closest("[role=listitem]")?.querySelector("button")?.textContent ?? "",
  );

/** Tab from the top of the page until a row of the list has the focus, as a person without a mouse does. */
async function tabToList(view: View): Promise<void> {
  for (let presses = 0; presses < 60; presses++) {
    await view.page.keyboard.press("Tab");
    if (await view.page.evaluate(() => document.activeElement?.getAttribute("role") === "listitem")) return;
  }
  throw new Error("Tab does not lead to the list");
}

const press = async (view: View, ...keys: string[]): Promise<void> => {
  for (const key of keys) await view.page.keyboard.press(key);
};

describe.skipIf(!hasBrowser)("without a mouse", () => {
  const world = downloadsWorld();

  test.each(LOOKS)("R135 a download is reordered and cancelled, in %s at %i px", async (theme, width) => {
    slow(world);
    const [, , , fourth] = await line(world, ["first", "second", "third", "fourth"]);
    const view = await world.open({ theme, width });
    await rowOf(view, "fourth").waitFor();
    await tabToList(view);
    await press(view, "End");
    await until(async () => (await focused(view)) === "fourth", "the focus on the last");
    /** On the page and at the server. */
    const standsAt = async (place: number, order: string): Promise<void> => {
      await until(async () => (await names(view)).join() === order, order);
      await until(async () => (await world.daemon.one(fourth!.id)).position === place, `place ${place}`);
      expect(await focused(view)).toBe("fourth");
    };
    await press(view, "Alt+ArrowUp");
    await standsAt(2, "first,second,fourth,third");
    await view.page.getByText("fourth: place 2 of 3 in the queue").waitFor({ state: "attached" });
    await press(view, "Alt+Home");
    await standsAt(1, "first,fourth,second,third");
    await press(view, "Alt+ArrowDown", "Alt+ArrowDown", "Alt+ArrowUp", "Alt+End");
    await standsAt(3, "first,second,third,fourth");
    await press(view, "Alt+ArrowUp");
    await standsAt(2, "first,second,fourth,third");
    await press(view, "Delete");
    const question = view.page.getByRole("alertdialog", { name: "Cancel fourth?" });
    await question.waitFor();
    await press(view, "Escape");
    await question.waitFor({ state: "detached" });
    expect((await world.daemon.one(fourth!.id)).state).toBe("queued");
    await until(async () => (await focused(view)) === "fourth", "the focus back on the row");
    await press(view, "Delete");
    await question.waitFor();
    for (let presses = 0; presses < 4; presses++) {
      const word = await view.page.evaluate(() => document.activeElement?.textContent);
      if (word === "Cancel download") break;
      await press(view, "Tab");
    }
    await press(view, "Enter");
    await world.daemon.until(fourth!.id, "cancelled");
    await rowOf(view, "fourth")
      .getByText(/^cancelled$/i)
      .waitFor();
    await until(async () => (await focused(view)) === "fourth", "the focus back on the row");
    await view.page.getByText("fourth cancelled").waitFor();
    await press(view, "r");
    await until(async () => {
      const { state } = await world.daemon.one(fourth!.id);
      if (state === "queued") return true;
      const row = await rowOf(view, "fourth").textContent();
      throw new Error(`${state}, the focus on ${await focused(view)}, the row says ${row}`);
    }, "another try");
  });

  test("details, pause, resume and the buttons of a row", async () => {
    slow(world);
    const { id } = await begin(world, 0, "only");
    await world.daemon.until(id, "downloading");
    const view = await world.open();
    await rowOf(view, "only").waitFor();
    await tabToList(view);
    await press(view, "Enter");
    await rowOf(view, "only").getByText("Regular download").waitFor();
    await press(view, "Enter");
    await rowOf(view, "only").getByText("Regular download").waitFor({ state: "detached" });
    await press(view, "p");
    await world.daemon.until(id, "paused");
    await rowOf(view, "only")
      .getByText(/^paused$/i)
      .waitFor();
    await press(view, "p");
    await world.daemon.until(id, "downloading");
    const reached: string[] = [];
    for (let presses = 0; presses < 5; presses++) {
      await press(view, "Tab");
      reached.push(
        await view.page.evaluate(
          () => document.activeElement?.ariaLabel ?? document.activeElement?.textContent ?? "",
        ),
      );
    }
    expect(reached).toEqual(["Select only", "only", "Pause only", "Cancel only", "More for only"]);
    await view.page.keyboard.press("Enter");
    await view.menuItem("Speed limit…").waitFor();
    await press(view, "Escape");
    expect(await view.page.evaluate(() => document.activeElement?.ariaLabel)).toBe("More for only");
  });

  test("what is pressed while a command is under way is done after it", async () => {
    slow(world);
    const { id } = await begin(world, 0, "only");
    await world.daemon.until(id, "downloading");
    const view = await world.open();
    const answered = Promise.withResolvers<void>();
    await view.page.route("**/pause", async (route) => {
      const answer = await route.fetch();
      await answered.promise;
      await route.fulfill({ response: answer });
    });
    await rowOf(view, "only").waitFor();
    await tabToList(view);
    await press(view, "p");
    await world.daemon.until(id, "paused");
    await rowOf(view, "only")
      .getByText(/^paused$/i)
      .waitFor();
    await press(view, "p");
    answered.resolve();
    await world.daemon.until(id, "downloading");
  });

  test("several are selected and paused at once; Escape selects none", async () => {
    slow(world);
    const all = await line(world, ["one", "two", "three", "four"]);
    const view = await world.open();
    await rowOf(view, "four").waitFor();
    await tabToList(view);
    await until(async () => (await focused(view)) === "one", "the focus on the first");
    await press(view, "ArrowDown", "Shift+ArrowDown", "Shift+ArrowDown");
    await view.page.getByText("3 selected").waitFor();
    await press(view, "Shift+ArrowUp");
    await view.page.getByText("2 selected").waitFor();
    await view.button("Pause").press("Enter");
    await view.page.getByText("2 downloads paused").waitFor();
    const states = async () =>
      (await Promise.all(all.map(({ id }) => world.daemon.one(id)))).map((it) => it.state);
    expect(await states()).toEqual(["downloading", "paused", "paused", "queued"]);
    await rowOf(view, "one").focus();
    await press(view, "Control+a");
    await view.page.getByText("4 selected").waitFor();
    await press(view, "Escape");
    await view.button("Pause all").waitFor();
  });
});

describe.skipIf(!hasBrowser)("with the mouse", () => {
  const world = downloadsWorld();

  test("a range and single ones are selected; what is done is done to those it can be done to", async () => {
    slow(world);
    const all = await line(world, ["one", "two", "three", "four"]);
    await world.daemon.must("POST", `/v1/downloads/${all[3]!.id}/pause`);
    const view = await world.open();
    const click = (name: string, modifiers: ("Shift" | "Control")[] = []) =>
      rowOf(view, name)
        .getByText(/queued|downloading|paused/i)
        .first()
        .click({ modifiers });
    await click("two");
    await view.page.getByText("1 selected").waitFor();
    await click("four", ["Shift"]);
    await view.page.getByText("3 selected").waitFor();
    await click("three", ["Control"]);
    await view.page.getByText("2 selected").waitFor();
    expect(await view.button("Retry").isDisabled()).toBe(true);
    expect(await view.button("Remove").isDisabled()).toBe(true);
    await view.button("Pause").click();
    await view.page.getByText("1 download paused").waitFor();
    await view.button("Cancel").click();
    await view
      .button("Cancel downloads", view.page.getByRole("alertdialog", { name: "Cancel 2 downloads?" }))
      .click();
    await view.page.getByText("2 downloads cancelled").waitFor();
    const states = async () =>
      (await Promise.all(all.map(({ id }) => world.daemon.one(id)))).map((it) => it.state);
    expect(await states()).toEqual(["downloading", "cancelled", "queued", "cancelled"]);
    await view.button("Start again").click();
    await view.page.getByText("2 downloads queued again").waitFor();
    await view.button("Clear selection").click();
    expect(await view.page.getByText(/ selected$/).count()).toBe(0);
  });

  test.each(LOOKS)("R135 a waiting one is dragged to another place, in %s at %i px", async (theme, width) => {
    slow(world);
    const all = await line(world, ["first", "second", "third", "fourth"]);
    const view = await world.open({ theme, width });
    await rowOf(view, "fourth").waitFor();
    const grip = rowOf(view, "fourth").getByTitle("Drag to reorder");
    await grip.scrollIntoViewIfNeeded();
    const from = (await grip.boundingBox())!;
    await view.page.mouse.move(from.x + from.width / 2, from.y + from.height / 2);
    await view.page.mouse.down();
    // Near its edges the list scrolls by itself: the row is followed to where it is by now.
    const upperHalf = async () => {
      const { x, y } = (await rowOf(view, "second").boundingBox())!;
      return { x: x + 60, y: y + 10 };
    };
    for (let seen = { x: 0, y: 0 }, at = await upperHalf(); at.y !== seen.y; at = await upperHalf()) {
      await view.page.mouse.move(at.x, at.y, { steps: 5 });
      seen = at;
    }
    await view.page.mouse.up();
    await until(async () => (await names(view)).join() === "first,fourth,second,third", "the new order");
    await until(async () => (await world.daemon.one(all[3]!.id)).position === 1, "the server's order");
    expect(await rowOf(view, "first").getByTitle("Drag to reorder").count()).toBe(0);
    await view.field("Sort by").selectOption("Name");
    expect(await view.page.getByTitle("Drag to reorder").count()).toBe(0);
  });
});
