import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { ggufRepo } from "../support/hub.ts";
import { Adding } from "./adding.ts";
import { freePort, hasBrowser, monitorWorld } from "./browser.ts";

setDefaultTimeout(60_000);

const REPO = "acme/tiny-gguf";

describe.skipIf(!hasBrowser)("what is to be added is not lost", () => {
  const world = monitorWorld({ port: freePort(), hub: { repos: [ggufRepo(REPO)] } });
  afterEach(() => world.forget());

  const open = async (): Promise<Adding> => new Adding(await world.open({ at: "/#/add" }));

  test("A27 while the server is away it stays in the field, also when another view is looked at", async () => {
    const adding = await open();
    const { view, field } = adding;
    view.allow(/ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY|ERR_FAILED|ERR_SOCKET|WebSocket connection|404/);
    await view.button("Connection: live").waitFor();
    await world.daemon.kill();
    await adding.lookUp(`${REPO}\nacme/other`);
    await view.page.getByText(/^No answer from/).waitFor();
    expect(await field.inputValue()).toBe(`${REPO}\nacme/other`);
    await view.goto("#/models");
    await field.waitFor({ state: "detached" });
    await view.goto("#/add");
    expect(await field.inputValue()).toBe(`${REPO}\nacme/other`);
    await world.daemon.start();
    await field.press("Enter");
    await adding
      .item(REPO)
      .getByRole("checkbox", { name: /^Q4_K_M/ })
      .waitFor();
    expect(await field.inputValue()).toBe("");
  });

  test("A27 of more lines than one request takes the rest stays in the field, and is looked up next", async () => {
    const lines = Array.from({ length: 130 }, (_, at) => `http://127.0.0.1:9/${at}.gguf`);
    const adding = await open();
    await adding.lookUp(lines.join("\n"));
    await adding.item("99.gguf").waitFor();
    await adding.page.getByText("100 are looked up. 30 more stay in the field: look them up next.").waitFor();
    expect(await adding.field.inputValue()).toBe(lines.slice(100).join("\n"));
    await adding.view.button("Look up").click();
    await adding.item("129.gguf").waitFor();
    expect(await adding.field.inputValue()).toBe("");
  });

  test("A27 what is edited does not take the place of what has been typed", async () => {
    const adding = await open();
    await adding.lookUp("what is that");
    const bad = adding.item("what is that");
    await bad.waitFor();
    await adding.field.fill("acme/typed");
    await bad.getByRole("button", { name: "Edit" }).click();
    expect(await adding.field.inputValue()).toBe("what is that\nacme/typed");
  });

  test("A27 a hub that failed is asked again, and the focus stays at the card", async () => {
    const rule = world.hub.origin.on({ path: "/api/*" }, { kind: "respond", status: 503 });
    const adding = await open();
    adding.view.allow(/50\d/);
    await adding.lookUp(REPO);
    const item = adding.item(REPO);
    const again = item.getByRole("button", { name: "Try again" });
    await again.waitFor();
    rule.remove();
    await again.press("Enter");
    await item.getByRole("checkbox", { name: /^Q4_K_M/ }).waitFor();
    expect(await item.evaluate((card) => card.contains(document.activeElement))).toBe(true);
  });
});
