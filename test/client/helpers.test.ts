import { afterAll, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  AdvancedDownloadManager,
  type Download,
  DownloadManager,
  DownloadProgressManager,
  type DownloadStatus,
  type ManagerEvents,
  ModelhaulError,
  startDownload,
} from "../../src/client/index.ts";
import { KEY, MB, type Served, serve } from "../api/support.ts";
import { ggufRepo, type Hub, startHub } from "../support/hub.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { until } from "../support/until.ts";
import { Door, rejection } from "./world.ts";

/** The machine may be busy. */
setDefaultTimeout(30_000);

const REPO = "acme/tiny-gguf";
const FILE = "tiny-Q4_K_M.gguf";

let hub: Hub;
let origin: Origin;
let served: Served;
beforeAll(async () => {
  hub = await startHub({ repos: [ggufRepo(REPO, { quantizations: { Q4_K_M: 4 * MB } })] });
  origin = await startOrigin({ resources: [{ path: "/m.bin", seed: 1, size: 4 * MB }], rateTotal: 4 * MB });
  served = await serve({ apiKey: KEY, product: { hfEndpoint: hub.endpoint } });
});
afterAll(async () => {
  await served[Symbol.asyncDispose]();
  await Promise.all([origin[Symbol.asyncDispose](), hub.stop()]);
});
const bearer = { Authorization: `Bearer ${KEY}` };
beforeEach(async () => {
  hub.cdn.limits.rateTotal = undefined;
  await served.call("PATCH", "/v1/settings", { paused: false }, bearer);
  await served.call("DELETE", "/v1/downloads", undefined, bearer);
  await served.call("DELETE", "/v1/history?files=true", undefined, bearer);
});

describe("DownloadProgressManager", () => {
  test("R22 R23 R25 R26 connect, start, subscribe: every status to the end, then the listener is dropped", async () => {
    hub.cdn.limits.rateTotal = 8 * MB;
    const manager = new DownloadProgressManager({ apiKey: KEY });
    manager.connect(served.base);
    const { download_id, message } = await manager.startDownload(REPO, FILE);
    expect(message).toBe(`Download started for ${REPO}/${FILE}`);
    const seen: DownloadStatus[] = [];
    await new Promise<void>((resolve) => {
      manager.subscribe(download_id, (status) => {
        seen.push(status);
        if (status.status === "completed") resolve();
      });
    });
    const percents = seen.map(({ progress_percent }) => progress_percent);
    expect(percents).toEqual(percents.toSorted((a, b) => a - b));
    expect(percents.at(-1)).toBe(100);
    expect(manager.last(download_id)?.local_file_path).toEndWith(FILE);
    manager.disconnect();
  });

  test("R25 whoever subscribes after the end is told of it, once, and not when it has unsubscribed meanwhile", async () => {
    const manager = new DownloadProgressManager({ apiKey: KEY });
    manager.connect(served.base);
    const { download_id } = await startDownload(REPO, FILE, { baseUrl: served.base, apiKey: KEY });
    await until(() => manager.last(download_id)?.status === "completed", "the download to end");
    const calls: string[] = [];
    manager.subscribe(download_id, ({ status }) => calls.push(status));
    expect(calls).toEqual([]);
    manager.subscribe(download_id, () => calls.push("never"))();
    await Promise.resolve();
    await Promise.resolve();
    expect(calls).toEqual(["completed"]);
    manager.disconnect();
    // Its status is kept while it is not connected.
    await new Promise<void>((resolve) => manager.subscribe(download_id, () => resolve()));
  });

  test("R22 R23 several listeners, unsubscribe, a listener that throws, cancel, failed", async () => {
    await served.call("PATCH", "/v1/settings", { paused: true }, bearer);
    const manager = new DownloadProgressManager({ apiKey: KEY });
    manager.connect(served.base);
    const { download_id } = await manager.startDownload(REPO, FILE);
    const calls: string[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    manager.subscribe(download_id, () => calls.push("gone"));
    manager.unsubscribe(download_id);
    manager.subscribe(download_id, ({ status }) => calls.push(`a ${status}`));
    manager.subscribe(download_id, ({ status }) => {
      calls.push(`b ${status}`);
      if (status === "cancelled") resolve();
    });
    await until(() => calls.length >= 2, "the first status");
    expect((await manager.cancelDownload(download_id)).message).toBe("Download cancelled successfully");
    await promise;
    expect(calls.filter((it) => it.endsWith("cancelled"))).toEqual(["a cancelled", "b cancelled"]);
    expect(calls).not.toContain("gone");
    const again = await rejection<ModelhaulError>(manager.cancelDownload(download_id));
    expect([again.status, again.code]).toEqual([409, "DOWNLOAD_NOT_ACTIVE"]);
    expect(await rejection(manager.cancelDownload(crypto.randomUUID()))).toMatchObject({
      code: "DOWNLOAD_NOT_FOUND",
    });
    manager.disconnect();
  });

  test("R24 a broken stream is made again, and what happened meanwhile is told", async () => {
    using door = new Door(served.base);
    const errors: Error[] = [];
    const manager = new DownloadProgressManager({
      apiKey: KEY,
      reconnectMs: 20,
      onError: (it) => errors.push(it),
    });
    manager.connect(door.base);
    await served.call("PATCH", "/v1/settings", { paused: true }, bearer);
    const { download_id } = await manager.startDownload(REPO, FILE);
    await until(() => manager.last(download_id)?.status === "pending", "the first status");
    door.guard = (request) =>
      request.url.includes("status") ? new Response("no", { status: 503 }) : undefined;
    door.cut();
    await until(() => errors.length > 1, "the refusals");
    expect(errors[0]).toBeInstanceOf(ModelhaulError);
    await served.call("DELETE", `/local/download/${download_id}`, undefined, bearer);
    expect(manager.last(download_id)?.status).toBe("pending");
    door.guard = () => undefined;
    await new Promise<void>((resolve) =>
      manager.subscribe(download_id, ({ status }) => status === "cancelled" && resolve()),
    );
    manager.disconnect();
    const asked = door.asked.length;
    await Bun.sleep(100);
    expect(door.asked.length).toBe(asked);
  });
});

const begin = async (model_id: string): Promise<Download> => {
  const url = `${origin.url("/m.bin")}?${model_id}`;
  return (await served.call("POST", "/v1/downloads", { url, model_id }, bearer)).body;
};

describe("DownloadManager", () => {
  test("R102 R103 its six calls, its errors and its helpers", async () => {
    const manager = new DownloadManager(served.base, KEY);
    await begin("a/b");
    const list = await manager.getAllDownloads();
    expect(list.active_downloads.map(({ model_id }) => model_id)).toEqual(["a/b"]);
    expect((await manager.getDownloadStatus("a/b")).status).toBe("downloading");
    expect((await manager.pauseDownload("a/b")).message).toBe("Download paused successfully");
    expect((await manager.resumeDownload("a/b")).message).toBe("Download resumed successfully");
    expect((await manager.cancelDownload("a/b")).message).toBe("Download cancelled successfully");
    expect((await manager.cancelAllDownloads()).message).toBe("Bulk download cancellation completed");
    const error = await rejection<ModelhaulError>(manager.getDownloadStatus("nobody"));
    expect(error).toBeInstanceOf(ModelhaulError);
    expect(error).toMatchObject({
      status: 404,
      code: "download_not_found",
      message: "API Error (404): No download found for model ID: nobody",
    });
    expect((await rejection(new DownloadManager(served.base).getAllDownloads())).message).toStartWith(
      "API Error (401): ",
    );
    expect([manager.formatBytes(1536), manager.formatSpeed(1024), manager.formatTime(61)]).toEqual([
      "1.5 KB",
      "1 KB/s",
      "1m 1s",
    ]);
  });
});

describe("AdvancedDownloadManager", () => {
  /** All events there are, by name, in their order. */
  const EVENTS = [
    "downloadCancelled",
    "downloadPaused",
    "downloadResumed",
    "allDownloadsCancelled",
    "monitoringStarted",
    "monitoringStopped",
    "monitoringError",
    "downloadStarted",
    "downloadStatusChanged",
    "downloadProgress",
    "downloadCompleted",
    "downloadError",
    "downloadRemoved",
    "downloadSummaryUpdate",
  ] as const satisfies (keyof ManagerEvents)[];

  function listening(manager: AdvancedDownloadManager) {
    const told: [string, unknown][] = [];
    for (const name of EVENTS) manager.on(name, (payload) => void told.push([name, payload]));
    const names = () => told.map(([name]) => name);
    const when = (name: (typeof EVENTS)[number], count = 1) =>
      until(() => names().filter((it) => it === name).length >= count, name);
    return { told, names, when };
  }

  test("R105 R106 R107 commands and a monitored life from start to removal; one monitor at a time", async () => {
    const manager = new AdvancedDownloadManager(served.base, KEY);
    const { told, names, when } = listening(manager);
    manager.startMonitoring(20);
    manager.startMonitoring(20);
    expect([manager.isMonitoring, names()]).toEqual([true, ["monitoringStarted"]]);
    const { id } = await begin("watched");
    await when("downloadStarted");
    await when("downloadProgress");
    await manager.pauseDownload("watched");
    await when("downloadStatusChanged");
    await manager.resumeDownload("watched");
    await when("downloadCompleted");
    expect(manager.getDownloadStatistics()).toMatchObject({
      totalDownloads: 1,
      byStatus: { completed: 1 },
      overallProgress: 100,
    });
    const lines: string[] = [];
    manager.printDownloadSummary((line) => lines.push(line));
    expect(lines[0]).toBe("Downloads: 1");
    await served.call("DELETE", `/v1/history/${id}`, undefined, bearer);
    await when("downloadRemoved");
    await begin("doomed");
    await manager.cancelDownload("doomed");
    await manager.cancelAllDownloads();
    manager.stopMonitoring();
    manager.stopMonitoring();
    expect(names().at(-1)).toBe("monitoringStopped");
    const told_ = told.length;
    await Bun.sleep(100);
    expect(told.length).toBe(told_);
    const payload = (name: string) => told.find(([it]) => it === name)?.[1];
    expect(payload("monitoringStarted")).toEqual({ intervalMs: 20 });
    expect(payload("downloadPaused")).toMatchObject({ modelId: "watched", success: true });
    expect(payload("downloadResumed")).toMatchObject({ modelId: "watched" });
    expect(payload("downloadStatusChanged")).toMatchObject({ modelId: "watched", newStatus: "paused" });
    expect(payload("downloadCompleted")).toMatchObject({ model_id: "watched", status: "completed" });
    expect(payload("downloadRemoved")).toEqual({ modelId: "watched", lastStatus: "completed" });
    expect(payload("downloadCancelled")).toMatchObject({ modelId: "doomed" });
    expect(payload("downloadSummaryUpdate")).toHaveProperty("total_active");
    const unheard = EVENTS.filter((name) => !names().includes(name));
    expect(unheard).toEqual(["monitoringError", "downloadError"]);
    const percents = told.flatMap(([name, it]) =>
      name === "downloadProgress" ? [(it as ManagerEvents["downloadProgress"]).progress.percentage] : [],
    );
    for (const [index, percent] of percents.slice(1).entries())
      expect(percent - percents[index]!).toBeGreaterThanOrEqual(1);
  });

  test("R106 R110 a large download that moves by less than a percent between two looks is told of all the same", async () => {
    const manager = new AdvancedDownloadManager(served.base, KEY);
    const { told } = listening(manager);
    const { id } = await begin("large");
    const { active_downloads, summary } = await manager.getAllDownloads();
    const large = active_downloads.find((it) => it.id === id) as Download;
    for (let tenths = 0; tenths <= 50; tenths += 4) {
      const progress = { ...large.progress, percentage: tenths / 10 };
      const now = { ...large, state: "downloading" as const, status: "downloading" as const, progress };
      manager.processDownloadUpdates({ active_downloads: [now], summary });
    }
    const percents = told.flatMap(([name, it]) =>
      name === "downloadProgress" ? [(it as ManagerEvents["downloadProgress"]).progress.percentage] : [],
    );
    expect(percents).toEqual([1.2, 2.4, 3.6, 4.8]);
    await manager.cancelDownload("large");
  });

  test("R107 F226 monitoring for long holds no more than monitoring for a moment", async () => {
    const { addEventListener, removeEventListener } = AbortSignal.prototype;
    let held = 0;
    AbortSignal.prototype.addEventListener = function (this: AbortSignal, ...it: unknown[]) {
      held++;
      return addEventListener.apply(this, it as never);
    } as typeof addEventListener;
    AbortSignal.prototype.removeEventListener = function (this: AbortSignal, ...it: unknown[]) {
      held--;
      return removeEventListener.apply(this, it as never);
    } as typeof removeEventListener;
    try {
      const manager = new AdvancedDownloadManager(served.base, KEY);
      const { when } = listening(manager);
      manager.startMonitoring(1);
      await when("downloadSummaryUpdate", 40);
      expect(held).toBeLessThan(20);
      manager.stopMonitoring();
    } finally {
      Object.assign(AbortSignal.prototype, { addEventListener, removeEventListener });
    }
  });

  test("R106 R110 what is first seen when it has ended is told as started and ended; trouble as an error", async () => {
    await begin("early");
    await served.product.reaches("early", "completed");
    const url = origin.url("/absent.bin");
    await served.call("POST", "/v1/downloads", { url, model_id: "absent" }, bearer);
    await served.product.reaches("absent", "failed");
    const manager = new AdvancedDownloadManager(served.base, KEY);
    const { told, when } = listening(manager);
    manager.startMonitoring(20);
    await when("downloadSummaryUpdate", 3);
    manager.stopMonitoring();
    const ended = told.filter(([name]) =>
      ["downloadStarted", "downloadCompleted", "downloadError"].includes(name),
    );
    expect(
      ended.map(([name, it]) => [name, (it as Download).model_id ?? (it as { modelId: string }).modelId]),
    ).toEqual([
      ["downloadStarted", "early"],
      ["downloadCompleted", "early"],
      ["downloadStarted", "absent"],
      ["downloadError", "absent"],
    ]);
    const keyless = new AdvancedDownloadManager(served.base);
    const trouble = listening(keyless);
    keyless.startMonitoring(20);
    await trouble.when("monitoringError", 2);
    keyless.stopMonitoring();
    expect(String(trouble.told.find(([name]) => name === "monitoringError")?.[1])).toContain(
      "API Error (401)",
    );
  });

  test("R108 a time that is longer than any timer, or endless, is none", async () => {
    await served.call("PATCH", "/v1/settings", { paused: true }, bearer);
    for (const [i, endless] of [Number.POSITIVE_INFINITY, 2 ** 31, Number.MAX_SAFE_INTEGER].entries()) {
      const manager = new AdvancedDownloadManager(served.base, KEY, { timeoutMs: endless });
      const name = `endless-${i}`;
      await begin(name);
      const waiting = manager.waitForDownloadCompletion(name, endless).catch((error) => error);
      await manager.getDownloadStatus(name);
      await manager.cancelDownload(name);
      expect((await waiting).message).toBe(`Download of ${name} was cancelled`);
    }
    await served.call("PATCH", "/v1/settings", { paused: false }, bearer);
  });

  test("R108 R110 waits end for one first seen finished, for a failure and for time, and leave no listener behind", async () => {
    const manager = new AdvancedDownloadManager(served.base, KEY);
    await begin("first");
    const done = await manager.waitForDownloadCompletion("first");
    expect(done.status).toBe("completed");
    expect((await manager.waitForDownloadCompletion("first")).id).toBe(done.id);
    const url = origin.url("/absent.bin");
    await served.call("POST", "/v1/downloads", { url, model_id: "missing" }, bearer);
    expect((await rejection(manager.waitForDownloadCompletion("missing"))).message).toStartWith(
      "Download of missing failed: ",
    );
    await served.call("PATCH", "/v1/settings", { paused: true }, bearer);
    await begin("never");
    expect((await rejection(manager.waitForDownloadCompletion("never", 50))).name).toBe("WaitTimeoutError");
    expect((await rejection(manager.waitForDownloadCompletion("nobody"))).message).toStartWith(
      "API Error (404): ",
    );
    expect(EVENTS.map((name) => manager.listenerCount(name)).every((count) => count === 0)).toBe(true);
    const once: unknown[] = [];
    manager.once("allDownloadsCancelled", (it) => once.push(it));
    await manager.cancelAllDownloads();
    await manager.cancelAllDownloads();
    expect(once.length).toBe(1);
    expect(manager.listenerCount("allDownloadsCancelled")).toBe(0);
  });
});
