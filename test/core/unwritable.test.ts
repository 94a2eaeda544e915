/** A start for a place that cannot be written. */
import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { systemDisk } from "../../src/storage/disk.ts";
import { bytesAt, sha256Of } from "../support/bytes.ts";
import { startOrigin } from "../support/origin.ts";
import { openProduct } from "../support/product.ts";
import { tempDir } from "../support/temp.ts";
import { codeOf, digest, MB } from "./support.ts";

/** A disk that may not be written, for as long as `isRefused`. */
function lockedDisk() {
  const lock = { isRefused: true };
  const access: typeof systemDisk.access = async (path, mode) => {
    if (lock.isRefused) throw Object.assign(new Error("EACCES"), { code: "EACCES" });
    return systemDisk.access(path, mode);
  };
  return { lock, disk: { ...systemDisk, access } };
}

test("F83 a start for a folder that may not be written is refused, and leaves no record and no secret", async () => {
  await using origin = await startOrigin({ resources: [{ path: "/m.bin", seed: 1, size: MB }] });
  const { lock, disk } = lockedDisk();
  await using product = await openProduct({ system: { disk } });
  const request = { url: origin.url("/m.bin"), headers: { "X-Key": "k" } };
  const refusal = await product.downloads.start(request).catch((error) => error);
  expect([refusal.code, refusal.message]).toEqual([
    "read_only",
    `Could not write in ${product.models}: this process may not write there: check owner and mode.`,
  ]);
  expect([(await product.db.list({}, { limit: 9 })).items, origin.log]).toEqual([[], []]);
  lock.isRefused = false;
  const { download } = await product.downloads.start(request);
  const done = await product.reaches(download.id, "completed", "failed");
  expect(digest(done.localPath as string)).toBe(sha256Of(1, MB));
});

test("F83 F84 asked for again, what is on its way is answered although the folder may not be written any more", async () => {
  await using origin = await startOrigin({ resources: [{ path: "/m.bin", seed: 1, size: MB }] });
  const { lock, disk } = lockedDisk();
  lock.isRefused = false;
  await using product = await openProduct({ system: { disk }, settings: { paused: true } });
  const first = await product.downloads.start({ url: origin.url("/m.bin") });
  lock.isRefused = true;
  const again = await product.downloads.start({ url: origin.url("/m.bin") });
  expect([again.created, again.download.id]).toEqual([false, first.download.id]);
  expect(await codeOf(product.downloads.start({ url: origin.url("/other.bin") }))).toBe("read_only");
});

test("F83 F91 what is there already is taken from a folder that may not be written", async () => {
  await using origin = await startOrigin({ resources: [{ path: "/m.bin", seed: 1, size: MB }] });
  const { disk } = lockedDisk();
  await using product = await openProduct({ system: { disk } });
  mkdirSync(product.models, { recursive: true });
  writeFileSync(`${product.models}/m.bin`, bytesAt(1, 0, MB));
  const { download } = await product.downloads.start({ url: origin.url("/m.bin"), sha256: sha256Of(1, MB) });
  const done = await product.reaches(download.id, "completed", "failed", "queued");
  expect((await product.reaches(done.id, "completed", "failed")).state).toBe("completed");
  expect(origin.sent("/m.bin")).toBeLessThan(MB);
});

test("F83 a file in the place of the models folder refuses a start by its name", async () => {
  using dir = tempDir("unwritable");
  writeFileSync(dir.at("models"), "a file");
  await using product = await openProduct({ dir: dir.path });
  const refusal = await product.downloads.start({ url: "http://127.0.0.1:1/m.bin" }).catch((error) => error);
  expect(refusal.code).toBe("name_collision");
  expect(refusal.message).toContain(`${dir.at("models")} is not a directory`);
  expect(readFileSync(dir.at("models"), "utf8")).toBe("a file");
});

test("F84 a volume that becomes read-only under the writes is waited for; what is there counts, and it goes on by itself", async () => {
  const size = 8 * MB;
  await using origin = await startOrigin({
    resources: [{ path: "/m.bin", seed: 4, size }],
    ratePerConnection: 2 * MB,
    rateTotal: 2 * MB,
  });
  let isReadOnly = false;
  const unless = async <T>(call: () => Promise<T>): Promise<T> => {
    if (isReadOnly) throw Object.assign(new Error("EROFS"), { code: "EROFS" });
    return call();
  };
  const write: typeof systemDisk.write = (...args) => unless(() => systemDisk.write(...args));
  const writev: typeof systemDisk.writev = (...args) => unless(() => systemDisk.writev(...args));
  await using product = await openProduct({ system: { disk: { ...systemDisk, write, writev } } });
  const { download } = await product.downloads.start({
    url: origin.url("/m.bin"),
    sha256: sha256Of(4, size),
  });
  await product.has(download.id, 2 * MB);
  isReadOnly = true;
  const waiting = await product.reachesSuch(download.id, (it) => it.waiting?.reason === "disk");
  expect([waiting.state, waiting.error?.code, waiting.attempt]).toEqual(["queued", "read_only", 0]);
  expect(waiting.bytes).toBeGreaterThanOrEqual(2 * MB);
  isReadOnly = false;
  origin.limits.ratePerConnection = 1000 * MB;
  origin.limits.rateTotal = 1000 * MB;
  const done = await product.reaches(download.id, "completed", "failed");
  expect(digest(done.localPath as string)).toBe(sha256Of(4, size));
  expect(origin.sent("/m.bin")).toBeLessThan(1.5 * size);
});

test("F120 a file that has its room on disk already is no complete one: another name, and only as long as what was written", async () => {
  const size = 24 * MB;
  await using origin = await startOrigin({ resources: [{ path: "/m.bin", seed: 2, size }] });
  const held = origin.on({ covers: size - 1 }, { kind: "stall", at: 0 });
  await using product = await openProduct();
  const { download } = await product.downloads.start({
    url: origin.url("/m.bin"),
    sha256: sha256Of(2, size),
  });
  await product.has(download.id, MB);
  const [name = "", ...others] = readdirSync(product.models);
  expect([name, others]).toEqual([expect.stringMatching(/^m\.bin\.[0-9a-f]{8}\.part$/), []]);
  const there = statSync(`${product.models}/${name}`);
  expect(there.size).toBeLessThan(size);
  expect(there.blocks * 512).toBeGreaterThan(there.size);
  held.remove();
  held.release();
  const done = await product.reaches(download.id, "completed", "failed");
  expect([done.state, readdirSync(product.models)]).toEqual(["completed", ["m.bin"]]);
});

test("F120 F75 a whole file with a wrong digest never gets the name, and does not stay", async () => {
  await using origin = await startOrigin({ resources: [{ path: "/m.bin", seed: 2, size: MB }] });
  await using product = await openProduct();
  const { download } = await product.downloads.start({ url: origin.url("/m.bin"), sha256: sha256Of(3, MB) });
  const failed = await product.reaches(download.id, "failed", "completed");
  expect([failed.error?.code, readdirSync(product.models)]).toEqual(["checksum", []]);
});
