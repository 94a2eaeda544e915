import { afterAll, beforeAll, expect, test } from "bun:test";
import { ftruncateSync, openSync, symlinkSync, writeFileSync, writeSync } from "node:fs";
import type { DigestAlgorithm } from "../../src/core/download.ts";
import { knownTarget } from "../../src/core/target-path.ts";
import { DigestPool, digestOf } from "../../src/transfer/digest.ts";
import { bytesAt, generated, gitSha1Of, sha256Of } from "../support/bytes.ts";
import { type TempDir, tempDir } from "../support/temp.ts";

const MiB = 1 << 20;
const SIZE = 11 * MiB + 123;
let dir: TempDir;
let pool: DigestPool;
const whole = bytesAt(3, 0, SIZE);

beforeAll(() => {
  dir = tempDir("digest");
  pool = new DigestPool(2);
  writeFileSync(dir.at("whole"), whole);
  writeFileSync(dir.at("empty"), "");
});
afterAll(async () => {
  await pool.close();
  dir.remove();
});

const expected: Record<DigestAlgorithm, (bytes: Uint8Array) => string> = {
  sha256: (bytes) => new Bun.CryptoHasher("sha256").update(bytes).digest("hex"),
  sha512: (bytes) => new Bun.CryptoHasher("sha512").update(bytes).digest("hex"),
  md5: (bytes) => new Bun.CryptoHasher("md5").update(bytes).digest("hex"),
  "git-sha1": gitSha1Of,
};

test.each(Object.keys(expected) as DigestAlgorithm[])(
  "%s of a file, of an empty one, and of bytes in memory",
  async (algorithm) => {
    const hex = expected[algorithm](whole);
    expect(await pool.file(dir.at("whole"), algorithm)).toEqual<unknown>({ algorithm, hex });
    expect((await pool.file(dir.at("empty"), algorithm)).hex).toBe<string>(
      expected[algorithm](new Uint8Array()),
    );
    expect(digestOf(algorithm, [whole.subarray(0, 7), whole.subarray(7)], SIZE)).toEqual<unknown>({
      algorithm,
      hex,
    });
  },
);

test("progress is told, and grows to the end", async () => {
  const seen: number[] = [];
  await pool.file(dir.at("whole"), "sha256", undefined, (bytes) => seen.push(bytes));
  expect(seen.length).toBeGreaterThan(2);
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
  expect(seen.at(-1)).toBe(SIZE);
});

test("many files at once on two workers", async () => {
  const names = Array.from({ length: 7 }, (_, i) => i);
  for (const i of names) writeFileSync(dir.at(`f${i}`), bytesAt(i, 0, 3 * MiB + i));
  const digests = await Promise.all(names.map((i) => pool.file(dir.at(`f${i}`), "sha256")));
  expect(digests.map((it) => it.hex)).toEqual<unknown>(names.map((i) => sha256Of(i, 3 * MiB + i)));
});

test("follows a file as its front grows, and ends when the file does", async () => {
  const path = dir.at("growing");
  const fd = openSync(path, "w");
  ftruncateSync(fd, SIZE);
  const session = pool.open(path, "sha256", SIZE);
  const { promise: half, resolve } = Promise.withResolvers<void>();
  session.onProgress = (hashed) => hashed >= 4 * MiB && resolve();
  for (const end of [MiB, 2 * MiB, 5 * MiB, 6 * MiB]) {
    writeSync(fd, whole, 0, end, 0);
    session.advance(end);
  }
  session.advance(MiB);
  await half;
  expect(session.hashed).toBeLessThanOrEqual(6 * MiB);
  writeSync(fd, whole, 0, SIZE, 0);
  expect((await session.finish(SIZE)).hex).toBe<string>(expected.sha256(whole));
});

test("git-sha1 follows too: its header holds the size", async () => {
  const session = pool.open(dir.at("whole"), "git-sha1", SIZE);
  session.advance(4 * MiB);
  expect((await session.finish(SIZE)).hex).toBe<string>(gitSha1Of(generated(3, SIZE)));
});

test("F121 a digest can be cancelled", async () => {
  const stop = new AbortController();
  const running = pool.file(dir.at("whole"), "sha512", stop.signal, () => stop.abort(new Error("paused")));
  await expect(running).rejects.toThrow("paused");
  await running.catch(() => {});
  await expect(pool.file(dir.at("whole"), "sha256", stop.signal)).rejects.toThrow("paused");
  const session = pool.open(dir.at("whole"), "sha256", SIZE);
  session.cancel();
  await expect(session.finish(SIZE)).rejects.toThrow();
});

test("F86 a file that cannot be read, or ends too early, is a typed error that names it", async () => {
  await expect(pool.file(dir.at("none"), "sha256")).rejects.toMatchObject({
    code: "file_not_found",
    message: expect.stringContaining("none"),
  });
  await expect(pool.open(dir.at("none"), "sha256", 5).finish(5)).rejects.toMatchObject({ code: "io" });
  await expect(pool.file(dir.at(), "sha256")).rejects.toMatchObject({ code: "io" });
  await expect(pool.open(dir.at("whole"), "sha256", 2 * SIZE).finish(2 * SIZE)).rejects.toMatchObject({
    code: "io",
  });
});

test("F90 a partial file is not followed through a link, a finished file is", async () => {
  symlinkSync(dir.at("whole"), dir.at("link"));
  await expect(pool.open(dir.at("link"), "sha256", SIZE).finish(SIZE)).rejects.toMatchObject({ code: "io" });
  expect((await pool.file(dir.at("link"), "sha256")).hex).toBe<string>(expected.sha256(whole));
});

test.skipIf(process.platform !== "linux")(
  "F86 what the disk cannot read is final, and says what to do; what may pass is not",
  async () => {
    // The kernel's own EIO: nothing is mapped there.
    await expect(pool.open(knownTarget("/proc/self/mem"), "sha256", 5).finish(5)).rejects.toMatchObject({
      code: "io",
      verdict: "final",
      message: expect.stringMatching(
        /^\/proc\/self\/mem cannot be read for its digest.*kept.*Check the disk/,
      ),
    });
    await expect(pool.open(dir.at("none"), "sha256", 5).finish(5)).rejects.toMatchObject({ verdict: "wait" });
  },
);
