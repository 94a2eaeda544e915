import { expect, test } from "bun:test";
import { statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { startDaemon } from "../support/daemon.ts";
import { startOriginProcess } from "../support/origin/process.ts";
import { tempDir } from "../support/temp.ts";
import { partials, sha256File } from "./support.ts";

const SIZE = 2_000_000_000;
const NEEDED = 6e9;
const PATH = "/big.gguf";

function roomy(): boolean {
  const { bavail, bsize } = statfsSync(tmpdir());
  if (bavail * bsize >= NEEDED) return true;
  console.warn(`SKIPPED: the 2 GB download needs ${NEEDED / 1e9} GB free in ${tmpdir()}; set TMPDIR`);
  return false;
}

test.skipIf(!roomy())(
  "I1 2 GB over 8 connections are byte-identical, verified, and fetched once",
  async () => {
    using dir = tempDir("big");
    await using origin = await startOriginProcess({
      resources: [{ path: PATH, seed: 7, size: SIZE }],
      // Few enough bytes per connection that all eight are worth having.
      ratePerConnection: 25_000_000,
    });
    const sha256 = await origin.ask("sha256", PATH);
    await using daemon = await startDaemon({ dir: dir.path, args: ["--connections", "8"] });
    const { id } = await daemon.begin({ url: origin.url(PATH), sha256 });
    const done = await daemon.until(id, "completed", 120_000);

    expect((await origin.ask("stats")).maxActive).toBe(8);
    expect(done.progress).toMatchObject({ downloaded_bytes: SIZE, total_bytes: SIZE, percentage: 100 });
    expect(done.files?.[0]?.verified).toBe(true);
    expect(await sha256File(done.local_path!)).toBe(sha256);
    expect(await origin.ask("sent", PATH)).toBeLessThan(1.01 * SIZE);
    expect(partials(daemon.modelsDir)).toEqual([]);
  },
  180_000,
);
