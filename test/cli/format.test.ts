import { describe, expect, test } from "bun:test";
import { frame } from "../../src/cli/bars.ts";
import { describe as inWords } from "../../src/cli/describe.ts";
import { combined, EXIT, exitFor } from "../../src/cli/exit.ts";
import { bar, fit, percent, safe, size, table, time } from "../../src/cli/format.ts";
import type { WireDownload } from "../../src/cli/wire.ts";

const MB = 1024 * 1024;

function download(change: Partial<WireDownload> & { done?: number; total?: number } = {}): WireDownload {
  const { done = 5 * MB, total = 10 * MB, ...rest } = change;
  return {
    id: "11111111-1111-4111-8111-111111111111",
    model_id: "org/name",
    state: "downloading",
    progress: { downloaded_bytes: done, total_bytes: total, percentage: 0 },
    speed: MB,
    timing: { estimated_remaining_seconds: 5 },
    ...rest,
  };
}

describe("values", () => {
  test("times", () => {
    const cases: [number, string][] = [
      [0, "0s"],
      [59.4, "59s"],
      [185, "3m 05s"],
      [3720, "1h 02m"],
      [273_600, "3d 04h"],
    ];
    for (const [seconds, text] of cases) expect(time(seconds)).toBe(text);
  });

  test("a percentage is 100 only when everything is there", () => {
    expect(percent(999_999, 1_000_000)).toBe("99.9%");
    expect(percent(1_000_000, 1_000_000)).toBe("100.0%");
    expect(percent(5, 0)).toBe("");
    expect(percent(5, null)).toBe("");
  });

  test("sizes and bars", () => {
    expect(size(1.5 * 1024 ** 3)).toBe("1.5 GB");
    expect(bar(1, 4, 8)).toBe("██░░░░░░");
    expect(bar(9, 4, 4)).toBe("████");
    expect(bar(1, null, 4)).toBe("░░░░");
  });

  test("fit keeps the end of a long name and counts wide letters twice", () => {
    expect(fit("abc", 5)).toBe("abc  ");
    expect(fit("a-long-name.gguf", 8)).toBe("…me.gguf");
    expect(Bun.stringWidth(fit("模型模型模型", 7))).toBe(7);
  });

  test("F202 a name cannot move the cursor or forge a line", () => {
    expect(safe("a\u001b[2Jb\nc\u009b")).not.toMatch(/[^\x20-\x7e]/);
    expect(table(["A"], [["x\ny"]])).toHaveLength(2);
  });
});

describe("frame", () => {
  test("one download is one line with bar, percentage, sizes, speed and time left", () => {
    const [line, ...more] = frame([download()], 120);
    expect(more).toHaveLength(0);
    for (const part of ["org/name", "█", "50.0%", "5 MB / 10 MB", "1 MB/s", "5s left"])
      expect(line).toContain(part);
  });

  test("files of a many-file download that move stand below it", () => {
    const files = [
      { path: "a.bin", size: 4, bytes: 2, state: "pending" },
      { path: "done.bin", size: 4, bytes: 4, state: "done" },
      { path: "later.bin", size: 4, bytes: 0, state: "pending" },
    ];
    const lines = frame([download({ files })], 120);
    expect(lines).toHaveLength(2);
    expect(lines[1]).toContain("  a.bin");
  });

  test("several downloads have a total, which counts finished ones too", () => {
    const lines = frame([download(), download({ id: "2", state: "completed", done: 10 * MB })], 120);
    expect(lines).toHaveLength(2);
    expect(lines[1]).toMatch(/^total.*75\.0%.*15 MB \/ 20 MB.*1 MB\/s {2}5s left$/);
  });

  test("no line is wider than the terminal, however narrow", () => {
    const long = download({
      model_id: "模".repeat(80),
      waiting: { reason: "retry" },
      last_error: { code: "network", message: "x".repeat(200) },
    });
    for (const columns of [20, 40, 80, 200])
      for (const line of frame([long, download({ id: "2" })], columns))
        expect(Bun.stringWidth(line)).toBeLessThan(columns);
  });

  test("an unknown size shows what has arrived", () => {
    expect(frame([download({ total: 0 })], 100)[0]).toMatch(/ {2}5 MB {2}1 MB\/s/);
  });
});

test("a waiting download says why", () => {
  const waiting = download({
    state: "queued",
    waiting: { reason: "disk" },
    last_error: { code: "no_space", message: "10 GB short on /d" },
    speed: 0,
  });
  expect(inWords(waiting)).toBe(
    "org/name: queued 50.0% (5 MB of 10 MB), waiting for disk space: 10 GB short on /d",
  );
});

test("one that waits because all are paused says that, not what it waited for before", () => {
  const waiting = download({
    state: "queued",
    waiting: { reason: "all_paused" },
    last_error: { code: "no_space", message: "10 GB short on /d" },
    speed: 0,
  });
  expect(inWords(waiting)).toBe(
    "org/name: queued 50.0% (5 MB of 10 MB), waiting: all downloads are paused by the settings",
  );
});

describe("exit codes", () => {
  test("follow the error code", () => {
    const cases: [string | undefined, number][] = [
      ["invalid_url", 2],
      ["locked", 3],
      ["gated", 4],
      ["download_not_found", 4],
      ["checksum", 5],
      ["no_space", 6],
      ["network", 1],
      ["a_code_of_a_later_version", 1],
      [undefined, 1],
    ];
    for (const [code, exit] of cases) expect(exitFor(code)).toBe(exit);
  });

  test("of several outcomes are 0, the common one, or 1", () => {
    expect(combined([])).toBe(EXIT.done);
    expect(combined([0, 0])).toBe(EXIT.done);
    expect(combined([0, 5, 5])).toBe(EXIT.checksum);
    expect(combined([4, 5])).toBe(EXIT.failed);
  });
});
