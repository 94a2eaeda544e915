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
