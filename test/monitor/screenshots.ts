/** `bun test/monitor/screenshots.ts`: every view in both themes and widths, in test/e2e/screenshots/ (small PNGs). */
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { startDaemon } from "../support/daemon.ts";
import { startHub } from "../support/hub.ts";
import { tempDir } from "../support/temp.ts";
import { hasBrowser, LOOKS, launch, openView, PHONE, type View } from "./browser.ts";
import { PLACES, settled } from "./places.ts";
import { populate, usualRepos } from "./populated.ts";

const MIB = 1 << 20;
const FOLDER = join(import.meta.dir, "../e2e/screenshots");
/** Time for the chart to have something to show. */
const WARM_UP_MS = 20_000;
const KEY = "a-key-of-the-screenshots";
/** Those that show a view as a whole; the rest are dialogs and menus. */
const SHOWN = new Set([
  "downloads",
  "downloads-details",
  "downloads-error",
  "add",
  "add-repository",
  "models",
  "engines",
  "settings",
]);

/** Colours by number: a third of the size. Left as it is where there is no tool for it. */
async function shrink(path: string): Promise<void> {
  const tool = Bun.which("pngquant");
  if (tool === null) return;
  await Bun.spawn([tool, "--force", "--skip-if-larger", "--output", path, "64", path]).exited;
}

/** The folder of this run has a name of its own each time; what is shown is one that people have. */
const plainPaths = (view: View): Promise<void> =>
  view.page.evaluate(
    ([mine, theirs]) => {
      const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      for (let node = texts.nextNode(); node; node = texts.nextNode())
        if (node.nodeValue?.includes(mine)) node.nodeValue = node.nodeValue.replace(mine, theirs);
    },
    [dir.path, "/home/ada"] as const,
  );

async function shoot(view: View, name: string): Promise<void> {
  await plainPaths(view);
  await settled(view);
  // What a pointer rests on looks different.
  await view.page.mouse.move(0, 0);
  const path = join(FOLDER, `${name}.png`);
  await view.page.screenshot({ path });
  await shrink(path);
  console.log(`${name}.png  ${Math.round(Bun.file(path).size / 1024)} KiB`);
}

const suffix = (theme: string, width: number): string => `${theme}-${width === PHONE ? "phone" : "wide"}`;

if (!hasBrowser) process.exit(1);
await mkdir(FOLDER, { recursive: true });
for (const old of await readdir(FOLDER)) if (old.endsWith(".png")) await rm(join(FOLDER, old));

using dir = tempDir("screenshots");
const repos = usualRepos(12 * MIB);
await using hub = await startHub({ repos });
await using daemon = await startDaemon({ dir: dir.path, env: { HF_ENDPOINT: hub.endpoint } });
// Made up now: the hub would hold up everything when it is asked for them.
for (const { id, files } of repos) for (const { path } of files) void hub.repo(id).file(path).sha256;
await populate({ daemon, hub }, MIB);
const browser = await launch();
try {
  for (const [theme, width] of LOOKS) {
    const options = { theme, width, reducedMotion: true };
    const first = await openView(browser, daemon.base, options);
    await first.page.waitForTimeout(theme === "light" && width === PHONE ? 0 : WARM_UP_MS);
    for (const { name, reach } of PLACES) {
      if (!SHOWN.has(name)) continue;
      await reach(first);
      await shoot(first, `${name}-${suffix(theme, width)}`);
      // What was folded out or searched for is not of the next one.
      if (name.startsWith("downloads-")) await first.button(/^All/).click();
    }
    await first.context.close();
    const embed = await openView(browser, daemon.base, { ...options, at: "/embed" });
    await shoot(embed, `embed-${suffix(theme, width)}`);
    await embed.context.close();
  }
  using locked = tempDir("screenshots-locked");
  await using other = await startDaemon({ dir: locked.path, env: { MODELHAUL_API_KEY: KEY } });
  for (const [theme, width] of LOOKS) {
    const view = await openView(browser, other.base, { theme, width });
    await view.field("API key").waitFor();
    await shoot(view, `login-${suffix(theme, width)}`);
    await view.context.close();
  }
} finally {
  await browser.close();
}
