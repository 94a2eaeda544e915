import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { until } from "../support/until.ts";
import { hasBrowser, type View } from "./browser.ts";
import { downloadsWorld, line, rowOf, slow } from "./downloads-world.ts";

setDefaultTimeout(60_000);

const NAMES = Array.from({ length: 8 }, (_, at) => `number-${at}`);

/** Holds answers of commands like this until they are let go; which were asked, and how many at most at once. */
async function held(view: View, pattern: string) {
  const go = Promise.withResolvers<void>();
  const seen = { asked: 0, open: 0, most: 0, go: go.resolve };
  await view.page.route(pattern, async (route) => {
    // Where what has changed stands in the queue is asked for a moment later.
    if (route.request().method() === "GET") return route.fallback();
    seen.asked += 1;
    seen.open += 1;
    seen.most = Math.max(seen.most, seen.open);
    const answer = await route.fetch();
    await go.promise;
    seen.open -= 1;
    await route.fulfill({ response: answer });
  });
  return seen;
}

describe.skipIf(!hasBrowser)("what is done to a selection", () => {
  const world = downloadsWorld();

  const all = async (): Promise<{ view: View; ids: string[] }> => {
    slow(world);
    const begun = await line(world, NAMES);
    const view = await world.open();
    await rowOf(view, NAMES.at(-1)!).waitFor();
    await rowOf(view, NAMES[0]!).focus();
    await view.page.keyboard.press("Control+a");
    await view.page.getByText("8 selected").waitFor();
    return { view, ids: begun.map(({ id }) => id) };
  };

  test("R135 is shown for all at once, done three at a time and once, and told once", async () => {
    const { view, ids } = await all();
    const asked = await held(view, "**/v1/downloads/*/pause");
    await view.button("Pause").press("Enter");
    await until(async () => asked.open === 3, "three at a time");
    for (const name of NAMES)
      await rowOf(view, name)
        .getByText(/^paused$/i)
        .waitFor();
    for (const name of ["Pause", "Resume", "Cancel"])
      expect([name, await view.button(name).isDisabled()]).toEqual([name, true]);
    await view.page.getByText(/working/).waitFor();
    await view.page.keyboard.press("Enter");
    asked.go();
    await view.page.getByText("8 downloads paused").waitFor();
    expect([asked.asked, asked.most]).toEqual([8, 3]);
    expect(await view.page.locator(".toast").count()).toBe(1);
    expect(await view.page.getByText(/working/).count()).toBe(0);
    const states = await Promise.all(ids.map(async (id) => (await world.daemon.one(id)).state));
    expect(new Set(states)).toEqual(new Set(["paused"]));
  });

  test.each(["Pause", "Cancel"])("R135 %s of what runs and waits begins none that wait", async (verb) => {
    const { view } = await all();
    const before = world.origin.requests().length;
    await view.button(verb).press("Enter");
    if (verb === "Cancel") await view.button("Cancel downloads").click();
    await view.page.getByText(/^8 downloads (paused|cancelled)$/).waitFor();
    const begun = world.origin.requests().slice(before);
    expect(begun.filter(({ path }) => path !== "/0.gguf")).toEqual([]);
  });

  test("R135 what is refused is shown as it was, and told with its reason among the rest", async () => {
    const { view, ids } = await all();
    view.allow(/503/);
    await view.page.route(`**/v1/downloads/${ids[3]}/pause`, (route) =>
      route.fulfill({ status: 503, json: { error: { message: "Not now", type: "server_error" } } }),
    );
    await view.button("Pause").press("Enter");
    await view.page.getByText("7 downloads paused; 1 download not: number-3: Not now").waitFor();
    await rowOf(view, "number-3")
      .getByText(/^(queued|downloading)$/i)
      .waitFor();
    await view.page.unrouteAll();
  });

  test("R135 a priority is shown for all at once, and asked for three at a time", async () => {
    const { view, ids } = await all();
    const asked = await held(view, `**/v1/downloads/*`);
    await view.button("More for selected downloads").click();
    await view.menuItem("High priority").click();
    await until(async () => asked.open === 3, "three at a time");
    asked.go();
    await view.page.getByText("8 downloads changed").waitFor();
    expect([asked.asked, asked.most]).toEqual([8, 3]);
    for (const id of ids) expect((await world.daemon.one(id)).priority).toBeGreaterThan(0);
    await view.page.unrouteAll();
  });
});
