import { afterAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Locator } from "playwright-core";
import { gguf, LLAMA } from "../engines/support.ts";
import { literal } from "../support/bytes.ts";
import { LlamaProgram } from "../support/llama-server.ts";
import { tempDir } from "../support/temp.ts";
import { until } from "../support/until.ts";
import { hasBrowser, LOOKS, monitorWorld, type View } from "./browser.ts";

setDefaultTimeout(60_000);

const dir = tempDir("monitor-engines");
const program = new LlamaProgram(dir.path);
afterAll(() => {
  for (const pid of program.alive()) process.kill(pid, "SIGKILL");
  dir.remove();
});

describe.skipIf(!hasBrowser)("engines", () => {
  const world = monitorWorld({
    origin: { resources: [{ path: "/a.gguf", content: literal(gguf({ pairs: LLAMA })) }] },
    args: ["--engine-runtime", "llama-server", "--llama-server", program.path],
  });
  beforeEach(async () => {
    program.order({});
    const { engines } = await world.daemon.must("GET", "/v1/engines");
    for (const { engine_id } of engines)
      await world.daemon.must("DELETE", `/v1/engines/${encodeURIComponent(engine_id)}`);
    await world.forget();
  });

  const made = async (id: string, more: object = {}): Promise<void> => {
    const engine = { engine_id: id, ...more };
    const download = await world.daemon.begin({ url: world.origin.url("/a.gguf"), model_id: id, engine });
    await world.daemon.until(download.id, "completed");
  };
  const open = async (): Promise<View> => {
    const view = await world.open({ at: "/#/engines" });
    await view.page.getByRole("heading", { name: "Engines", exact: true }).waitFor();
    return view;
  };
  const engine = (view: View, id: string): Locator =>
    view.page.getByRole("list", { name: "Engines" }).getByRole("listitem", { name: id, exact: true });
  const state = (view: View, id: string, word: string): Promise<void> =>
    engine(view, id).getByText(word, { exact: true }).waitFor();

  test("none is said; a new one appears by itself, with what is known of its model", async () => {
    const view = await open();
    await view.page.getByRole("heading", { name: "No engines" }).waitFor();
    await made("first");
    await state(view, "first", "loaded");
    const { endpoint } = await world.daemon.must("GET", "/v1/engines/first");
    await engine(view, "first").getByRole("link", { name: endpoint }).waitFor();
    const text = await engine(view, "first").textContent();
    for (const part of ["Language model", "llama-server", "gguf", "llama", "tokens", "a.gguf"])
      expect(text).toContain(part);
    await view.page.getByText("1 engine · 1 loaded").waitFor();
  });

  test("is stopped, started and deleted, the last asked for", async () => {
    await made("second");
    const view = await open();
    await state(view, "second", "loaded");
    expect(await view.button("Start second").isDisabled()).toBe(true);
    await view.button("Stop second").click();
    await state(view, "second", "stopped");
    expect(program.alive()).toEqual([]);
    expect(await view.button("Stop second").isDisabled()).toBe(true);
    await view.button("Start second").click();
    await state(view, "second", "loaded");
    expect(program.alive()).toHaveLength(1);
    await view.button("Delete engine second").click();
    await view.page
      .getByRole("alertdialog")
      .getByText(/stopped first.*file stays on disk/)
      .waitFor();
    await view.button("Keep it").click();
    await state(view, "second", "loaded");
    await view.button("Delete engine second").click();
    await view.page.getByRole("alertdialog").getByRole("button", { name: "Delete engine" }).click();
    await view.page.getByRole("heading", { name: "No engines" }).waitFor();
    expect(program.alive()).toEqual([]);
    expect((await world.daemon.must("GET", "/v1/files")).files).toHaveLength(1);
  });

  test("one that is still loading can be stopped, which is no failure", async () => {
    await made("slow");
    const view = await open();
    await view.button("Stop slow").click();
    await state(view, "slow", "stopped");
    program.order({ neverReady: true });
    view.allow(/answer: 4\d\d|Failed to load/);
    // The start is refused after the stop has been answered, as may happen.
    const isStopped = Promise.withResolvers<void>();
    await view.page.route("**/engines/slow/start", async (route) => {
      const answer = await route.fetch();
      await isStopped.promise;
      await route.fulfill({ response: answer });
    });
    const refusal = view.page.waitForResponse("**/engines/slow/start");
    await view.button("Start slow").click();
    await state(view, "slow", "loading");
    await view.button("Stop slow").click();
    await state(view, "slow", "stopped");
    isStopped.resolve();
    await (await refusal).finished();
    await until(() => program.alive().length === 0, "its process to end");
    expect(await view.page.getByRole("region", { name: "Messages" }).textContent()).toBe("");
  });

  test("one that fails says why, and its log tells more", async () => {
    await made("broken");
    const view = await open();
    await view.button("Stop broken").click();
    await state(view, "broken", "stopped");
    program.order({ exitCode: 1 });
    view.allow(/answer: 422|Failed to load/);
    await view.button("Start broken").click();
    await state(view, "broken", "failed");
    await engine(view, "broken").getByText("Why it failed").waitFor();
    await view.button("Open log of broken").click();
    await engine(view, "broken")
      .getByRole("log")
      .getByText(/exiting due to model loading error/)
      .waitFor();
  });

  test("the log is read again while it is open, and follows its end", async () => {
    program.order({ chatter: 30 });
    await made("talks");
    const view = await open();
    await view.button("Open log of talks").click();
    const log = engine(view, "talks").getByRole("log", { name: "Log of talks" });
    await log.getByText(/server is listening/).waitFor();
    const atEnd = () => log.evaluate((it) => it.scrollHeight - it.scrollTop - it.clientHeight < 2);
    await until(atEnd, "the log to show its end");
    const { endpoint } = await world.daemon.must("GET", "/v1/engines/talks");
    await fetch(`${endpoint}/crash`, { method: "POST" }).catch(() => {});
    await log.getByText(/ordered to crash/).waitFor();
    await until(atEnd, "the log to follow");
    await view.button("Close log of talks").click();
    await log.waitFor({ state: "detached" });
  });

  test.each(LOOKS)("F202 stands every name, and fits in %s at %i px", async (theme, width) => {
    const id = `<img src=x onerror=alert(1)>${"x".repeat(200)}`;
    await made(id, { inference_engine: "register" });
    const view = await world.open({ theme, width, at: "/#/engines" });
    await engine(view, id).waitFor();
    await view.button(`Open log of ${id}`).click();
    await view.page.getByText("It has said nothing.").waitFor();
    expect(await view.overflows()).toBe(false);
    expect(await view.page.locator("img").count()).toBe(0);
  });
});
