import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { MB } from "../api/support.ts";
import { until } from "../support/until.ts";
import { freePort, hasBrowser, LOOKS, monitorWorld, PHONE, type View, type World } from "./browser.ts";

setDefaultTimeout(90_000);

const files = Array.from({ length: 4 }, (_, index) => ({
  path: `/m-${index}.bin`,
  seed: index + 1,
  size: 96 * MB,
}));
/** Slow enough not to end while it is looked at. */
const origin = { resources: files, rateTotal: 3 * MB };

const begin = (world: World, index: number, name: string) =>
  world.daemon.begin({ url: world.origin.url(`/m-${index}.bin`), model_id: name });

const connection = (view: View, words: string | RegExp) =>
  view.button(typeof words === "string" ? `Connection: ${words}` : words);

/** Percentage that is shown of a download. */
async function shown(view: View, name: string): Promise<number> {
  const bar = view.page.getByRole("progressbar", { name: new RegExp(name) });
  return Number(await bar.first().getAttribute("value"));
}

/** Resolves when more of it is shown than now. */
async function moves(view: View, name: string): Promise<void> {
  const before = await shown(view, name);
  await until(async () => (await shown(view, name)) > before, `${name} to move`, { timeoutMs: 20_000 });
}

describe.skipIf(!hasBrowser)("the monitor's frame", () => {
  const world = monitorWorld({ origin });

  test.each(LOOKS)(
    "A27 R111 R115 name, counters, speed, space, connection, in %s at %i px",
    async (theme, width) => {
      const { id } = await begin(world, 0, "frame-one");
      const view = await world.open({ theme, width });
      await view.page.getByRole("heading", { level: 1, name: "modelhaul" }).waitFor();
      await connection(view, "live").waitFor();
      const counters = view.page.getByLabel("Unfinished downloads");
      await counters.locator("div", { hasText: "Total" }).getByText("1", { exact: true }).waitFor();
      await counters.locator("div", { hasText: "Regular" }).getByText("1", { exact: true }).waitFor();
      await counters.locator("div", { hasText: "Startup" }).getByText("0", { exact: true }).waitFor();
      await view.page
        .getByText(/^\d[\d.]* [KMG]B\/s$/)
        .first()
        .waitFor();
      await view.page
        .getByText(/GB$|TB$|MB$/)
        .and(view.page.locator("header b"))
        .first()
        .waitFor();
      await moves(view, "frame-one");
      for (const name of ["Models", "Engines", "Settings", "Downloads"]) {
        await view.link(name).locator("visible=true").first().click();
        await until(() => view.page.evaluate(() => document.activeElement?.tagName === "MAIN"), "the focus");
        expect(await view.overflows()).toBe(false);
      }
      expect(await view.link("Downloads").locator("visible=true").getAttribute("aria-current")).toBe("page");
      await world.daemon.must("POST", `/v1/downloads/${id}/cancel`);
      await world.forget();
    },
  );

  test("title and icon show the progress, and go back when nothing is left", async () => {
    const view = await world.open();
    await connection(view, "live").waitFor();
    expect(await view.page.title()).toBe("modelhaul");
    const icon = () => view.page.locator('link[rel="icon"]').getAttribute("href");
    const usual = await icon();
    const { id } = await begin(world, 1, "titled");
    await until(async () => /^\d+\.\d% · 1 download · modelhaul$/.test(await view.page.title()), "the title");
    await until(async () => (await icon()) !== usual, "the icon");
    const answer = await fetch(new URL((await icon()) ?? "", world.daemon.base));
    expect(answer.headers.get("content-type")).toStartWith("image/svg+xml");
    await world.daemon.must("POST", `/v1/downloads/${id}/cancel`);
    await until(async () => (await view.page.title()) === "modelhaul", "the title");
    expect(await icon()).toBe(usual);
    await world.forget();
  });

  test("a reload in the middle keeps filter, search, order, theme and the number", async () => {
    await begin(world, 2, "reloaded-one");
    const view = await world.open();
    await moves(view, "reloaded-one");
    const before = await shown(view, "reloaded-one");
    await view.page.evaluate(() => {
      for (const [key, value] of Object.entries({
        theme: "dark",
        filter: "active",
        search: "reloaded",
        sort: "name",
      }))
        localStorage.setItem(`modelhaul.${key}`, value);
    });
    await view.page.reload();
    await connection(view, "live").waitFor();
    await until(async () => (await shown(view, "reloaded-one")) >= before, "the number");
    expect(await view.page.locator("html").getAttribute("data-theme")).toBe("dark");
    const kept = await view.page.evaluate(() =>
      ["filter", "search", "sort"].map((key) => localStorage.getItem(`modelhaul.${key}`)),
    );
    expect(kept).toEqual(["active", "reloaded", "name"]);
    await world.forget();
  });

  test("the theme is the system's until another is chosen, in all windows", async () => {
    const view = await world.open({ theme: "dark" });
    const background = () => view.page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = async () => (await background()).match(/\d+/g)!.map(Number)[0]! > 128;
    expect(await light()).toBe(false);
    await view.page.emulateMedia({ colorScheme: "light" });
    expect(await light()).toBe(true);
    await view.button("Theme: auto. Change to light").click();
    await view.button("Theme: light. Change to dark").click();
    expect(await light()).toBe(false);
    const other = await view.context.newPage();
    await other.goto(world.daemon.base);
    await other.getByRole("button", { name: "Theme: dark. Change to auto" }).click();
    await until(light, "the first window to follow");
  });

  test("A27 R112 R113 R114 without live the page asks at the interval, and at once when told to", async () => {
    const view = await world.open();
    await connection(view, "live").click();
    let asked = 0;
    view.page.on("request", (request) => {
      if (new URL(request.url()).pathname === "/v1/downloads") asked += 1;
    });
    await view.page.getByRole("switch", { name: "Live" }).setChecked(false);
    await connection(view, "every 2 s").waitFor();
    await view.field("Ask every").selectOption("1 s");
    await connection(view, "every 1 s").waitFor();
    const before = asked;
    await until(() => asked >= before + 3, "three more refreshes");
    await begin(world, 3, "polled-one");
    await moves(view, "polled-one");
    await view.button("Refresh now", view.page.locator(":popover-open")).click();
    await view.page.getByRole("switch", { name: "Live" }).setChecked(true);
    await connection(view, "live").waitFor();
    await world.forget();
  });

  test("what ends while nobody looks is a notification, and a sentence for screen readers", async () => {
    const view = await world.open({
      prepare: async (page, context) => {
        await context.grantPermissions(["notifications"]);
        await page.addInitScript(() => {
          localStorage.setItem("modelhaul.notifications", "true");
          document.hasFocus = () => false;
          const told: string[] = [];
          Object.assign(globalThis, {
            told,
            Notification: class {
              static permission = "granted";
              constructor(_: string, { body }: { body: string }) {
                told.push(body);
              }
            },
          });
        });
      },
    });
    await connection(view, "live").waitFor();
    world.origin.on({ path: "/m-0.bin" }, { kind: "respond", status: 404 });
    await begin(world, 0, "ended-one");
    const told = () => view.page.evaluate(() => String(Reflect.get(globalThis, "told")));
    await until(async () => (await told()) !== "", "the notification");
    expect(await told()).toBe("ended-one failed");
    expect(await view.page.getByRole("log").textContent()).toBe("ended-one failed");
    world.origin.clear();
    await world.forget();
  });

  test("policy: nothing from elsewhere, nothing inline; the script weighs less than 60 KB without the chart", async () => {
    const page = await fetch(world.daemon.base);
    expect(page.headers.get("content-security-policy")).toContain("default-src 'none'; script-src 'self'");
    const html = await page.text();
    const weigh = async (path: string): Promise<number> => {
      const script = await (await fetch(new URL(path, world.daemon.base))).bytes();
      const text = new TextDecoder().decode(script);
      // What is imported at the top comes at once; what is imported later does not.
      const more = [...text.matchAll(/\bfrom ?"(\/[^"]+\.js)"/g)].map(([, each]) => weigh(each!));
      return (await Promise.all(more)).reduce((sum, each) => sum + each, Bun.gzipSync(script).length);
    };
    const scripts = [...html.matchAll(/<script[^>]* src="([^"]+)"/g)].map(([, path]) => weigh(path!));
    expect(scripts.length).toBeGreaterThan(0);
    const total = (await Promise.all(scripts)).reduce((sum, each) => sum + each, 0);
    console.log(`script of the monitor: ${(total / 1024).toFixed(1)} KB gzipped`);
    expect(total).toBeLessThan(60 * 1024);
    const view = await world.open({ width: PHONE });
    await connection(view, "live").waitFor();
    const hosts = await view.page.evaluate(() =>
      performance.getEntriesByType("resource").map(({ name }) => new URL(name).origin),
    );
    expect([...new Set(hosts)]).toEqual([new URL(world.daemon.base).origin]);
    expect(await view.page.locator("style, script:not([src]), [onclick]").count()).toBe(0);
  });
});

describe.skipIf(!hasBrowser)("a connection that breaks", () => {
  const world = monitorWorld({ origin, port: freePort() });
  const BROKEN = [/ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY|ERR_FAILED|ERR_SOCKET|WebSocket connection/];

  test("a server that is killed and started again: said so, connected again, and caught up", async () => {
    await begin(world, 0, "survivor");
    const view = await world.open();
    view.allow(...BROKEN);
    await moves(view, "survivor");
    const before = await shown(view, "survivor");
    await world.daemon.kill();
    const banner = view.page.getByRole("status").filter({ hasText: "What is shown is from" });
    await banner.waitFor();
    await connection(view, "no connection").waitFor();
    expect(await view.page.title()).toBe("No connection · modelhaul");
    expect(await shown(view, "survivor")).toBeGreaterThanOrEqual(before);
    await world.daemon.start();
    await begin(world, 1, "newcomer");
    await view
      .button("Try now")
      .click({ timeout: 2_000 })
      .catch(() => {});
    await connection(view, "live").waitFor();
    await banner.waitFor({ state: "detached" });
    await view.page.getByText("newcomer", { exact: true }).first().waitFor();
    await moves(view, "survivor");
    await world.forget();
  });

  test.each([
    ["models", /^Nothing on disk yet$/],
    ["settings", /^modelhaul \d/],
  ])(
    "what told of a silent server goes when it answers again, and %s shows what it could not read",
    async (at, known) => {
      await world.forget();
      const view = await world.open({ at: "/#/add" });
      view.allow(...BROKEN);
      await connection(view, "live").waitFor();
      await world.daemon.kill();
      await view.field("URL, repository or model").fill("acme/any");
      await view.button("Look up").click();
      const silence = view.page.locator(".toast").filter({ hasText: /^No answer/ });
      await silence.waitFor();
      await connection(view, "no connection").waitFor();
      await view.goto(`#/${at}`);
      await view.page.getByRole("heading", { level: 2 }).first().waitFor();
      expect(await view.page.getByText(known).count()).toBe(0);
      await world.daemon.start();
      await connection(view, "live").waitFor();
      await view.page.getByText(known).waitFor();
      expect(await view.page.getByText(/could not be read/).count()).toBe(0);
      await silence.waitFor({ state: "detached" });
    },
  );

  test("a WebSocket dropped in the middle is followed by server-sent events, these by polling", async () => {
    const sockets: { close(): Promise<void> }[] = [];
    let isRefusing = false;
    const view = await world.open({
      prepare: (page) =>
        page.routeWebSocket("**/v1/ws**", (socket) => {
          if (isRefusing) return void socket.close();
          socket.connectToServer();
          sockets.push(socket);
        }),
    });
    view.allow(...BROKEN);
    await begin(world, 2, "dropped");
    await connection(view, "live").waitFor();
    await moves(view, "dropped");
    await connection(view, "live").click();
    await view.page.getByText("Every change is shown as it happens.", { exact: true }).waitFor();
    isRefusing = true;
    for (const socket of sockets) await socket.close();
    await view.page.getByText(/through a stream of events/).waitFor();
    await moves(view, "dropped");
    await view.page.route("**/v1/events**", (route) => route.abort());
    await world.daemon.kill();
    await world.daemon.start();
    await connection(view, "every 2 s").waitFor();
    await moves(view, "dropped");
    await world.forget();
  });
});

describe.skipIf(!hasBrowser)("with a key", () => {
  const KEY = "a-key-of-ours";
  const world = monitorWorld({ origin, apiKey: KEY });

  test("nothing of any view is off the screen, from the narrowest phone to a wide screen", async () => {
    const view = await world.open();
    view.allow(/401|HTTP Authentication failed/);
    await view.field("API key").fill(KEY);
    await view.button("Log in").click();
    await view.button("Log out").waitFor();
    const widths = [320, 350, 390, 600, 761, 768, 820, 900, 960, 961, 1018, 1035, 1100, 1280, 1920];
    for (const route of ["downloads", "add", "models", "engines", "settings"]) {
      await view.goto(`#/${route}`);
      for (const width of widths) {
        await view.page.setViewportSize({ width, height: 900 });
        expect([route, width, await view.overflows()]).toEqual([route, width, false]);
      }
    }
  });

  test.each(LOOKS)("A15 login, a cookie no script can read, logout, in %s at %i px", async (theme, width) => {
    await begin(world, 0, "secret-name");
    const view = await world.open({ theme, width });
    view.allow(/401|HTTP Authentication failed/);
    await view.field("API key").waitFor();
    expect(await view.page.getByText("secret-name").count()).toBe(0);
    expect(await view.page.evaluate(() => (document.activeElement as HTMLInputElement).name)).toBe("key");
    await view.page.keyboard.type("wrong-key");
    await view.page.keyboard.press("Enter");
    await view.page.getByRole("alert").filter({ hasText: /key/i }).waitFor();
    expect(await view.field("API key").getAttribute("aria-invalid")).toBe("true");
    await view.field("API key").fill(KEY);
    await view.button("Log in").click();
    await connection(view, "live").waitFor();
    await view.page.getByText("secret-name").first().waitFor();
    const [cookie] = await view.context.cookies();
    expect(cookie).toMatchObject({ httpOnly: true, sameSite: "Strict" });
    expect(await view.page.evaluate(() => document.cookie)).toBe("");
    const stored = await view.page.evaluate(() => JSON.stringify({ ...localStorage }));
    expect(stored).not.toContain(KEY);
    expect(stored).not.toContain(cookie!.value);

    await view.page.reload();
    await connection(view, "live").waitFor();
    await view.button("Log out").click();
    await view.field("API key").waitFor();
    expect(await view.page.getByText("secret-name").count()).toBe(0);
    expect(await view.context.cookies()).toEqual([]);
    await view.page.reload();
    await view.field("API key").waitFor();
    await world.forget();
  });
});
