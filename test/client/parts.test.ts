import { describe, expect, test } from "bun:test";
import { DOWNLOAD } from "../../src/api/examples.ts";
import { ConnectionError, errorOf } from "../../src/client/errors.ts";
import { Inbox } from "../../src/client/inbox.ts";
import {
  type Download,
  formatBytes,
  formatDuration,
  formatSpeed,
  formatTime,
  getDownloadStatistics,
  type LiveEvent,
} from "../../src/client/index.ts";
import { messages, SseParser } from "../../src/client/sse.ts";
import { describeStatistics } from "../../src/client/statistics.ts";
import { collect } from "./world.ts";

const download = (changes: Partial<Download> = {}): Download => ({ ...(DOWNLOAD as Download), ...changes });

describe("server-sent events", () => {
  const text =
    ': sign of life\nretry: 1000\n\nid: 7\nevent: download\ndata: {"a":\ndata: 1}\n\r\ndata:x\r\r\nid\ndata\n\ndata: open';
  const events = [
    { event: "download", data: '{"a":\n1}', id: "7" },
    { event: "message", data: "x", id: "7" },
    { event: "message", data: "", id: "" },
  ];

  test("the same events however the text is cut", () => {
    for (let size = 1; size <= text.length; size++) {
      const parser = new SseParser();
      const found = [];
      for (let at = 0; at < text.length; at += size) found.push(...parser.feed(text.slice(at, at + size)));
      expect([size, found]).toEqual([size, events]);
    }
  });

  test("a stream that breaks is a ConnectionError, one that ends is the end; the request is let go of", async () => {
    let released = 0;
    const answer = (fails: boolean) =>
      new Response(
        new ReadableStream({
          start(controller) {
            controller.enqueue(new TextEncoder().encode("data: ä\n\n"));
            if (!fails) controller.close();
          },
          pull: (controller) => controller.error(new Error("reset")),
        }),
      );
    const whole = await collect(messages(answer(false), () => released++));
    expect(whole.map(({ data }) => data)).toEqual(["ä"]);
    const broken = collect(messages(answer(true), () => released++));
    expect(broken).rejects.toBeInstanceOf(ConnectionError);
    await broken.catch(() => {});
    expect(released).toBe(2);
  });
});

describe("a reader that is slower than its events", () => {
  const event = (id: string, seq: number, previous_state: Download["state"] | null = null): LiveEvent => ({
    type: "download",
    seq,
    previous_state,
    download: download({ id }),
  });

  test("gets every change of state, and of progress the newest between two of them", async () => {
    const inbox = new Inbox();
    for (const it of [
      event("a", 1),
      event("a", 2),
      event("b", 3),
      event("a", 4, "queued"),
      event("a", 5),
      event("a", 6),
      event("b", 7),
    ])
      inbox.push(it);
    inbox.push({ type: "removed", seq: 8, id: "b", model_id: "b" });
    inbox.end();
    expect((await collect(inbox)).map(({ seq }) => seq)).toEqual([2, 4, 6, 7, 8]);
  });

  test("an error comes behind what waits", async () => {
    const inbox = new Inbox();
    inbox.push(event("a", 1));
    inbox.end(new Error("cut"));
    const seen: number[] = [];
    const reading = (async () => {
      for await (const { seq } of inbox) seen.push(seq);
    })();
    await expect(reading).rejects.toThrow("cut");
    expect(seen).toEqual([1]);
  });
});

describe("errors of every family", () => {
  test("A5 the text, code and parameter, whatever the shape", () => {
    const envelope = { message: "m", type: "not_found_error", param: "model_id", code: "download_not_found" };
    expect(errorOf(404, { error: envelope }, "2")).toMatchObject({
      ...envelope,
      status: 404,
      retryAfterSeconds: 2,
    });
    const local = {
      error_code: "DOWNLOAD_NOT_FOUND",
      code: "DOWNLOAD_NOT_FOUND",
      message: "Download not found",
    };
    expect(errorOf(404, local, null)).toMatchObject({
      code: "DOWNLOAD_NOT_FOUND",
      message: "Download not found",
    });
    expect(errorOf(400, { status: "failed", error: "Give 'ModelRepo'" }, null).message).toBe(
      "Give 'ModelRepo'",
    );
    expect(errorOf(502, undefined, null)).toMatchObject({ message: "The server answered 502", code: null });
  });
});

describe("numbers for people", () => {
  test("R103 formatBytes and formatSpeed", () => {
    const pairs: [number, string][] = [
      [0, "0 Bytes"],
      [1, "1 Bytes"],
      [1023, "1023 Bytes"],
      [1536, "1.5 KB"],
      [1_048_576, "1 MB"],
      [4_400_000_000, "4.1 GB"],
      [1024 ** 4, "1 TB"],
      [1024 ** 6, "1024 PB"],
      [0.5, "0.5 Bytes"],
      [-1, "0 Bytes"],
      [Number.NaN, "0 Bytes"],
    ];
    for (const [bytes, text] of pairs) expect([bytes, formatBytes(bytes)]).toEqual([bytes, text]);
    expect(formatSpeed(524_288)).toBe("512 KB/s");
  });

  test("R103 R109 formatTime and formatDuration: Unknown for negative and endless, parts of seconds dropped", () => {
    const pairs: [number, string][] = [
      [0, "0s"],
      [59.9, "59s"],
      [61, "1m 1s"],
      [3600, "1h 0m 0s"],
      [7503, "2h 5m 3s"],
      [-1, "Unknown"],
      [Number.POSITIVE_INFINITY, "Unknown"],
      [Number.NaN, "Unknown"],
    ];
    for (const [seconds, text] of pairs)
      expect([seconds, formatDuration(seconds), formatTime(seconds)]).toEqual([seconds, text, text]);
  });

  test("R109 statistics: counts, totals, speed of each, time until the moving ones are there", () => {
    const sized = (
      status: Download["status"],
      done: number,
      total: number,
      bps: number,
      type: "regular" | "startup" = "regular",
    ) =>
      download({
        status,
        download_type: type,
        progress: { downloaded_bytes: done, total_bytes: total, percentage: 0, download_speed_bps: bps },
      });
    const stats = getDownloadStatistics([
      sized("downloading", 50, 100, 10),
      sized("downloading", 0, 100, 20, "startup"),
      sized("paused", 100, 200, 0),
      sized("downloading", 7, 0, 0),
    ]);
    expect(stats).toEqual({
      totalDownloads: 4,
      byStatus: { downloading: 3, paused: 1 },
      byType: { regular: 3, startup: 1 },
      totalBytes: 400,
      downloadedBytes: 150,
      averageSpeed: 15,
      overallProgress: 37.5,
      estimatedTimeRemaining: 5,
    });
    expect(describeStatistics(stats)).toEqual([
      "Downloads: 4",
      "Progress: 37.5%",
      "Size: 400 Bytes",
      "Downloaded: 150 Bytes",
      "Speed of each: 15 Bytes/s",
      "Time remaining: 5s",
      "By status:",
      "  downloading: 3",
      "  paused: 1",
      "By type:",
      "  regular: 3",
      "  startup: 1",
    ]);
    expect(getDownloadStatistics([])).toMatchObject({
      overallProgress: 0,
      averageSpeed: 0,
      estimatedTimeRemaining: 0,
    });
  });
});
