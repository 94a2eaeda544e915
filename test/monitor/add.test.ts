import { afterAll, afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Locator, Page } from "playwright-core";
import { generated } from "../support/bytes.ts";
import type { Shown } from "../support/daemon.ts";
import { awkwardRepo, ggufRepo, safetensorsRepo } from "../support/hub.ts";
import { startModelScope } from "../support/modelscope.ts";
import { startOllamaDaemon } from "../support/ollama-daemon.ts";
import { ordinaryModel, startOllamaRegistry } from "../support/ollama-registry.ts";
import { tempDir } from "../support/temp.ts";
import { Adding } from "./adding.ts";
import { hasBrowser, LOOKS, monitorWorld } from "./browser.ts";

setDefaultTimeout(60_000);

const MIB = 1 << 20;
const dir = tempDir("monitor-add");
const registry = await startOllamaRegistry({ models: [ordinaryModel("llama3.2", 1, 3 * MIB)] });
const ollama = await startOllamaDaemon({ models: [{ name: "llama3.2", layers: [2 * MIB, 1429] }] });
const site = await startModelScope({ repos: [ggufRepo("acme/scoped-gguf")] });
afterAll(async () => {
  await site.stop();
  await registry.stop();
  await ollama[Symbol.asyncDispose]();
  dir.remove();
});

const QUANTIZATIONS = { Q2_K: 3, Q3_K_M: 4, Q4_K_M: 5, Q5_K_M: 6, Q8_0: 9 };
const sizes = Object.fromEntries(Object.entries(QUANTIZATIONS).map(([name, size]) => [name, size * MIB]));
const split = { quantization: "BF16", count: 3, sizeOfEach: 1_200_000 };
const one = { quantizations: { Q4_K_M: 2 * MIB } };

describe.skipIf(!hasBrowser)("adding downloads", () => {
  const world = monitorWorld({
    hub: {
      repos: [
        ggufRepo("acme/tiny-gguf", { quantizations: sizes, split }),
        ggufRepo("acme/huge-gguf", { quantizations: { Q2_K: MIB, Q3_K_M: MIB, Q4_K_M: 2 * MIB } }),
        safetensorsRepo("acme/plain"),
        awkwardRepo("acme/awkward"),
        { ...ggufRepo("acme/gated-gguf", one), gated: "manual" },
        { ...ggufRepo("acme/private-gguf", one), private: true },
      ],
    },
    origin: { resources: [{ path: "/plain.gguf", content: generated(1, 2 * MIB) }] },
    args: ["--ollama-registry", registry.endpoint, "--ollama-url", ollama.url],
    env: { OLLAMA_MODELS: dir.at("ollama"), MODELSCOPE_ENDPOINT: site.endpoint },
  });
  afterEach(() => world.forget());

  const open = async (at = "/#/add"): Promise<Adding> => new Adding(await world.open({ at }));
  const downloads = async () =>
    (await world.daemon.must("GET", "/v1/downloads?state=all")).active_downloads as {
      id: string;
      model_id: string;
      filename: string;
      [member: string]: unknown;
    }[];
  const only = async () => {
    const all = await downloads();
    expect(all).toHaveLength(1);
    return (await world.daemon.until(all[0]!.id, "completed")) as Shown & Record<string, unknown>;
  };

  test("a repository: quantizations by size with what they are for, the usual one chosen, and it comes", async () => {
    const adding = await open();
    await adding.lookUp("acme/tiny-gguf");
    const item = adding.item("acme/tiny-gguf");
    const rows = item.getByRole("group").getByRole("listitem");
    await rows.first().waitFor();
    const text = (await rows.allInnerTexts()).map((row) => row.replaceAll(/\s+/g, " "));
    // The split set is one choice, as large as its files together.
    expect(text.map((row) => row.split(" ")[0])).toEqual([
      "Q2_K",
      "BF16",
      "Q3_K_M",
      "Q4_K_M",
      "Q5_K_M",
      "Q8_0",
    ]);
    expect(text[1]).toContain("3 files");
    expect(text[3]).toBe("Q4_K_M 4.9 bits 5.00 MB Good quality for its size: the usual choice");
    expect(await adding.chosen(item)).toEqual(["Q4_K_M"]);
    const sum = adding.page.getByText(/^1 download · 5\.00 MB · .+ free$/);
    await sum.waitFor();
    await adding.download();
    const done = await only();
    expect([done.filename, done.files_total]).toEqual(["tiny-Q4_K_M.gguf", 1]);
    await adding.page.getByText("1 download started").waitFor();
  });

  test("what is under way already is not said to be started", async () => {
    await world.daemon.must("PATCH", "/v1/settings", { paused: true });
    const url = world.origin.url("/plain.gguf");
    await world.daemon.begin({ url });
    const adding = await open("/");
    await adding.view.button("plain.gguf").waitFor();
    await adding.view.goto("#/add");
    await adding.lookUp(url);
    await adding.download();
    await adding.page.getByText("1 download under way already").waitFor();
    expect(await adding.page.getByText(/started$/).count()).toBe(0);
    expect(await downloads()).toHaveLength(1);
    await world.daemon.must("PATCH", "/v1/settings", { paused: false });
  });

  test("a split set and a card beside it are one download of just these files", async () => {
    const adding = await open();
    await adding.lookUp("https://huggingface.co/acme/tiny-gguf");
    const item = adding.item("acme/tiny-gguf");
    await item.getByRole("checkbox", { name: /^Q4_K_M/ }).uncheck();
    await item.getByRole("checkbox", { name: /^BF16/ }).check();
    await item.getByText(/other files/).click();
    await item.getByRole("checkbox", { name: /^README\.md/ }).check();
    await item.getByText("1 chosen").waitFor();
    await adding.download();
    const { id } = await only();
    const { files } = await world.daemon.must("GET", `/v1/downloads/${id}`);
    expect(files.map(({ path }: { path: string }) => path).sort()).toEqual([
      "README.md",
      "tiny-BF16-00001-of-00003.gguf",
      "tiny-BF16-00002-of-00003.gguf",
      "tiny-BF16-00003-of-00003.gguf",
    ]);
  });

  test("without a quantization to choose everything is taken; one named file is that file", async () => {
    const adding = await open();
    await adding.lookUp("acme/plain\nhf:acme/tiny-gguf/tiny-Q8_0.gguf");
    await adding
      .item("acme/plain")
      .getByText(/9 files/)
      .getByText("all chosen")
      .waitFor();
    const named = adding.item("acme/tiny-gguf/tiny-Q8_0.gguf");
    await named.getByRole("checkbox", { name: /^Q8_0/ }).waitFor();
    expect(await adding.chosen(named)).toEqual(["Q8_0"]);
    await adding.page.getByText(/^2 downloads/).waitFor();
    await adding.download();
    const all = await downloads();
    expect(all.map(({ model_id }) => model_id).sort()).toEqual([
      "acme/plain",
      "acme/tiny-gguf/tiny-Q8_0.gguf",
    ]);
    for (const { id } of all) await world.daemon.until(id, "completed");
    expect((await downloads()).map(({ files_total }) => files_total).sort()).toEqual([1, 9]);
  });

  test("what does not fit is said, and something that fits is chosen", async () => {
    // The digest of a petabyte is not computed: it is given.
    const huge = world.hub.repo("acme/huge-gguf").file("huge-Q4_K_M.gguf");
    const digest = huge.sha256;
    Object.assign(huge, { digest, content: { ...huge.content, size: 2 ** 50 } });
    const adding = await open();
    await adding.lookUp("acme/huge-gguf");
    const item = adding.item("acme/huge-gguf");
    await item.getByRole("checkbox", { name: /^Q4_K_M .*Does not fit/s }).waitFor();
    expect(await adding.chosen(item)).toEqual(["Q3_K_M"]);
    await item.getByRole("checkbox", { name: /^Q4_K_M/ }).check();
    await adding.page.getByText(/too much: what does not fit waits/).waitFor();
  });

  test("a gated repository takes a token, which is used and never seen again", async () => {
    const token = world.hub.addUser("ada", { access: { "acme/gated-gguf": "granted" } });
    const adding = await open();
    await adding.lookUp("acme/gated-gguf");
    const item = adding.item("acme/gated-gguf");
    await item.getByText(/licence must be accepted/).waitFor();
    const field = item.getByLabel("Access token");
    expect(await field.getAttribute("type")).toBe("password");
    await field.fill(token);
    await adding.download();
    await only();
    const left = await adding.page.evaluate(() => ({
      page: document.documentElement.outerHTML,
      stored: JSON.stringify([{ ...localStorage }, { ...sessionStorage }]),
      fields: [...document.querySelectorAll("input")].map(({ value }) => value).join(),
    }));
    expect(JSON.stringify(left)).not.toContain(token);
    await adding.view.goto("#/add");
    await adding.lookUp("acme/gated-gguf");
    expect(await item.getByLabel("Access token").inputValue()).toBe("");
  });

  test("a private repository is shown once there is a token for it", async () => {
    const token = world.hub.addUser("eve", { access: { "acme/private-gguf": "granted" } });
    const adding = await open();
    adding.view.allow(/40[134]/);
    await adding.lookUp("acme/private-gguf");
    const item = adding.item("acme/private-gguf");
    await item.getByLabel("Access token").fill(token);
    await item.getByRole("button", { name: "Look again" }).click();
    await item.getByRole("checkbox", { name: /^Q4_K_M/ }).waitFor();
    await adding.download();
    expect((await only()).filename).toBe("private-Q4_K_M.gguf");
  });

  test("a name of Ollama is pulled by the program itself", async () => {
    const adding = await open();
    await adding.lookUp("llama3.2");
    const item = adding.item("llama3.2");
    await item.getByRole("radio", { name: /^Ollama fetches it/, checked: true }).waitFor();
    await item.getByText(/^3\.\d\d MB$/).waitFor();
    const before = ollama.pulls.length;
    await adding.download();
    expect((await only()).provider).toBe("ollama");
    expect(ollama.pulls.slice(before).map(({ outcome }) => outcome)).toEqual(["success"]);
  });

  test("or without it, straight from the registry", async () => {
    const adding = await open();
    await adding.lookUp("ollama run llama3.2");
    const before = ollama.pulls.length;
    await adding
      .item("llama3.2")
      .getByRole("radio", { name: /^Without Ollama/ })
      .check();
    await adding.download();
    expect((await only()).provider).toBe("ollama-registry");
    expect(ollama.pulls.length).toBe(before);
  });

  test("a repository of ModelScope by the address of its page", async () => {
    const adding = await open();
    await adding.lookUp("https://modelscope.cn/models/acme/scoped-gguf");
    const item = adding.item("acme/scoped-gguf");
    await item.getByRole("checkbox", { name: /^Q4_K_M/, checked: true }).waitFor();
    await item.getByText(/^ModelScope/).waitFor();
    await adding.download();
    const done = await only();
    expect([done.provider, done.filename]).toEqual(["modelscope", "scoped-Q4_K_M.gguf"]);
  });

  test("several lines pasted at once; the one that cannot be read says why and can be mended", async () => {
    const adding = await open();
    const lines = [world.origin.url("/plain.gguf"), "what is that", "acme/tiny-gguf"].join("\n");
    await paste(adding.field, lines);
    const bad = adding.item("what is that");
    await bad.getByText(/hf:org\/name/).waitFor();
    await adding.item("plain.gguf").waitFor();
    await adding
      .item("acme/tiny-gguf")
      .getByRole("checkbox", { name: /^Q4_K_M/ })
      .waitFor();
    await adding.page.getByText(/^2 downloads · at least 5\.00 MB/).waitFor();
    await bad.getByRole("button", { name: "Edit" }).click();
    expect(await adding.field.inputValue()).toBe("what is that");
    await adding.view.button("Leave out acme/tiny-gguf").click();
    await adding.download();
    expect((await only()).model_id).toBe("plain.gguf");
  });

  test("links dropped on the page, and text pasted beside every field, are looked up", async () => {
    const adding = await open("/#/downloads");
    await adding.page.getByRole("main").waitFor();
    await adding.page.evaluate((url) => {
      const data = new DataTransfer();
      data.setData("text/uri-list", `# a comment\r\n${url}\r\n`);
      const event = { dataTransfer: data, bubbles: true, cancelable: true };
      document.body.dispatchEvent(new DragEvent("dragover", event));
      document.body.dispatchEvent(new DragEvent("drop", event));
    }, world.origin.url("/plain.gguf"));
    await adding.item("plain.gguf").waitFor();
    await adding.view.goto("#/settings");
    await paste(adding.page.locator("body"), "acme/tiny-gguf");
    await adding.item("acme/tiny-gguf").waitFor();
    expect(adding.page.url()).toEndWith("#/add");
  });

  test("options and an engine go with it, and a refusal is told where it belongs", async () => {
    const adding = await open(`/#/add?ref=${encodeURIComponent("acme/tiny-gguf")}`);
    const item = adding.item("acme/tiny-gguf");
    await item.getByText("Options", { exact: true }).click();
    await item.getByLabel("Name").fill("resume");
    await item.getByLabel("Priority").fill("7");
    await item.getByLabel("Speed limit, MB/s").fill("100");
    await item.getByText(/^Engine/).click();
    await item.getByRole("switch", { name: /Make an engine/ }).check();
    await item.getByLabel("Engine id").fill("mine");
    await item.getByLabel("Runtime").selectOption({ label: "Only register the file" });
    await item.getByLabel("Context length").fill("2048");
    adding.view.allow(/400/);
    await adding.view.button("Download").click();
    await item.getByText("Not started").waitFor();
    await item.getByLabel("Name").fill("my-model");
    await adding.download();
    const done = await only();
    expect(done).toMatchObject({ model_id: "my-model", priority: 7, rate_limit_bps: 100 * MIB });
    const engine = await world.daemon.must("GET", "/v1/engines/mine");
    expect([engine.state, engine.loading_parameters.n_ctx]).toEqual(["loaded", 2048]);
    await world.daemon.must("DELETE", "/v1/engines/mine");
  });

  test("with the keyboard alone", async () => {
    const adding = await open("/#/downloads");
    const { keyboard } = adding.page;
    await adding.page.getByRole("link", { name: /^Add/ }).first().waitFor();
    await tabTo(adding.page, adding.page.getByRole("link", { name: /^Add/ }).first());
    await keyboard.press("Enter");
    await adding.field.and(adding.page.locator(":focus")).waitFor();
    await keyboard.type("acme/tiny-gguf");
    await keyboard.press("Enter");
    const item = adding.item("acme/tiny-gguf");
    const usual = item.getByRole("checkbox", { name: /^Q4_K_M/ });
    await usual.waitFor();
    await tabTo(adding.page, usual);
    await keyboard.press("Space");
    await tabTo(adding.page, item.getByRole("checkbox", { name: /^Q5_K_M/ }));
    await keyboard.press("Space");
    await tabTo(adding.page, adding.view.button("Download"));
    await keyboard.press("Enter");
    await adding.page.waitForURL(/#\/downloads$/);
    expect((await only()).filename).toBe("tiny-Q5_K_M.gguf");
  });

  test.each(LOOKS)("F202 stands every name, and fits in %s at %i px", async (theme, width) => {
    const view = await world.open({ theme, width, at: "/#/add" });
    const adding = new Adding(view);
    const hostile = `https://127.0.0.1/<img src=x onerror=alert(1)>${"x".repeat(200)}`;
    await adding.lookUp(`acme/awkward\nacme/tiny-gguf\n${hostile}\njavascript:alert(1)`);
    await adding
      .item("acme/awkward")
      .getByText(/other files/)
      .click();
    await adding
      .item("acme/awkward")
      .getByRole("checkbox", { name: /^a#b\?\.txt/ })
      .waitFor();
    expect(await view.overflows()).toBe(false);
    expect(await view.page.locator("img").count()).toBe(0);
  });
});

/** A paste as the keyboard makes it, without a clipboard that other pages share. */
const paste = (target: Locator, text: string): Promise<void> =>
  target.evaluate((element, pasted) => {
    const clipboardData = new DataTransfer();
    clipboardData.setData("text/plain", pasted);
    element.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
  }, text);

/** Presses Tab until it has the focus. */
async function tabTo(page: Page, target: Locator): Promise<void> {
  for (let pressed = 0; pressed < 80; pressed += 1) {
    if (await target.evaluate((element) => element === document.activeElement)) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`Tab never reaches ${target}`);
}
