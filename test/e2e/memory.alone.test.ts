import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { type Daemon, startDaemon } from "../support/daemon.ts";
import { startOriginProcess } from "../support/origin/process.ts";
import { tempDir } from "../support/temp.ts";
import { sha256File } from "./support.ts";

const MIB = 1 << 20;
const SIZE = 128 * MIB;
const NAMES = ["a", "b", "c", "d"].map((name) => `${name}.gguf`);
/** Far less than the files are together, far more than buffers and the runtime's own garbage. */
const MOST_MORE = 256 * MIB;

/** Largest resident set so far. */
function peakOf({ pid }: Daemon): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return 1024 * Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? Number.NaN);
}

test("F114 four files as fast as they come take bounded memory, and the kernel's kill for want of it costs no more than any other", async () => {
  using dir = tempDir("memory");
  await using origin = await startOriginProcess({
    resources: NAMES.map((name, seed) => ({ path: `/${name}`, seed, size: SIZE })),
  });
  await using daemon = await startDaemon({
    dir: dir.path,
    args: ["--connections", "16", "--max-concurrent", String(NAMES.length)],
  });
  const idle = peakOf(daemon);
  const sha256 = await Promise.all(NAMES.map((name) => origin.ask("sha256", `/${name}`)));
  const begin = NAMES.map((name, i) => daemon.begin({ url: origin.url(`/${name}`), sha256: sha256[i] }));
  const ids = (await Promise.all(begin)).map(({ id }) => id);
  await daemon.until(ids[0]!, (it) => it.progress.downloaded_bytes > SIZE / 2, 60_000);
  const peak = peakOf(daemon);
  // What the kernel sends a process that it takes the memory from.
  await daemon.kill();
  await daemon.start();
  const done = await Promise.all(ids.map((id) => daemon.until(id, "completed", 60_000)));
  console.log(`memory: ${Math.round(idle / MIB)} MiB at rest, ${Math.round(peak / MIB)} MiB at most`);
  expect(await Promise.all(done.map((it) => sha256File(it.local_path!)))).toEqual(sha256);
  expect(peak).toBeGreaterThan(idle);
  expect(Math.max(peak, peakOf(daemon)) - idle).toBeLessThan(MOST_MORE);
}, 120_000);
