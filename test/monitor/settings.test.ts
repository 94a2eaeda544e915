import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { until } from "../support/until.ts";
import { hasBrowser, LOOKS, monitorWorld, type View } from "./browser.ts";

setDefaultTimeout(60_000);

const MIB = 1 << 20;

describe.skipIf(!hasBrowser)("settings", () => {
  const world = monitorWorld();
  const DEFAULTS = {
    max_concurrent: 3,
    connections_per_download: 8,
    rate_limit_bps: 0,
    retry: { max_attempts: 10, base_ms: 1000, max_ms: 60_000, jitter: 1 },
    paused: false,
  };
  const server = () => world.daemon.must("GET", "/v1/settings");
  afterEach(() => world.daemon.must("PATCH", "/v1/settings", DEFAULTS));

  const open = async (): Promise<View> => {
    const view = await world.open({ at: "/#/settings" });
    await view.field("Downloads at once").waitFor();
    return view;
  };

  test("R136 R137 the server's are shown, changed, saved there and in force for everybody", async () => {
    const view = await open();
    expect(await view.field("Downloads at once").inputValue()).toBe("3");
    expect(await view.field("Speed limit, MB/s").inputValue()).toBe("");
    expect(await view.button("Save").isDisabled()).toBe(true);
    await view.field("Downloads at once").fill("5");
    await view.field("Connections per download").fill("16");
    await view.field("Speed limit, MB/s").fill("2.5");
    await view.field("Tries").fill("4");
    await view.field("First wait, seconds").fill("0.5");
    await view.field("Longest wait, seconds").fill("30");
    await view.field("Spread, percent").fill("25");
    await view.page.keyboard.press("Enter");
    await view.page.getByText("Settings saved").waitFor();
    expect(await server()).toEqual({
      max_concurrent: 5,
      connections_per_download: 16,
      rate_limit_bps: 2.5 * MIB,
      retry: { max_attempts: 4, base_ms: 500, max_ms: 30_000, jitter: 0.25 },
      paused: false,
    });
    const other = await open();
    expect(await other.field("Speed limit, MB/s").inputValue()).toBe("2.5");
    await other.field("Speed limit, MB/s").fill("");
    await other.button("Save").click();
    await other.page.getByText("Settings saved").waitFor();
    expect((await server()).rate_limit_bps).toBe(0);
    expect((await server()).max_concurrent).toBe(5);
  });

  test("what is out of bounds is said at its field, and nothing is changed", async () => {
    const view = await open();
    const field = view.field("Downloads at once");
    await field.fill("0");
    await view.field("Tries").fill("7");
    await view.button("Save").click();
    await view.page.getByText("A whole number from 1 to 100").waitFor();
    expect(await field.getAttribute("aria-invalid")).toBe("true");
    expect(await field.evaluate((element) => element === document.activeElement)).toBe(true);
    expect(await server()).toEqual(DEFAULTS);
    await view.button("Undo").click();
    expect([await field.inputValue(), await view.field("Tries").inputValue()]).toEqual(["3", "10"]);
    expect(await field.getAttribute("aria-invalid")).toBeNull();
  });

  /** Text that is tied to a field and says what to write in it. */
  const told = (view: View, label: string) =>
    view
      .field(label)
      .evaluate((element) => element.parentElement?.querySelector(".field-error[id]")?.textContent ?? "");

  test.each([
    ["Downloads at once", ["", "-1", "0", "101", "1e1", "2,5", "three", "9".repeat(30)]],
    ["Connections per download", ["", "-8", "65", "8.5", "all"]],
    ["Speed limit, MB/s", ["0", "-1", "fast", "1,000", "5 MB", "0.00000001"]],
    ["Tries", ["", "0", "1001", "once"]],
    ["First wait, seconds", ["", "-1", "3601", "soon", "61", "1,000"]],
    ["Longest wait, seconds", ["", "-1", "86401", "never", "0,5"]],
    ["Spread, percent", ["", "-1", "101", "25%", "0.5"]],
  ])("F165 %s: what a clumsy person types is marked, and nothing is changed", async (label, all) => {
    const view = await open();
    const field = view.field(label);
    for (const typed of all) {
      await field.fill(typed);
      await view.button("Save").click();
      await view.page.locator(".field-error").waitFor();
      const state = await field.evaluate((element) => [
        element.getAttribute("aria-invalid"),
        element === document.activeElement,
      ]);
      expect([typed, ...state, await told(view, label)]).toEqual([
        typed,
        "true",
        true,
        expect.stringMatching(/^Write /),
      ]);
      await view.button("Undo").click();
    }
    expect(await server()).toEqual(DEFAULTS);
  });

  test("a decimal comma is a decimal point", async () => {
    const view = await open();
    await view.field("Speed limit, MB/s").fill("2,5");
    await view.field("First wait, seconds").fill("0,25");
    await view.button("Save").click();
    await view.page.getByText("Settings saved").waitFor();
    const { rate_limit_bps, retry } = await server();
    expect([rate_limit_bps, retry.base_ms]).toEqual([2.5 * MIB, 250]);
  });

  test("F165 what contradicts what another window has saved is refused, and said at its field", async () => {
    const view = await open();
    view.allow(/400/);
    await view.field("First wait, seconds").fill("30");
    await world.daemon.must("PATCH", "/v1/settings", { max_concurrent: 7, retry: { max_ms: 5000 } });
    await view.button("Save").click();
    await view.page.getByText("Write at most the longest wait, which is 5 s, or make that longer.").waitFor();
    const field = view.field("First wait, seconds");
    expect([await field.inputValue(), await field.getAttribute("aria-invalid")]).toEqual(["30", "true"]);
    expect(await field.evaluate((element) => element === document.activeElement)).toBe(true);
    expect(await view.field("Downloads at once").inputValue()).toBe("7");
    await field.fill("5");
    expect(await field.getAttribute("aria-invalid")).toBeNull();
    await view.button("Save").click();
    await view.page.getByText("Settings saved").waitFor();
    expect((await server()).retry).toMatchObject({ base_ms: 5000, max_ms: 5000 });
  });

  test("starting nothing new is on at once", async () => {
    const view = await open();
    const toggle = view.page.getByRole("switch", { name: "Pause all downloads" });
    await toggle.check();
    await until(async () => (await server()).paused, "the server to pause");
    await toggle.uncheck();
    await until(async () => !(await server()).paused, "the server to go on");
  });

  test("R113 the browser's own survive a reload, and the server knows nothing of them", async () => {
    const view = await open();
    const isDark = () => view.page.evaluate(() => getComputedStyle(document.documentElement).colorScheme);
    await view.field("Colours").selectOption("Dark");
    await view.field("Refresh every").selectOption("10 s");
    await view.field("Rows").selectOption("Compact");
    expect(await isDark()).toBe("dark");
    await view.page.reload();
    await view.field("Colours").waitFor();
    const value = (label: string) =>
      view.field(label).evaluate((element) => (element as HTMLSelectElement).selectedOptions[0]?.label);
    expect([await value("Colours"), await value("Refresh every"), await value("Rows")]).toEqual([
      "Dark",
      "10 s",
      "Compact",
    ]);
    expect(await isDark()).toBe("dark");
    expect(await server()).toEqual(DEFAULTS);
    const other = await open();
    expect(await other.page.evaluate(() => getComputedStyle(document.documentElement).colorScheme)).not.toBe(
      "dark",
    );
  });

  test("notifications are asked for, and refused ones are explained", async () => {
    const view = await open();
    const toggle = view.page.getByRole("switch", { name: "Notify when a download ends" });
    await toggle.click();
    await view.page
      .getByRole("alert")
      .getByText(/The browser refused/)
      .waitFor();
    expect(await toggle.isChecked()).toBe(false);
    await view.context.grantPermissions(["notifications"]);
    await toggle.click();
    await view.page.getByRole("switch", { name: "Notify when a download ends", checked: true }).waitFor();
  });

  test("what the server is, how much room it has, and where its documents are", async () => {
    const view = await open();
    const { version } = await world.daemon.must("GET", "/health");
    await view.page.getByText(`modelhaul ${version}`).waitFor();
    await view.page.getByText("Free for more").waitFor();
    for (const name of ["API, to click through", "OpenAPI document", "Guide for programs", "Metrics"]) {
      const path = await view.link(name).getAttribute("href");
      expect([path, (await world.daemon.api("GET", path ?? "")).status]).toEqual([path, 200]);
    }
  });

  test.each(LOOKS)("fits in %s at %i px", async (theme, width) => {
    const view = await world.open({ theme, width, at: "/#/settings" });
    await view.field("Downloads at once").waitFor();
    expect(await view.overflows()).toBe(false);
  });
});
