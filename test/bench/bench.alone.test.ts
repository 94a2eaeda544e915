import { describe, expect, test } from "bun:test";
import { copyFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tempDir } from "../support/temp.ts";
import { type Contender, compete, median, medianOf, quantile, timed } from "./measure.ts";
import { missing } from "./peers.ts";
import { sectionOf, writeSections } from "./report.ts";
import { reached } from "./row.ts";

const quiet = () => undefined;

describe("measuring", () => {
  test("median and quantile", () => {
    expect([median([3, 1, 2]), median([4, 1, 2, 3]), median([])]).toEqual([2, 2.5, Number.NaN]);
    const hundred = Array.from({ length: 100 }, (_, i) => 100 - i);
    expect([quantile(hundred, 0.5), quantile(hundred, 0.99), quantile([5], 0.99)]).toEqual([51, 100, 5]);
  });

  test("a command's CPU time and memory are its own", async () => {
    using dir = tempDir("bench");
    const script =
      "const b = new Uint8Array(64 << 20).fill(1); const end = Date.now() + 200; while (Date.now() < end); b[0]";
    const sample = await timed({ command: [process.execPath, "-e", script], cwd: dir.path });
    expect(sample.seconds).toBeGreaterThan(0.2);
    expect(sample.cpuSeconds).toBeGreaterThan(0.1);
    expect(sample.maxRss).toBeGreaterThan(64 << 20);
    const small = await timed({ command: ["sleep", "0.2"], cwd: dir.path });
    expect(small.cpuSeconds).toBeLessThan(0.1);
    expect(small.maxRss).toBeLessThan(16 << 20);
  });

  test("a command that fails says why, one that does not end is ended", async () => {
    using dir = tempDir("bench");
    const failing = timed({ command: ["sh", "-c", "echo out of luck >&2; exit 3"], cwd: dir.path });
    await expect(failing).rejects.toThrow("exit 3: out of luck");
    const endless = timed({ command: ["sleep", "60"], cwd: dir.path, timeoutMs: 100 });
    await expect(endless).rejects.toThrow("not done after 0.1 s");
  });

  test("contenders take turns, each in an empty folder that is gone afterwards; who fails is left out", async () => {
    using dir = tempDir("bench");
    const order: string[] = [];
    const contender = (name: string, more: Partial<Contender> = {}): Contender => ({
      name,
      run: async (out, round) => {
        order.push(`${name}${round}`);
        expect(readdirSync(out)).toEqual([]);
        writeFileSync(join(out, "left"), "x");
        return { seconds: round + 1 };
      },
      ...more,
    });
    const wrong = contender("wrong", { check: () => Promise.reject(new Error("wrong content")) });
    const results = await compete(
      [contender("a"), wrong, contender("once", { once: true })],
      3,
      dir.path,
      quiet,
    );
    expect(order).toEqual(["a0", "wrong0", "once0", "a1", "a2"]);
    expect(results.map((r) => [r.name, r.samples.length, r.failure])).toEqual([
      ["a", 3, undefined],
      ["wrong", 0, "wrong content"],
      ["once", 1, undefined],
    ]);
    expect(medianOf(results, "a", (s) => s.seconds)).toBe(2);
    expect(medianOf(results, "wrong", (s) => s.seconds)).toBeNaN();
    expect(existsSync(dir.at("out"))).toBe(false);
  });
});

describe("reporting", () => {
  const goal = { text: "t", unit: "x" };

  test("a promise is judged by its bounds, and not at all when nothing was measured", () => {
    expect(reached({ ...goal, value: 1, atLeast: 1 })).toBe(true);
    expect(reached({ ...goal, value: 0.99, atLeast: 1 })).toBe(false);
    expect(reached({ ...goal, value: 5, atMost: 4 })).toBe(false);
    expect(reached({ ...goal, value: Number.NaN, atLeast: 1 })).toBeUndefined();
  });

  test("rows measured are put between their markers, the others and the text around them stay", () => {
    using dir = tempDir("bench");
    const page = dir.at("README.md");
    copyFileSync(join(import.meta.dir, "README.md"), page);
    const circumstances = { size: 1 << 20, runs: 1, tools: {}, version: "0" };
    const outcome = {
      results: [{ name: "us", samples: [{ seconds: 0.5 }] }],
      goals: [{ ...goal, value: 2, atLeast: 3 }],
    };
    const first = sectionOf({ number: 2, title: "two", outcome }, circumstances);
    expect(first).toContain("| us | 0.500 | 0.50 |");
    expect(first).toContain("| t | 2.00 x | at least 3 x | MISSED |");
    const before = readFileSync(page, "utf8");
    writeSections(page, new Map([[2, first]]));
    writeSections(
      page,
      new Map([
        [2, "again"],
        [11, "last"],
      ]),
    );
    const after = readFileSync(page, "utf8");
    expect(after).not.toContain(first);
    expect(after).toContain("<!-- row 2 -->\n\nagain\n\n<!-- end of row 2 -->");
    expect(after).toContain("<!-- row 11 -->\n\nlast\n\n<!-- end of row 11 -->");
    expect(after.split("<!-- row 1 -->")[0]).toBe(before.split("<!-- row 1 -->")[0]!);
  });

  test("what is not installed is named with its package", () => {
    const lines = missing({ curl: "/usr/bin/curl" });
    expect(lines.some((line) => line.includes("curl"))).toBe(false);
    expect(lines).toContain(
      "SKIPPED: aria2c is not installed (Debian package aria2); nothing is compared with it.",
    );
  });
});

describe("the program", () => {
  const run = (...args: string[]) =>
    Bun.spawnSync([process.execPath, join(import.meta.dir, "main.ts"), ...args], {
      stderr: "pipe",
      stdout: "pipe",
    });

  test("refuses rows, sizes and runs that make no sense", () => {
    for (const [args, text] of [
      [["--rows", "99"], "no row 99"],
      [["--size", "much"], "--size"],
      [["--runs", "0"], "--runs"],
    ] as const) {
      const { exitCode, stderr } = run(...args);
      expect([exitCode !== 0, stderr.toString().includes(text)]).toEqual([true, true]);
    }
  });

  test("measures a row with the built executable, and leaves nothing behind", () => {
    using dir = tempDir("bench");
    const { stdout, stderr } = run("--rows", "9", "--size", "16M", "--runs", "1", "--dir", dir.path);
    expect(`${stdout}${stderr}`).toMatch(
      /\| MiB fetched again with 8 connections \| [\d.-]+ MiB \| at most 32 MiB \|/,
    );
    expect(readdirSync(dir.path)).toEqual([]);
  }, 180_000);
});
