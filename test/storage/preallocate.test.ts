import { expect, test } from "bun:test";
import { statSync } from "node:fs";
import { realpath } from "node:fs/promises";
import { systemDisk } from "../../src/storage/disk.ts";
import { DiskPart } from "../../src/storage/part-file.ts";
import { tempDir } from "../support/temp.ts";

const MIB = 1 << 20;

test.skipIf(process.platform !== "linux")(
  "room is made ahead of the writes, and the length still says how far they came (F88)",
  async () => {
    using dir = tempDir("room");
    const path = dir.at("x.part");
    const part = await DiskPart.open(systemDisk, path, await realpath(dir.path));
    part.expect(100 * MIB);
    await part.write(0, [new Uint8Array(MIB)]);
    expect(statSync(path).size).toBe(MIB);
    expect(statSync(path).blocks * 512).toBeGreaterThanOrEqual(64 * MIB);
    await part.write(90 * MIB, [new Uint8Array(MIB)]);
    expect(statSync(path).blocks * 512).toBeGreaterThanOrEqual(100 * MIB);
    expect(statSync(path).blocks * 512).toBeLessThan(101 * MIB);
    await part.truncate(0);
    expect(statSync(path).blocks).toBe(0);
    await part.close();
  },
);

test("a small file, or one whose size nobody knows, takes only what is written", async () => {
  using dir = tempDir("room");
  const path = dir.at("x.part");
  const part = await DiskPart.open(systemDisk, path, await realpath(dir.path));
  part.expect(MIB);
  await part.write(0, [new Uint8Array(4096)]);
  expect(statSync(path).blocks * 512).toBeLessThan(64 << 10);
  await part.close();
});
