import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { until } from "../support/until.ts";
import { hasBrowser, monitorWorld } from "./browser.ts";

setDefaultTimeout(60_000);

const NAMES = ["a.bin", "b.bin", "c.bin"];

describe.skipIf(!hasBrowser)("verifying", () => {
  const world = monitorWorld({
    origin: { resources: NAMES.map((name, seed) => ({ path: `/${name}`, seed, size: 4096 })) },
  });

  test("A27 however many are asked for, one file is read at a time, and what was stopped before its turn never", async () => {
    for (const name of NAMES) {
      const { id } = await world.daemon.begin({ url: world.origin.url(`/${name}`) });
      await world.daemon.until(id, "completed");
    }
    const view = await world.open({ at: "/#/models" });
    const gates: PromiseWithResolvers<void>[] = [];
    await view.page.route("**/v1/files/*/verify", async (route) => {
      const gate = Promise.withResolvers<void>();
      gates.push(gate);
      await gate.promise;
      await route.continue();
    });
    for (const name of NAMES) await view.button(`Verify ${name}`).click();
    for (const name of NAMES) await view.button(`Stop verifying ${name}`).waitFor();
    expect(gates).toHaveLength(1);
    await view.button("Stop verifying b.bin").click();
    await view.button("Verify b.bin").waitFor();
    gates[0]?.resolve();
    await view.button("Verify a.bin").waitFor();
    await until(async () => gates.length === 2, "the next one to be asked for");
    gates[1]?.resolve();
    await view.button("Verify c.bin").waitFor();
    expect(gates).toHaveLength(2);
  });
});
