import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { ggufRepo } from "../support/hub.ts";
import { until } from "../support/until.ts";
import { hasBrowser, type View } from "./browser.ts";
import { begin, downloadsWorld, rowOf, slow } from "./downloads-world.ts";

setDefaultTimeout(60_000);

const NAMES = Array.from({ length: 8 }, (_, at) => `acme/silent-${at}`);

/** Listings that the page asks for, and those that have not ended. */
function listings(view: View) {
  const open = new Set<string>();
  const asked: string[] = [];
  const isListing = (url: string): boolean => /\/v1\/sources\/[^/]+\/files/.test(url);
  const nameOf = (url: string): string => new URL(url).searchParams.get("repo") ?? "";
  view.page.on("request", (request) => {
    if (!isListing(request.url())) return;
    open.add(nameOf(request.url()));
    asked.push(nameOf(request.url()));
  });
  const ended = (url: string) => isListing(url) && open.delete(nameOf(url));
  view.page.on("requestfailed", (request) => ended(request.url()));
  view.page.on("requestfinished", (request) => ended(request.url()));
  return { open, asked };
}

describe.skipIf(!hasBrowser)("while a hub is silent", () => {
  const world = downloadsWorld({ hub: { repos: NAMES.map((name) => ggufRepo(name)) } });

  test("A27 a pause pressed while many references are looked up reaches the server at once", async () => {
    slow(world);
    const { id } = await begin(world, 0, "only");
    await world.daemon.until(id, "downloading");
    world.hub.origin.on({ path: "/api/*" }, { kind: "stall", at: "start" });
    const view = await world.open({ at: "/#/add" });
    const seen = listings(view);
    await view.field("URL, repository or model").fill(NAMES.join("\n"));
    await view.button("Look up").click();
    await until(async () => seen.open.size >= 2, "listings under way");
    await view.goto("#/downloads");
    const pressed = Date.now();
    await rowOf(view, "only").getByRole("button", { name: "Pause only" }).click();
    await world.daemon.until(id, "paused");
    expect(Date.now() - pressed).toBeLessThan(5_000);
    expect(seen.asked).toEqual(NAMES.slice(0, 2));
    world.hub.origin.clear();
  });

  test("A27 what is left out is asked for no longer, and the next has its turn", async () => {
    world.hub.origin.on({ path: "/api/*" }, { kind: "stall", at: "start" });
    const view = await world.open({ at: "/#/add" });
    const seen = listings(view);
    await view.field("URL, repository or model").fill(NAMES.join("\n"));
    await view.button("Look up").click();
    await until(async () => seen.open.size === 2, "two listings under way");
    await view.button(`Leave out ${NAMES[0]}`).click();
    await until(async () => [...seen.open].join() === `${NAMES[1]},${NAMES[2]}`, "the third listing");
    for (const name of NAMES.slice(1)) await view.button(`Leave out ${name}`).click();
    await until(async () => seen.open.size === 0, "no listing under way");
    world.hub.origin.clear();
  });

  test("A27 listings and what is done to a selection share three connections: what is pressed finds one", async () => {
    slow(world);
    await world.daemon.must("PATCH", "/v1/settings", { max_concurrent: 1 });
    const all = ["a", "b", "c", "d"];
    const ids: string[] = [];
    for (const [at, name] of all.entries()) ids.push((await begin(world, at, name)).id);
    await world.daemon.until(ids[0]!, "downloading");
    world.hub.origin.on({ path: "/api/*" }, { kind: "stall", at: "start" });
    const view = await world.open({ at: "/#/add" });
    const seen = listings(view);
    let open = 0;
    let most = 0;
    const { promise, resolve } = Promise.withResolvers<void>();
    await view.page.route("**/v1/downloads/*/pause", async (route) => {
      open += 1;
      most = Math.max(most, open + seen.open.size);
      if (!route.request().url().includes(ids[3]!)) await promise;
      await route.continue();
      open -= 1;
    });
    await view.field("URL, repository or model").fill(NAMES.join("\n"));
    await view.button("Look up").click();
    await until(async () => seen.open.size === 2, "two listings under way");
    await view.goto("#/downloads");
    for (const name of ["a", "b", "c"]) await rowOf(view, name).getByRole("checkbox").check();
    await view.button("Pause").click();
    await until(async () => open === 1, "one command of the selection");
    await rowOf(view, "d").getByRole("button", { name: "Pause d" }).click();
    await world.daemon.until(ids[3]!, "paused");
    expect([open, seen.open.size]).toEqual([1, 2]);
    resolve();
    for (const id of ids) await world.daemon.until(id, "paused");
    expect(most).toBe(4);
    world.hub.origin.clear();
  });
});
