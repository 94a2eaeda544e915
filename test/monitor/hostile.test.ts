import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Page } from "playwright-core";
import { literal } from "../support/bytes.ts";
import { ggufFile } from "../support/hub.ts";
import { until } from "../support/until.ts";
import { hasBrowser, monitorWorld, type View } from "./browser.ts";

/** F202: whatever models, files, engines and errors are called, it is text on the page and nothing else. */
setDefaultTimeout(180_000);

const COUNT = 500;
const REPO = "acme/hostile";
const TEXTS = [
  "<img src=x onerror=hit()>",
  '"><script>hit()</script>',
  "'><svg onload=hit()>",
  "javascript:hit()",
  '<iframe srcdoc="<script>parent.hit()</script>">',
  "</title><script>hit()</script>",
  "{{constructor.constructor('hit()')()}}",
  "$" + "{hit()}",
  '<a href="javascript:hit()">x</a>',
  "<style>*{display:none}</style>",
  "<base href=//evil.invalid>",
  '<meta http-equiv=refresh content="0;url=//evil.invalid">',
  "<details open ontoggle=hit()>",
  "<input autofocus onfocus=hit()>",
  "<math><mtext><script>hit()</script>",
  "&lt;script&gt;hit()&lt;/script&gt;",
  "%3Cscript%3Ehit()%3C/script%3E",
  "\u202egpj.exe",
  "__proto__",
  "constructor",
  '<form action="javascript:hit()"><button>',
  '<object data="javascript:hit()">',
  '" onmouseover="hit()" x="',
  "--></textarea><script>hit()</script>",
  "</noscript><img src=x onerror=hit()>",
  "<link rel=stylesheet href=//evil.invalid/x.css>",
];
const AROUND = ["", "'\"", "<!--", "]]>", "\u2028"];

/** No two are alike. */
const hostile = (index: number): string =>
  `${AROUND[index % AROUND.length]}${TEXTS[index % TEXTS.length]} ${index}`;
const asFileName = (text: string): string =>
  text
    .replace(/[/\\]/g, "∕")
    .replaceAll(":", "∶")
    .replace(/[\u2028\u202e]/g, "");

/** Elements and attributes that no page of ours has. */
const strangers = (page: Page): Promise<string[]> =>
  page.evaluate(() => {
    const ours = document.querySelectorAll("script[src]").length;
    const wrong = document.querySelectorAll(
      "img, iframe, object, embed, base, style, meta[http-equiv], math, body link, body script, [srcdoc]",
    );
    const all = [...document.querySelectorAll("*")];
    const handlers = all.filter((it) => it.getAttributeNames().some((name) => name.startsWith("on")));
    const links = all.filter((it) =>
      /^\s*(javascript|data|vbscript):/i.test(it.getAttribute("href") ?? it.getAttribute("action") ?? ""),
    );
    return [...wrong, ...handlers, ...links]
      .map((it) => it.outerHTML.slice(0, 200))
      .concat(ours > 3 ? [`${ours} scripts`] : []);
  });

describe.skipIf(!hasBrowser)("F202 500 hostile names and error texts", () => {
  const files = Array.from({ length: COUNT }, (_, index) =>
    ggufFile(REPO, `${asFileName(hostile(index))}-Q4_K_M.gguf`, 512, "Q4_K_M"),
  );
  const world = monitorWorld({
    hub: { repos: [{ id: REPO, files }] },
    origin: { resources: [{ path: "/model.gguf", content: literal("weights of some kind") }] },
    args: ["--max-concurrent", "8"],
  });

  beforeAll(async () => {
    const { daemon, origin } = world;
    // Half of them end as engines, half in errors that repeat what they were asked for.
    for (let index = 0; index < COUNT; index += 1) {
      const name = hostile(index);
      const failing = { url: `${origin.base}/${encodeURIComponent(name)}`, model_id: name };
      const ending = {
        url: `${origin.url("/model.gguf")}?${index}`,
        model_id: name,
        filename: `${asFileName(name)}.bin`,
        engine: { engine_id: name, load_immediately: false },
      };
      const { status, body } = await daemon.api("POST", "/v1/downloads", index % 2 === 0 ? ending : failing);
      if (status !== 202) throw new Error(`${name}: ${status} ${JSON.stringify(body)}`);
    }
    await daemon.begin({ repo_id: REPO });
    await until(async () => (await daemon.must("GET", "/v1/downloads")).total_active === 0, "all to end", {
      timeoutMs: 120_000,
      everyMs: 500,
    });
  }, 180_000);

  const open = (at: string): Promise<View> =>
    world.open({
      at,
      prepare: (page) =>
        page.addInitScript(() => {
          Object.assign(window, { hit: () => console.error("EXECUTED") });
        }),
    });
  const expectCalm = async (view: View): Promise<void> => {
    expect(await strangers(view.page)).toEqual([]);
    expect(await view.page.title()).toMatch(/modelhaul$/);
    expect(view.unexpected).toEqual([]);
  };

  test("the list, each row of it, its details and its questions", async () => {
    const view = await open("/");
    const list = view.page.getByRole("list", { name: "Downloads" });
    await list.getByRole("listitem").first().waitFor();
    const seen = new Set<string>();
    const before = (): number => seen.size;
    await list.getByRole("listitem").first().focus();
    for (let known = -1; known < before(); ) {
      known = before();
      for (const name of await list.getByRole("checkbox").evaluateAll((all) => all.map((it) => it.ariaLabel)))
        seen.add(name ?? "");
      expect(await strangers(view.page)).toEqual([]);
      await view.page.keyboard.press("PageDown");
      await view.page.evaluate(() => new Promise(requestAnimationFrame));
    }
    expect(seen.size).toBe(COUNT + 1);
    expect(seen).toContain(`Select ${hostile(1)}`);

    await view.page.keyboard.press("Home");
    for (let opened = 0; opened < 2 * TEXTS.length; opened += 1) {
      await view.page.keyboard.press("Enter");
      await view.page.keyboard.press("ArrowDown");
    }
    await view.page.getByRole("region", { name: "Error" }).first().waitFor();
    await view.field("Search").fill(hostile(0));
    // Others have a 0 in their number, too; the oldest stands last.
    await view.page.locator("[data-scroller]").evaluate((it) => it.scrollTo(0, it.scrollHeight));
    await view.button(`More for ${hostile(0)}`).click();
    await view.menuItem("Remove and delete files…").click();
    await view.page
      .getByRole("alertdialog")
      .getByText(`Delete ${hostile(0)}?`)
      .waitFor();
    await view.page.keyboard.press("Escape");
    await view.field("Search").fill(hostile(3));
    await expectCalm(view);
  });

  test("adding: a repository of such files, and such references", async () => {
    const view = await open("/#/add");
    await view.field("URL, repository or model").fill(REPO);
    await view.button("Look up").click();
    await view.page.getByText("500").first().waitFor();
    await view.page.getByText("onerror").first().waitFor();
    await expectCalm(view);

    // Refused with texts that repeat them.
    view.allow(/answer: 4\d\d .*\/v1\/sources/, /status of 4\d\d/);
    await view
      .field("URL, repository or model")
      .fill(Array.from(TEXTS, (_, index) => hostile(index)).join("\n"));
    await view.button("Look up").click();
    await view.page.getByRole("button", { name: "Edit" }).nth(5).waitFor();
    await view.page.evaluate((text) => {
      location.hash = `#/add?ref=${encodeURIComponent(text)}`;
    }, hostile(0));
    await view.page.getByRole("button", { name: "Look up" }).waitFor();
    await expectCalm(view);
  });

  test.each([
    ["models", "Models on disk", "onerror"],
    ["engines", "Engines", "onerror"],
    ["settings", "Settings", ""],
  ])("%s", async (path, heading, text) => {
    const view = await open(`/#/${path}`);
    await view.page.getByRole("heading", { name: heading }).first().waitFor();
    if (text !== "") await view.page.getByText(text).first().waitFor();
    for (const more of await view.page.getByRole("button", { name: /more/i }).all())
      if (await more.isVisible()) await more.click();
    await expectCalm(view);
  });

  test("an address that is no view of ours, full of markup", async () => {
    const view = await open(`/#/<img src=x onerror=hit()>?q="><script>hit()</script>`);
    await view.page.getByRole("list", { name: "Downloads" }).waitFor();
    await expectCalm(view);
  });
});
