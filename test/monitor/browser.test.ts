import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { until } from "../support/until.ts";
import { hasBrowser, LOOKS, monitorWorld, openView } from "./browser.ts";

setDefaultTimeout(60_000);

/** The page tells of everything that goes wrong in it, so that the other tests mean something. */
describe.skipIf(!hasBrowser)("what goes wrong in a page", () => {
  const world = monitorWorld();

  test.each(LOOKS)("nothing does in %s at %i px as it opens", async (theme, width) => {
    const { page, complaints } = await world.open({ theme, width });
    await page.getByRole("status").first().waitFor();
    expect(
      await page.evaluate(() => [innerWidth, matchMedia("(prefers-color-scheme: dark)").matches]),
    ).toEqual([width, theme === "dark"]);
    expect(complaints).toEqual([]);
  });

  test("an error, a refused script, a missing file and an unreachable server are seen", async () => {
    const view = await openView(world.browser, world.daemon.base);
    await view.page.evaluate(async () => {
      setTimeout(() => {
        throw new Error("a fault of the page");
      });
      const script = document.createElement("script");
      script.textContent = "document.title = 'run'";
      document.body.append(script);
      await fetch("/v1/downloads/nobody");
      await fetch("http://127.0.0.1:9/").catch(() => {});
    });
    await until(() => /a fault/.test(view.complaints.join()), "the fault to be told");
    await view.context.close();
    const all = view.complaints.join("\n");
    for (const part of [
      /uncaught: .*a fault of the page/,
      /CSP report: script-src-elem inline/,
      /answer: 404 GET .*\/v1\/downloads\/nobody/,
      /CSP report: connect-src/,
    ])
      expect(all).toMatch(part);
    view.allow(/CSP|Content Security|404|a fault|127\.0\.0\.1:9/);
    expect(view.unexpected).toEqual([]);
    expect(await view.page.isClosed()).toBe(true);
  });
});
