import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Locator } from "playwright-core";
import { generated } from "../support/bytes.ts";
import { Adding } from "./adding.ts";
import { hasBrowser, LOOKS, monitorWorld } from "./browser.ts";

setDefaultTimeout(60_000);

const PATHS = ["/plain.gguf", "/other.gguf"];

describe.skipIf(!hasBrowser)("an option that cannot be", () => {
  const world = monitorWorld({
    origin: { resources: PATHS.map((path, at) => ({ path, content: generated(at, 4096) })) },
  });
  afterEach(() => world.forget());

  /** One file at a URL, its options unfolded or not. */
  async function open(path = "/plain.gguf"): Promise<{ adding: Adding; item: Locator }> {
    const adding = new Adding(await world.open({ at: "/#/add" }));
    await adding.lookUp(world.origin.url(path));
    const item = adding.item(path.slice(1));
    await item.getByText("Options", { exact: true }).waitFor();
    return { adding, item };
  }

  /** What a screen reader says of a field beside its name: text that is tied to it and shown. */
  const told = (field: Locator): Promise<string> =>
    field.evaluate((element) =>
      (element.getAttribute("aria-describedby") ?? "")
        .split(" ")
        .map((id) => document.getElementById(id)?.textContent ?? "")
        .join(" "),
    );
  const isMarked = async (field: Locator): Promise<boolean> =>
    (await field.getAttribute("aria-invalid")) === "true";
  const hasFocus = (field: Locator): Promise<boolean> =>
    field.evaluate((element) => element === document.activeElement);
  const marked = (item: Locator): Promise<string[]> =>
    item.locator("[aria-invalid=true]").evaluateAll((all) => all.map((it) => it.getAttribute("name") ?? ""));
  const count = async () =>
    (await world.daemon.must("GET", "/v1/downloads?state=all")).active_downloads.length;

  test.each([
    ["Speed limit, MB/s", "fast", "Write a number above 0, such as 5 or 2.5, or nothing for no limit."],
    ["Speed limit, MB/s", "-2", "Write a number above 0"],
    ["Speed limit, MB/s", "1,000", "Write 1000 or 1: with a comma it can be read as both."],
    ["Priority", "high", "Write a whole number from -1000000 to 1000000, or nothing."],
    [
      "SHA-256",
      "abc123",
      "Write the 64 digits (0-9 and a-f) of the SHA-256, or nothing. This is not it: 6 characters.",
    ],
    ["SHA-256", "g".repeat(64), "64 characters, not all of them such digits."],
    ["Name", "a\tb", "Write at most 512 letters, digits and signs on one line, or nothing."],
    ["Access token", "hf_abc def", "A token is one word without spaces and accents."],
  ])("A27 %s: %p is marked before anything is sent, and told what to write", async (label, typed, words) => {
    const { adding, item } = await open();
    const sent: string[] = [];
    adding.page.on("request", (request) => request.method() === "POST" && sent.push(request.url()));
    const field = item.getByLabel(label);
    await item.getByText("Options", { exact: true }).click();
    await field.fill(typed);
    await item.getByText("Options", { exact: true }).click();
    expect(await isMarked(field)).toBe(false);
    await adding.view.button("Download").click();
    await item.getByText("Not started").waitFor();
    // The options are unfolded again, and whoever types is where it is mended.
    expect(await isMarked(field)).toBe(true);
    expect(await hasFocus(field)).toBe(true);
    expect(await told(field)).toContain(words);
    expect(await marked(item)).toHaveLength(1);
    await item.getByText(`Look at “${label}”.`).waitFor();
    expect([sent, await count()]).toEqual([[], 0]);
    await field.fill("");
    expect(await isMarked(field)).toBe(false);
    await adding.download();
    expect(await count()).toBe(1);
  });

  test("A27 a decimal comma is a decimal point", async () => {
    const { adding, item } = await open();
    await item.getByText("Options", { exact: true }).click();
    await item.getByLabel("Speed limit, MB/s").fill("2,5");
    await adding.download();
    const [download] = (await world.daemon.must("GET", "/v1/downloads?state=all")).active_downloads;
    expect(download.rate_limit_bps).toBe(2.5 * 1024 ** 2);
  });

  test("A27 an engine's options are marked, too, and mended while one types", async () => {
    const { adding, item } = await open();
    await item.getByText(/^Engine/).click();
    await item.getByRole("switch", { name: /Make an engine/ }).check();
    const fields = {
      "Context length": "0",
      "Layers on the GPU": "-1",
      "Parallel sequences": "17",
      GPU: "first",
    };
    for (const [label, typed] of Object.entries(fields))
      await item.getByLabel(label, { exact: true }).fill(typed);
    await adding.view.button("Download").click();
    await item.getByText("Look at “Context length”.").waitFor();
    expect(await marked(item)).toEqual(["context", "gpuLayers", "parallel", "gpu"]);
    const parallel = item.getByLabel("Parallel sequences");
    expect(await told(parallel)).toBe("Write a whole number from 1 to 16, or nothing.");
    await parallel.fill("16");
    expect(await isMarked(parallel)).toBe(false);
    expect(await marked(item)).toEqual(["context", "gpuLayers", "gpu"]);
  });

  test("A27 what only the service knows is marked at the field that its answer names", async () => {
    const taken = await world.daemon.begin({ url: world.origin.url("/other.gguf"), model_id: "mine" });
    await world.daemon.until(taken.id, "completed");
    await world.daemon.must("PATCH", "/v1/settings", { paused: true });
    await world.daemon.begin({ url: world.origin.url("/other.gguf"), model_id: "waits", priority: 1 });
    const { adding, item } = await open();
    adding.view.allow(/40[09]/);
    await item.getByText("Options", { exact: true }).click();
    const name = item.getByLabel("Name");
    for (const [typed, words] of [
      ["resume", "This cannot be a name here. Write another"],
      ["waits", "Another download has this name. Write another, or cancel that one."],
    ] as const) {
      await name.fill(typed);
      await adding.view.button("Download").focus();
      await adding.view.button("Download").click();
      await item.getByText(words).waitFor();
      expect([await isMarked(name), await hasFocus(name)]).toEqual([true, true]);
      expect(await told(name)).toContain(words);
    }
    await name.fill("something else");
    expect(await isMarked(name)).toBe(false);
    await adding.download();
    await world.daemon.must("PATCH", "/v1/settings", { paused: false });
  });

  test("A27 of several the good ones start, and the focus goes to the first field that is wrong", async () => {
    const { adding, item } = await open();
    await adding.lookUp(world.origin.url("/other.gguf"));
    const other = adding.item("other.gguf");
    await other.getByText("Options", { exact: true }).waitFor();
    await item.getByText("Options", { exact: true }).click();
    await item.getByLabel("Priority").fill("!");
    await adding.view.button("Download 2").click();
    await other.waitFor({ state: "detached" });
    expect(await hasFocus(item.getByLabel("Priority"))).toBe(true);
    expect(await count()).toBe(1);
  });

  test.each(LOOKS)("its words fit in %s at %i px", async (theme, width) => {
    const adding = new Adding(await world.open({ theme, width, at: "/#/add" }));
    await adding.lookUp(world.origin.url("/plain.gguf"));
    const item = adding.item("plain.gguf");
    await item.getByText("Options", { exact: true }).click();
    for (const label of ["Priority", "Speed limit, MB/s", "SHA-256"])
      await item.getByLabel(label).fill("x".repeat(64));
    await adding.view.button("Download").click();
    await item.getByText("Not started").waitFor();
    expect(await marked(item)).toHaveLength(3);
    expect(await adding.view.overflows()).toBe(false);
  });
});
