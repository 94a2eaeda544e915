/** A disk that reports, when bytes are to be made durable, that it has lost them. */
import { expect, test } from "bun:test";
import { readdirSync, readlinkSync } from "node:fs";
import { systemDisk } from "../../src/storage/disk.ts";
import { sha256Of } from "../support/bytes.ts";
import { startOrigin } from "../support/origin.ts";
import { openProduct } from "../support/product.ts";
import { digest, MB, slowOrigin } from "./support.ts";

/** Fails the next `times` syncs of a partial file, as the system does: once, and then it is silent about it. */
function losingDisk(times: number) {
  const lost = { times };
  const fdatasync: typeof systemDisk.fdatasync = async (fd) => {
    if (lost.times > 0 && readlinkSync(`/proc/self/fd/${fd}`).endsWith(".part")) {
      lost.times--;
      throw Object.assign(new Error("EIO: i/o error, fdatasync"), { code: "EIO" });
    }
    return systemDisk.fdatasync(fd);
  };
  return { lost, disk: { ...systemDisk, fdatasync } };
}

test("F85 bytes whose sync failed at a pause count as lost: all of them are fetched again, without being asked to", async () => {
  await using origin = await slowOrigin();
  const { lost, disk } = losingDisk(1);
  await using product = await openProduct({ system: { disk } });
  const { download } = await product.downloads.start({ url: origin.url("/slow.gguf") });
  await product.has(download.id, 3 * MB);
  const paused = await product.downloads.pause(download.id);
  expect([paused.download.state, lost.times]).toEqual(["paused", 0]);
  const [file] = await product.downloads.files(download.id);
  expect(await product.db.receipts(file?.id ?? 0)).toEqual([]);
  const shown = await product.downloads.get(download.id);
  expect([shown.bytes, shown.warnings.join()]).toEqual([0, expect.stringContaining("did not keep")]);
  const before = origin.sent("/slow.gguf");
  origin.limits.ratePerConnection = 1000 * MB;
  origin.limits.rateTotal = 1000 * MB;
  await product.downloads.resume(download.id);
  const done = await product.reaches(download.id, "completed", "failed");
  expect(digest(done.localPath as string)).toBe(sha256Of(3, 8 * MB));
  expect(origin.sent("/slow.gguf") - before).toBeGreaterThanOrEqual(8 * MB);
});

test("F85 a file whose last sync failed gets no name: it waits for the disk, says so, and is fetched again by itself", async () => {
  const size = 4 * MB;
  await using origin = await startOrigin({ resources: [{ path: "/m.bin", seed: 6, size }] });
  const { disk } = losingDisk(1);
  await using product = await openProduct({ system: { disk } });
  const { download } = await product.downloads.start({
    url: origin.url("/m.bin"),
    sha256: sha256Of(6, size),
  });
  const waiting = await product.reachesSuch(download.id, (it) => it.waiting?.reason === "disk");
  expect([waiting.state, waiting.error?.code]).toEqual(["queued", "io"]);
  expect(waiting.error?.message).toContain(".part");
  expect(waiting.bytes).toBe(0);
  expect(readdirSync(product.models).filter((name) => !name.endsWith(".part"))).toEqual([]);
  const done = await product.reaches(download.id, "completed", "failed");
  expect(digest(done.localPath as string)).toBe(sha256Of(6, size));
  expect(origin.sent("/m.bin")).toBeGreaterThanOrEqual(2 * size);
});
