/**
 * `bun test/monitor/measure.ts`: what the monitor weighs, how soon it is seen on a slow phone, and what it costs while
 * 20 downloads move. Figures, not bounds: they depend on the machine and on what else it does.
 */
import type { CDPSession, Page } from "playwright-core";
import { startDaemon } from "../support/daemon.ts";
import { startOrigin } from "../support/origin.ts";
import { tempDir } from "../support/temp.ts";
import { hasBrowser, launch, openView, PHONE } from "./browser.ts";

const MIB = 1 << 20;
const MOVING = 20;
const WATCH_MS = 20_000;
/** Lighthouse's slow phone: 1.6 Mbit/s, 150 ms, a processor four times slower than this one. */
const SLOW = { offline: false, latency: 150, downloadThroughput: 1.6e6 / 8, uploadThroughput: 750e3 / 8 };
const SLOWER = 4;
const ROUNDS = 5;

const median = (all: readonly number[]): number => [...all].sort((a, b) => a - b)[all.length >> 1] ?? 0;

/** Kilobytes of scripts a page loads before anything is clicked: as they are and gzipped. */
async function weight(base: string): Promise<string> {
  const browser = await launch();
  const loaded = new Map<string, Promise<Buffer>>();
  const view = await openView(browser, base, {
    prepare: async (page) =>
      void page.on("response", (answer) => {
        if (answer.request().resourceType() === "script") loaded.set(answer.url(), answer.body());
      }),
  });
  await view.page.getByRole("navigation").first().waitFor();
  const bodies = await Promise.all(loaded.values());
  await browser.close();
  const sum = (sizes: number[]): string => `${(sizes.reduce((a, b) => a + b, 0) / 1024).toFixed(1)} KB`;
  const gzipped = bodies.map((body) => Bun.gzipSync(new Uint8Array(body)).length);
  return `${sum(bodies.map(({ length }) => length))} of scripts in ${bodies.length} files, ${sum(gzipped)} gzipped`;
}

async function paints(page: Page): Promise<Record<string, number>> {
  return page.evaluate(
    () =>
      new Promise((resolve) => {
        const told = (): void => {
          const entries = performance.getEntriesByType("paint");
          if (entries.length >= 2)
            resolve(Object.fromEntries(entries.map(({ name, startTime }) => [name, startTime])));
          else requestAnimationFrame(told);
        };
        told();
      }),
  );
}

async function slowPhone(base: string): Promise<string> {
  const browser = await launch();
  const seen: number[] = [];
  const live: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const begun: { at?: number } = {};
    const view = await openView(browser, base, {
      width: PHONE,
      prepare: async (page, context) => {
        const cdp = await context.newCDPSession(page);
        await cdp.send("Network.enable");
        await cdp.send("Network.emulateNetworkConditions", SLOW);
        await cdp.send("Emulation.setCPUThrottlingRate", { rate: SLOWER });
        begun.at = performance.now();
      },
    });
    seen.push((await paints(view.page))["first-contentful-paint"] ?? 0);
    await view.page.getByRole("list", { name: "Downloads" }).getByRole("listitem").first().waitFor();
    live.push(performance.now() - (begun.at ?? 0));
    await view.context.close();
  }
  await browser.close();
  return `first paint after ${Math.round(median(seen))} ms, the list after ${Math.round(median(live))} ms (medians of ${ROUNDS})`;
}

/** Seconds of processor time of every process of the browser, by kind. */
async function processorTime(session: CDPSession): Promise<Map<string, number>> {
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  const times = new Map<string, number>();
  for (const { type, cpuTime } of processInfo) times.set(type, (times.get(type) ?? 0) + cpuTime);
  return times;
}

async function whileMoving(base: string): Promise<string> {
  const browser = await launch();
  const view = await openView(browser, base);
  await view.page.getByRole("list", { name: "Downloads" }).getByRole("listitem").nth(5).waitFor();
  await view.page.waitForTimeout(5000);
  const session = await browser.newBrowserCDPSession();
  const page = await view.context.newCDPSession(view.page);
  await page.send("Performance.enable");
  const task = async (): Promise<number> => {
    const { metrics } = await page.send("Performance.getMetrics");
    return metrics.find(({ name }) => name === "TaskDuration")?.value ?? 0;
  };
  const [before, taskBefore, begun] = [await processorTime(session), await task(), performance.now()];
  await view.page.waitForTimeout(WATCH_MS);
  const [after, taskAfter] = [await processorTime(session), await task()];
  const seconds = (performance.now() - begun) / 1000;
  const percent = (used: number): string => `${((used / seconds) * 100).toFixed(1)} %`;
  const parts = [...after].map(([type, time]) => `${type} ${percent(time - (before.get(type) ?? 0))}`);
  await browser.close();
  return `main thread ${percent(taskAfter - taskBefore)} of one core; processes: ${parts.join(", ")}`;
}

if (!hasBrowser) process.exit(1);
using dir = tempDir("measure");
const resources = Array.from({ length: MOVING }, (_, i) => ({
  path: `/model-${i}.gguf`,
  seed: i,
  size: 64 * MIB,
}));
await using origin = await startOrigin({ resources, ratePerConnection: 32 * 1024 });
await using daemon = await startDaemon({
  dir: dir.path,
  args: ["--max-concurrent", String(MOVING), "--connections", "2"],
});
for (const { path } of resources) await daemon.begin({ url: origin.url(path) });
console.log(`weight      ${await weight(daemon.base)}`);
console.log(`slow phone  ${await slowPhone(daemon.base)}`);
console.log(`${MOVING} moving   ${await whileMoving(daemon.base)}`);
