import { expect, test } from "bun:test";
import { truncateSync, writeFileSync } from "node:fs";
import { DigestPool } from "../../src/transfer/digest.ts";
import { tempDir } from "../support/temp.ts";

test("F230 the event loop turns while a file is hashed", async () => {
  using dir = tempDir("loop");
  writeFileSync(dir.at("zeros"), "");
  truncateSync(dir.at("zeros"), 512 << 20);
  const pool = new DigestPool(1);
  try {
    let isOver = false;
    let longest = 0;
    let last = performance.now();
    const turn = (): void => {
      const now = performance.now();
      longest = Math.max(longest, now - last);
      last = now;
      if (!isOver) setImmediate(turn);
    };
    setImmediate(turn);
    const begun = performance.now();
    const { hex } = await pool.file(dir.at("zeros"), "sha256");
    isOver = true;
    expect(hex).toBe<string>("9acca8e8c22201155389f65abbf6bc9723edc7384ead80503839f49dcc56d767");
    // Done on the loop, one gap would be all of it.
    expect(longest).toBeLessThan((performance.now() - begun) / 4);
  } finally {
    await pool.close();
  }
});
