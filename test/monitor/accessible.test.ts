import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { AxeResults } from "axe-core";
import { hasBrowser, LOOKS, monitorWorld, type View } from "./browser.ts";
import { PLACES, settled } from "./places.ts";
import { populate, usualRepos } from "./populated.ts";

/** An accessibility engine in every view and dialog, in both themes and both widths. */
setDefaultTimeout(120_000);

const ENGINE = readFileSync(Bun.resolveSync("axe-core/axe.min.js", import.meta.dir), "utf8");
const MIB = 1 << 20;

interface Axe {
  axe: { run(context: Document, options: object): Promise<AxeResults> };
}

/** What the engine holds to be serious or critical, with the elements it means. */
export async function seriousFaults({ page }: View): Promise<string[]> {
  await page.evaluate(ENGINE);
  const { violations } = await page.evaluate(() =>
    (window as unknown as Axe).axe.run(document, { resultTypes: ["violations"] }),
  );
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, help, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${help}\n  ${html}\n  ${failureSummary}`),
    );
}

/** The view as it stands, in every theme and width one after the other: what is open stays open. */
async function expectAccessible(view: View): Promise<void> {
  for (const [theme, width] of LOOKS) {
    await view.page.emulateMedia({ colorScheme: theme });
    await view.page.setViewportSize({ width, height: 900 });
    await settled(view);
    expect([theme, width, await seriousFaults(view)]).toEqual([theme, width, []]);
    expect([theme, width, await view.overflows()]).toEqual([theme, width, false]);
  }
}

describe.skipIf(!hasBrowser)(
  "nothing that keeps people out, in both themes, on a phone and a wide screen",
  () => {
    const world = monitorWorld({ hub: { repos: usualRepos(4 * MIB) } });
    beforeAll(() => populate(world, 64 * 1024), 120_000);

    test.each(PLACES.map((it) => [it.name, it] as const))("%s", async (_, { reach }) => {
      const view = await world.open({ reducedMotion: true });
      await reach(view);
      await expectAccessible(view);
    });

    test("R164 the download button and its page", async () => {
      const view = await world.open({ at: "/embed" });
      await view.page.getByRole("button").first().click();
      await view.page.getByRole("alert").or(view.page.getByRole("progressbar")).first().waitFor();
      await expectAccessible(view);
    });

    test("a button without a name would be found", async () => {
      const view = await world.open({ at: "/embed" });
      await view.page.evaluate(() => document.body.append(document.createElement("button")));
      expect((await seriousFaults(view)).join()).toMatch(/^button-name: /);
    });
  },
);

describe.skipIf(!hasBrowser)("the login keeps nobody out but who has no key", () => {
  const world = monitorWorld({ apiKey: "a-key-of-the-tests-own" });

  test("in both themes, on a phone and a wide screen, with its error", async () => {
    const view = await world.open();
    view.allow(/401|Authentication failed/);
    await view.field("API key").fill("no-such-key-here");
    await view.button("Log in").click();
    await view.page.getByText(/wrong/i).first().waitFor();
    await expectAccessible(view);
  });
});
