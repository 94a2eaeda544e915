import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import type { Locator } from "playwright-core";
import { gguf, LLAMA } from "../engines/support.ts";
import { generated, literal } from "../support/bytes.ts";
import type { Shown } from "../support/daemon.ts";
import { awkwardRepo, ggufRepo, safetensorsRepo } from "../support/hub.ts";
import { until } from "../support/until.ts";
import { hasBrowser, LOOKS, monitorWorld, PHONE, type View } from "./browser.ts";

setDefaultTimeout(60_000);

const MIB = 1 << 20;
const BIG = 256 * MIB;

describe.skipIf(!hasBrowser)("models on disk", () => {
  const world = monitorWorld({
    hub: {
      repos: [
        ggufRepo("acme/tiny-gguf", { quantizations: { Q4_K_M: 3 * MIB } }),
        safetensorsRepo("acme/plain"),
        awkwardRepo("acme/awkward"),
      ],
    },
    origin: {
      resources: [
        { path: "/plain.gguf", content: literal(gguf({ pairs: LLAMA })) },
        { path: "/big.bin", content: generated(5, BIG) },
      ],
    },
  });
  afterEach(() => {
    world.hub.cdn.clear();
    return world.forget();
  });

  const fetched = async (body: Record<string, unknown>): Promise<Shown & { local_path: string }> => {
    const { id } = await world.daemon.begin(body);
    return (await world.daemon.until(id, "completed")) as Shown & { local_path: string };
  };
  const tiny = () => fetched({ repo_id: "acme/tiny-gguf", filename: "tiny-Q4_K_M.gguf" });
  const open = async (): Promise<View> => {
    const view = await world.open({ at: "/#/models" });
    await view.page.getByRole("heading", { name: "Models on disk" }).waitFor();
    return view;
  };
  const model = (view: View, name: string): Locator =>
    view.page.getByRole("list", { name: "Models" }).getByRole("listitem", { name, exact: true });

  const damaged = async (view: View, name: string): Promise<void> => {
    await model(view, name).getByText("damaged", { exact: true }).waitFor();
    await model(view, name).getByText("delete it and download it again").waitFor();
  };

  test("nothing there is said, and what has just come appears by itself", async () => {
    const view = await open();
    await view.page.getByRole("heading", { name: "Nothing on disk yet" }).waitFor();
    await tiny();
    const row = model(view, "acme/tiny-gguf/tiny-Q4_K_M.gguf");
    await row.getByText("verified", { exact: true }).waitFor();
    expect(await row.textContent()).toContain("3.00 MB");
    await view.page.getByText(/^1 model · .+ in finished files · .+ free$/).waitFor();
  });

  test("verified or not, damaged or gone: told for each, after reading it again", async () => {
    const good = await tiny();
    const plain = await fetched({ url: world.origin.url("/plain.gguf") });
    const view = await open();
    const row = model(view, "plain.gguf");
    await row.getByText("not verified").waitFor();
    await view.button("Verify plain.gguf").click();
    await view.page.getByText(/nobody promised a digest/).waitFor();
    await view.button("Verify plain.gguf").click();
    await view.page.getByText("plain.gguf is what it should be.").waitFor();

    const { progress } = good;
    writeFileSync(good.local_path, Buffer.alloc(progress.total_bytes));
    const name = "acme/tiny-gguf/tiny-Q4_K_M.gguf";
    await view.button(`Verify ${name}`).click();
    await view.page.getByText(/is not what it should be.*Delete it/).waitFor();
    await damaged(view, name);

    rmSync(plain.local_path);
    await view.button("Refresh the list").click();
    await row.getByText("missing", { exact: true }).waitFor();
    expect(await view.button("Verify plain.gguf").isDisabled()).toBe(true);
  });

  test("F93 a damaged model is damaged after a reload and a restart, until it is downloaded again", async () => {
    const { id, local_path, progress } = await tiny();
    const name = "acme/tiny-gguf/tiny-Q4_K_M.gguf";
    writeFileSync(local_path, Buffer.alloc(progress.total_bytes));
    const [file] = (await world.daemon.must("GET", `/v1/downloads/${id}`)).files;
    await world.daemon.must("POST", `/v1/files/${file.id}/verify`);
    const view = await open();
    await damaged(view, name);
    await view.page.reload();
    await damaged(view, name);
    await view.context.close();
    await world.daemon.restart();
    const later = await open();
    await damaged(later, name);
    await later.button(`Delete ${name}`).click();
    await later.button("Delete from disk").click();
    await later.page.getByRole("heading", { name: "Nothing on disk yet" }).waitFor();
    await tiny();
    await model(later, name).getByText("verified", { exact: true }).waitFor();
  });

  test("a verification shows how far it is, and can be stopped", async () => {
    await fetched({ url: world.origin.url("/big.bin") });
    const view = await open();
    const row = model(view, "big.bin");
    const bar = row.getByRole("progressbar", { name: "Verifying big.bin" });
    await view.button("Verify big.bin").click();
    await bar.waitFor();
    await view.button("Stop verifying big.bin").click();
    await view.button("Verify big.bin").waitFor();
    expect(await view.page.getByText(/digest to compare with/).count()).toBe(0);

    // Watched from before it begins: a busy machine may be done before anybody asks.
    const watched = view.page.evaluate(
      () =>
        new Promise<number[]>((resolve) => {
          const values: number[] = [];
          const watch = setInterval(() => {
            const found = document.querySelector<HTMLProgressElement>(
              'progress[aria-label="Verifying big.bin"]',
            );
            if (found) values.push(found.value);
            else if (values.length > 0) {
              clearInterval(watch);
              resolve(values);
            }
          }, 5);
        }),
    );
    const told = view.page.getByText(/nobody promised a digest/).waitFor();
    await view.button("Verify big.bin").click();
    const seen = await watched;
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(new Set(seen).size).toBeGreaterThan(1);
    await told;
  });

  test("deleting asks, says what is freed and who uses it, and frees it", async () => {
    const { local_path } = await fetched({
      url: world.origin.url("/plain.gguf"),
      engine: { engine_id: "user", inference_engine: "register" },
    });
    const view = await open();
    await view.button("Delete plain.gguf").click();
    const dialog = view.page.getByRole("alertdialog", { name: "Delete plain.gguf?" });
    await dialog.getByText(/The file goes from disk: .+ In use by engine user\./).waitFor();
    await view.page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    expect(existsSync(local_path)).toBe(true);
    await view.button("Delete plain.gguf").click();
    await view.button("Delete from disk").click();
    await view.page.getByRole("heading", { name: "Nothing on disk yet" }).waitFor();
    expect(existsSync(local_path)).toBe(false);
    await world.daemon.must("DELETE", "/v1/engines/user");
  });

  test("many files are one model: its folder, its files, all verified and all deleted together", async () => {
    const { local_path } = await fetched({ repo_id: "acme/plain" });
    const view = await open();
    const row = model(view, "acme/plain");
    await row.getByText("9 files").waitFor();
    await view.button("Details of acme/plain").click();
    const files = row.getByRole("list", { name: "Files" }).getByRole("listitem");
    expect(await files.count()).toBe(9);
    await row.getByText(local_path, { exact: true }).waitFor();

    truncateSync(`${local_path}/config.json`, 3);
    await view.button("Refresh the list").click();
    await files.filter({ hasText: "config.json" }).filter({ hasText: "changed" }).first().waitFor();
    await view.button("Delete acme/plain").click();
    await view.page.getByText(/All 9 files go from disk/).waitFor();
    await view.button("Delete from disk").click();
    await row.waitFor({ state: "detached" });
    expect(existsSync(`${local_path}/model-00001-of-00002.safetensors`)).toBe(false);
  });

  test("of a repository that is still coming it says so, leads to its download, and deletes nothing", async () => {
    const path = world.hub.cdnPath("acme/plain", "model-00002-of-00002.safetensors");
    world.hub.cdn.on({ path }, { kind: "stall", at: 300_000 });
    const { id } = await world.daemon.begin({ repo_id: "acme/plain" });
    await world.daemon.until(id, (it) => it.files_done === 8 && it.progress.downloaded_bytes > 1_300_000);
    // The sizes on disk are counted every ten seconds.
    await until(
      async () => (await world.daemon.must("GET", "/v1/storage")).partial_bytes > 0,
      "what is not finished to be counted",
      { timeoutMs: 20_000 },
    );
    const view = await open();
    const row = model(view, "acme/plain");
    await row.getByText("unfinished", { exact: true }).waitFor();
    await row.getByText("Unfinished: downloading, 8 of 9 files.").waitFor();
    await view.page.getByText(/^1 model · .+ in finished files \+ .+ unfinished · .+ free$/).waitFor();
    expect(await view.button("Verify acme/plain").isEnabled()).toBe(true);
    expect(await view.button("Delete acme/plain").count()).toBe(0);

    await world.daemon.must("POST", `/v1/downloads/${id}/pause`);
    await row.getByText("Unfinished: paused, 8 of 9 files.").waitFor();
    await view.goto("#/downloads");
    await view.field("Search").fill("nothing like it");
    await view.goto("#/models");
    await view.link("Show the download of acme/plain").click();
    const shown = view.page.getByRole("list", { name: "Downloads" }).getByRole("listitem");
    await view.button("Show files (8 of 9 complete)", shown).waitFor();
    await until(() => shown.evaluate((it) => it === document.activeElement), "the row to have the focus");

    // What is left of a cancelled one can be deleted.
    await world.daemon.must("POST", `/v1/downloads/${id}/cancel`);
    await view.goto("#/models");
    await row.getByText("Unfinished: cancelled, 8 of 9 files.").waitFor();
    await view.button("Delete acme/plain").click();
    await view.button("Delete from disk").click();
    await view.page.getByRole("heading", { name: "Nothing on disk yet" }).waitFor();
  });

  test("on a phone too each model has its time", async () => {
    await tiny();
    const view = await world.open({ width: PHONE, at: "/#/models" });
    const row = model(view, "acme/tiny-gguf/tiny-Q4_K_M.gguf");
    await row.getByText(/^\d{1,2}:\d{2}/).waitFor();
  });

  test("the path is copied", async () => {
    const { local_path } = await tiny();
    const view = await open();
    await view.context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await view.button(/^Copy path of/).click();
    await view.page.getByText("Path copied").waitFor();
    expect(await view.page.evaluate(() => navigator.clipboard.readText())).toBe(local_path);
  });

  test("a model is found by its name or a file's", async () => {
    await tiny();
    await fetched({ repo_id: "acme/plain" });
    const view = await open();
    await view.field("Find a model").fill("TOKENIZER");
    await model(view, "acme/plain").waitFor();
    expect(await view.page.getByRole("list", { name: "Models" }).getByRole("listitem").count()).toBe(1);
    await view.field("Find a model").fill("nobody");
    await view.page.getByText('No model has "nobody" in its name.').waitFor();
  });

  test.each(LOOKS)("F202 stands every name, and fits in %s at %i px", async (theme, width) => {
    await fetched({ repo_id: "acme/awkward", model_id: `<img src=x onerror=alert(1)>${"x".repeat(300)}` });
    const view = await world.open({ theme, width, at: "/#/models" });
    await view.button(/^Details of <img/).click();
    await view.page.getByText("a#b?.txt").waitFor();
    expect(await view.overflows()).toBe(false);
    expect(await view.page.locator("img").count()).toBe(0);
  });
});
