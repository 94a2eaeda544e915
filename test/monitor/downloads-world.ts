/** Downloads that stand still where a test wants them, to be looked at and handled. */
import { afterEach } from "bun:test";
import type { Locator } from "playwright-core";
import type { Shown } from "../support/daemon.ts";
import { monitorWorld, type View, type World, type WorldOptions } from "./browser.ts";

export const MIB = 1 << 20;
/** Files `/0.gguf` … of the world's origin. */
export const FILES = 12;
export const FILE_SIZE = 32 * MIB;

/** A daemon that starts what it is told to, and an origin whose files can be held up. */
export function downloadsWorld(options: WorldOptions = {}): World {
  const resources = Array.from({ length: FILES }, (_, index) => ({
    path: `/${index}.gguf`,
    seed: index + 1,
    size: FILE_SIZE,
  }));
  const world = monitorWorld({ origin: { resources }, ...options });
  afterEach(async () => {
    world.origin.clear();
    letGo(world);
    await world.daemon.must("PATCH", "/v1/settings", { rate_limit_bps: 0, max_concurrent: 3, paused: false });
    await world.forget();
  });
  return world;
}

/** Files come so slowly that none is complete before the test says `letGo`. */
export function slow(world: World): void {
  world.origin.limits.rateTotal = 192 * 1024;
}

/** Files come as fast as they can. */
export function letGo(world: World): void {
  delete world.origin.limits.rateTotal;
}

/** Starts file number `index` under a name. */
export const begin = (world: World, index: number, name: string, more: object = {}): Promise<Shown> =>
  world.daemon.begin({ url: world.origin.url(`/${index}.gguf`), model_id: name, ...more });

/** One that moves and `names.length - 1` that wait behind it, in this order. */
export async function line(world: World, names: readonly string[]): Promise<Shown[]> {
  await world.daemon.must("PATCH", "/v1/settings", { max_concurrent: 1 });
  const begun: Shown[] = [];
  for (const [index, name] of names.entries()) {
    begun.push(await begin(world, index, name));
    if (index === 0) await world.daemon.until(begun[0]!.id, "downloading");
  }
  return begun;
}

/** Names of the rows from top to bottom. */
export const names = async (view: View): Promise<string[]> => {
  const rows = view.page.getByRole("listitem").filter({ has: view.page.getByRole("progressbar") });
  const found = await rows.evaluateAll((all) =>
    all
      .map(
        (row) => [row.getBoundingClientRect().top, row.querySelector("button")?.textContent ?? ""] as const,
      )
      .sort(([a], [b]) => a - b)
      .map(([, name]) => name),
  );
  return found;
};

/** The row of a download, by its name. */
export const rowOf = (view: View, name: string): Locator =>
  view.page.getByRole("listitem").filter({ has: view.page.getByRole("button", { name, exact: true }) });

/** Chooses from a row's menu. */
export async function choose(view: View, name: string, item: string | RegExp): Promise<void> {
  await view.button(`More for ${name}`).click();
  await view.menuItem(item).click();
}
