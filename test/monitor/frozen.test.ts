import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { until } from "../support/until.ts";
import { hasBrowser } from "./browser.ts";
import { begin, downloadsWorld, rowOf, slow } from "./downloads-world.ts";

setDefaultTimeout(90_000);

/** Three missed heartbeats of 5 s, and some time for a busy machine. */
const SOON_MS = 18_000;

describe.skipIf(!hasBrowser)("a server that hangs", () => {
  const world = downloadsWorld();

  test.each(["WebSocket", "event stream", "polling"])(
    "A27 is told from one that answers: %s",
    async (way) => {
      slow(world);
      const { id } = await begin(world, 0, "only");
      await world.daemon.until(id, (it) => it.progress.downloaded_bytes > 0 && (it.speed ?? 0) > 0);
      const view = await world.open({
        prepare: async (page) => {
          if (way !== "WebSocket") await page.routeWebSocket("**/v1/ws**", (socket) => void socket.close());
          if (way === "polling") await page.route("**/v1/events**", (route) => route.abort());
        },
      });
      view.allow(/WebSocket|ERR_|net::/);
      await view.button(way === "polling" ? "Connection: every 2 s" : "Connection: live").waitFor();
      const figures = () => rowOf(view, "only").locator(".dl-figures").textContent();
      const totals = () => view.page.locator(".speed-value, .figure b").allInnerTexts();
      await until(async () => (await figures())?.includes("/s"), "a speed");
      process.kill(world.daemon.pid, "SIGSTOP");
      try {
        const from = Date.now();
        await view.button("Connection: no connection").waitFor({ timeout: SOON_MS });
        await view.page.getByText("What is shown is from").waitFor();
        console.log(`${way}: said after ${Date.now() - from} ms`);
        const before = await figures();
        expect(before).not.toContain("/s");
        expect((await totals()).join()).not.toContain("/s");
        await Bun.sleep(2_500);
        expect(await figures()).toBe(before);
      } finally {
        process.kill(world.daemon.pid, "SIGCONT");
      }
      await view.page.getByText("What is shown is from").waitFor({ state: "detached" });
      await until(async () => (await figures())?.includes("/s"), "a speed again", { timeoutMs: 30_000 });
    },
  );
});
