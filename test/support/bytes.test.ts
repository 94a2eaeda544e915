import { expect, test } from "bun:test";
import * as bytes from "./bytes.ts";

const MIB = 1 << 20;

test("any range equals the same range of the whole, across block borders and at odd offsets", () => {
  const whole = bytes.bytesAt(7, 0, 3 * MIB);
  for (const [offset, length] of [
    [0, 1],
    [1, 2],
    [3, 10_001],
    [MIB - 5, 11],
    [MIB - 1, MIB + 2],
    [2 * MIB + 3, MIB - 3],
  ] as const) {
    expect(
      bytes.firstDifference(bytes.bytesAt(7, offset, length), whole.subarray(offset, offset + length)),
    ).toBe(-1);
  }
});

test("beyond 4 GiB and 4 TiB the bytes are still those of their own offset", () => {
  const far = [4 * 1024 * MIB + 5, 4 * 1024 * 1024 * MIB + 5].map((at) => bytes.bytesAt(7, at, 64));
  expect(bytes.firstDifference(far[0]!, bytes.bytesAt(7, 5, 64))).toBeLessThan(4);
  expect(bytes.firstDifference(far[1]!, far[0]!)).toBeLessThan(4);
});

/** The longest run of equal bytes at equal indexes. */
function longestRun(a: Uint8Array, b: Uint8Array): number {
  let longest = 0;
  for (let i = 0, run = 0; i < a.length; i++) {
    run = a[i] === b[i] ? run + 1 : 0;
    longest = Math.max(longest, run);
  }
  return longest;
}

test("no shift, no other block and no other seed repeats a run of 8 bytes", () => {
  const length = MIB / 2;
  const here = bytes.bytesAt(1, 0, length);
  for (const offset of [1, 2, 3, 4, 8, 512, 4096, 65_536, MIB / 4, MIB, 2 * MIB, 256 * MIB, 65_536 * MIB]) {
    expect(longestRun(here, bytes.bytesAt(1, offset, length))).toBeLessThan(8);
  }
  for (const seed of [0, 2, 257, 65_537, -1])
    expect(longestRun(here, bytes.bytesAt(seed, 0, length))).toBeLessThan(8);
});

test("digests are the standard ones", () => {
  expect(bytes.sha256(bytes.literal("abc"))).toBe(
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  );
  expect(bytes.sha256Of(3, 0)).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  expect(bytes.gitSha1Of("hello\n")).toBe("ce013625030ba8dba906f756967f9e9ca394464a");
  const expected = new Bun.CryptoHasher("sha256").update(bytes.bytesAt(9, 0, 3 * MIB + 7)).digest("hex");
  expect(bytes.sha256Of(9, 3 * MIB + 7)).toBe(expected);
});

test("composed contents read the same in pieces as in one", () => {
  const content = bytes.corrupted(bytes.withHead(new TextEncoder().encode("GGUF"), 5, 1000), 500, 3);
  const whole = bytes.readAll(content);
  const pieces = [0, 3, 5, 499, 501, 502, 999].map((at, i, all) =>
    content.read(at, (all[i + 1] ?? 1000) - at),
  );
  expect(Buffer.concat(pieces).equals(Buffer.from(whole))).toBe(true);
  expect(new TextDecoder().decode(whole.subarray(0, 4))).toBe("GGUF");
  const clean = bytes.bytesAt(5, 0, 1000);
  expect(bytes.firstDifference(whole.subarray(4), clean.subarray(4))).toBe(496);
  expect(bytes.firstDifference(whole.subarray(503), clean.subarray(503))).toBe(-1);
});
