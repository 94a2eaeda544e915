import { expect, test } from "bun:test";
import { shownBytes } from "../../src/core/bring.ts";
import type { FeedEvent, Snapshot } from "../../src/core/downloads.ts";
import { type OllamaModelSpec, startOllamaDaemon } from "../support/ollama-daemon.ts";
import { openProduct, type Product } from "../support/product.ts";
import { tempDir } from "../support/temp.ts";
import { MB } from "./support.ts";

const models: OllamaModelSpec[] = [
  { name: "three", layers: [4 * MB, 3 * MB, 1429] },
  { name: "other", layers: [MB] },
];
const three = { provider: "ollama", model: "three" };
const sum = (layers: readonly number[]): number => layers.reduce((a, b) => a + b, 0);
const TOTAL = sum(models[0]!.layers);

/** Every snapshot of one download, from now on. */
function watch({ downloads }: Product): Snapshot[] {
  const seen: Snapshot[] = [];
  downloads.feed.subscribe((event: FeedEvent) => {
    if (event.type === "download") seen.push(event.download);
  });
  return seen;
}

const shareOf = ({ bytes, total }: Pick<Snapshot, "bytes" | "total">): number => (total ? bytes / total : 0);

/** Fails where the share falls, or says that all is there before the end. */
function expectRising(seen: readonly Snapshot[]): void {
  let most = 0;
  for (const one of seen) {
    const share = shareOf(one);
    expect(share).toBeGreaterThanOrEqual(most);
    if (one.state === "queued" || one.state === "downloading") expect(share).toBeLessThanOrEqual(0.99);
    most = share;
  }
}

test("A17 A25 whatever layers turn up and however they fall, the share never falls and stays below all", () => {
  let seed = 7;
  const random = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31;
    return seed % below;
  };
  for (let run = 0; run < 300; run++) {
    const sizes: number[] = [];
    const have: number[] = [];
    let shown = { bytes: 0, total: 0 };
    for (let step = 0; step < 60; step++) {
      if (sizes.length === 0 || (sizes.length < 6 && random(9) === 0)) {
        sizes.push(1 + random([100, 5000, 2 ** 30][random(3)]!));
        have.push(0);
      }
      const i = random(sizes.length);
      have[i] = Math.max(have[i]!, random(sizes[i]! + 1));
      const total = sum(sizes);
      const bytes = shownBytes(shown, sum(have), total);
      expect(Number.isInteger(bytes)).toBe(true);
      expect(bytes / total).toBeLessThanOrEqual(0.99);
      if (total > 1000) expect(bytes / total).toBeGreaterThanOrEqual(shareOf(shown));
      if (shown.total === total) expect(bytes).toBeGreaterThanOrEqual(shown.bytes);
      shown = { bytes, total };
    }
  }
  expect(shownBytes({ bytes: 0, total: 0 }, 500, 1000)).toBe(500);
  expect(shownBytes({ bytes: 0, total: 0 }, 0, 0)).toBe(0);
});

test("R165 R174 R175 A17 A25 three layers are one download with one share that never falls, and one row each", async () => {
  await using daemon = await startOllamaDaemon({ models, rate: 24 * MB });
  await using product = await openProduct({ ollamaUrl: daemon.url });
  const seen = watch(product);
  const { download } = await product.downloads.start(three);
  expect(download).toMatchObject({ modelId: "three", localPath: null, state: "queued" });
  const done = await product.reaches(download.id, "completed", "failed");
  expect(done).toMatchObject({
    state: "completed",
    bytes: TOTAL,
    total: TOTAL,
    filesTotal: 3,
    filesDone: 3,
    localPath: null,
    error: null,
  });
  expectRising(seen.filter(({ id }) => id === download.id));
  const lines = [...new Set(seen.flatMap(({ statusLine }) => statusLine ?? []))];
  const short = daemon.layers("three").map(({ digest }) => `pulling ${digest.slice(7, 19)}`);
  expect(lines).toEqual([
    "pulling manifest",
    ...short,
    "verifying sha256 digest",
    "writing manifest",
    "success",
  ]);
  const verifying = seen.filter(({ state }) => state === "verifying");
  expect(verifying[0]).toMatchObject({ statusLine: "verifying sha256 digest" });
  expect(seen.filter(({ state }) => state === "downloading").some(({ speed }) => speed > 0)).toBe(true);
  const files = await product.downloads.files(download.id);
  expect(
    files.map(({ path, size, bytes, state, target, verified }) => ({
      path,
      size,
      bytes,
      state,
      target,
      verified,
    })),
  ).toEqual(
    daemon.layers("three").map(({ digest, size }) => ({
      path: digest,
      size,
      bytes: size,
      state: "done",
      target: null,
      verified: true,
    })),
  );
});

test("A17 completed that falls, layers without a line and lines cut anywhere do not disturb the share", async () => {
  await using daemon = await startOllamaDaemon({ models, rate: 40 * MB, silentBelow: 5000 });
  daemon.on(
    {},
    { kind: "fall", at: 2 * MB, by: 2 * MB },
    { kind: "fall", at: 5 * MB, by: MB / 2 },
    { kind: "pieces", bytes: 11 },
  );
  await using product = await openProduct({ ollamaUrl: daemon.url });
  const seen = watch(product);
  const { download } = await product.downloads.start(three);
  const done = await product.reaches(download.id, "completed", "failed");
  expect(done).toMatchObject({ state: "completed", bytes: 7 * MB, total: 7 * MB, filesTotal: 2 });
  expectRising(seen);
});

test("R174 x and x:latest, in any case and layout, are one download; another tag or server is another", async () => {
  await using daemon = await startOllamaDaemon({ models, rate: MB });
  await using product = await openProduct({ ollamaUrl: daemon.url });
  const first = await product.downloads.start(three);
  expect(first.created).toBe(true);
  const same = [
    { ...three, model: "three:latest" },
    { ...three, model: "library/Three" },
    { ...three, model: "registry.ollama.ai/library/three:latest" },
    { ...three, layout: "hf-cache" as const },
    { ...three, baseUrl: `${daemon.url}/` },
    { ...three, baseUrl: daemon.url.replace("127.0.0.1", "localhost") },
  ];
  for (const request of same) {
    const { created, download } = await product.downloads.start(request);
    expect([created, download.id]).toEqual([false, first.download.id]);
  }
  for (const request of [
    { ...three, model: "three:q4" },
    { ...three, model: "me/three" },
  ])
    expect((await product.downloads.start(request)).created).toBe(true);
});

test("A6 cancel stops the daemon's pull, which keeps what it has; retry goes on from there", async () => {
  await using daemon = await startOllamaDaemon({ models, rate: 4 * MB });
  await using product = await openProduct({ ollamaUrl: daemon.url });
  const { download } = await product.downloads.start(three);
  await product.has(download.id, MB);
  const { download: cancelled } = await product.downloads.cancel(download.id);
  expect([cancelled.state, cancelled.bytes >= MB]).toEqual(["cancelled", true]);
  await daemon.waitFor(({ active }) => active.length === 0, "the daemon to stop");
  expect(daemon.pulls.map(({ outcome }) => outcome)).toEqual(["gone"]);
  const [layer] = daemon.layers("three");
  const kept = daemon.blobs.get(layer!.digest)!;
  expect(kept).toBeGreaterThanOrEqual(MB);
  daemon.rate = 100 * MB;
  expect((await product.downloads.retry(download.id)).download.bytes).toBe(0);
  await product.reaches(download.id, "completed");
  expect(JSON.parse(daemon.pulls[1]!.lines[1]!).completed).toBe(kept);
});

test("R74 R75 pause stops the daemon's pull, resume goes on where it was, and the share has not fallen", async () => {
  await using daemon = await startOllamaDaemon({ models, rate: 4 * MB });
  await using product = await openProduct({ ollamaUrl: daemon.url });
  const seen = watch(product);
  const { download } = await product.downloads.start(three);
  await product.has(download.id, MB);
  const paused = (await product.downloads.pause(download.id)).download;
  expect(paused.state).toBe("paused");
  expect(paused.bytes).toBeGreaterThanOrEqual(MB);
  await daemon.waitFor(({ active }) => active.length === 0, "the daemon to stop");
  daemon.rate = 100 * MB;
  await product.downloads.resume(download.id);
  const done = await product.reaches(download.id, "completed", "failed");
  expect(done.bytes).toBe(TOTAL);
  expectRising(seen);
  expect(daemon.pulls.map(({ outcome }) => outcome)).toEqual(["gone", "success"]);
});

test("R130 a cut and an end without success are tried again by themselves, and go on", async () => {
  await using daemon = await startOllamaDaemon({ models, rate: 100 * MB });
  daemon.on({ nth: 1 }, { kind: "cut", at: MB });
  daemon.on({ nth: 2 }, { kind: "end", at: 5 * MB });
  await using product = await openProduct({
    ollamaUrl: daemon.url,
    settings: { retry: { baseMs: 1, maxMs: 2, maxAttempts: 3 } },
  });
  const seen = watch(product);
  const { download } = await product.downloads.start(three);
  const done = await product.reaches(download.id, "completed", "failed");
  expect(done.error).toBeNull();
  expect(daemon.pulls.map(({ outcome }) => outcome)).toEqual(["cut", "ended", "success"]);
  expectRising(seen);
});

test("F47 new bytes give all tries back even while the share is held, a pull that brings none is given up", async () => {
  const spec = { name: "held", layers: [MB, 9 * MB] };
  await using daemon = await startOllamaDaemon({ models: [spec], rate: 200 * MB });
  for (let nth = 1; nth <= 6; nth++) daemon.on({ nth }, { kind: "end", at: (1 + nth) * MB });
  daemon.on({ nth: 7 }, { kind: "hang", at: "verifying" });
  await using product = await openProduct({
    ollamaUrl: daemon.url,
    settings: { retry: { baseMs: 1, maxMs: 2, maxAttempts: 2 } },
  });
  const { download } = await product.downloads.start({ provider: "ollama", model: "held" });
  await product.reaches(download.id, "verifying", "failed");
  expect(daemon.pulls).toHaveLength(7);
  await product.downloads.cancel(download.id);
  daemon.on({}, { kind: "end", at: "verifying" });
  const again = await product.downloads.retry(download.id);
  const failed = await product.reaches(again.download.id, "failed", "completed");
  expect(failed).toMatchObject({ state: "failed", error: { code: "network" } });
});

test("R182 an error of the daemon is a failure in its own words, and what is final is not tried again", async () => {
  await using daemon = await startOllamaDaemon({ models, rate: 100 * MB });
  await using product = await openProduct({ ollamaUrl: daemon.url });
  const missing = await product.downloads.start({ provider: "ollama", model: "nothing" });
  const none = await product.reaches(missing.download.id, "failed");
  expect(none.error?.code).toBe("not_found");
  expect(none.error?.message).toContain("pull model manifest: file does not exist");
  daemon.on({}, { kind: "error", at: 2 * MB, text: "something nobody has heard of" });
  const { download } = await product.downloads.start(three);
  const failed = await product.reaches(download.id, "failed", "completed");
  expect(failed.error).toEqual({
    code: "rejected",
    message: `The Ollama server at ${daemon.url} could not pull 'three': something nobody has heard of.`,
  });
  expect(daemon.pulls).toHaveLength(2);
});

test("R181 A25 a server that is not there fails at once, without another try, and says what to do", async () => {
  const daemon = await startOllamaDaemon({ models });
  await daemon.down();
  await using product = await openProduct({ ollamaUrl: daemon.url });
  const seen = watch(product);
  const { download } = await product.downloads.start(three);
  const failed = await product.reaches(download.id, "failed", "completed");
  expect(failed.error?.code).toBe("connect");
  expect(failed.error?.message).toStartWith(`Cannot connect to Ollama server at ${daemon.url}`);
  expect(failed.error?.message).toContain("ollama serve");
  expect(seen.filter(({ state }) => state === "downloading").every(({ attempt }) => attempt === 0)).toBe(
    true,
  );
  expect(seen.some(({ waiting }) => waiting?.reason === "retry")).toBe(false);
});

test("A25 a server that goes away in mid-pull and comes back is waited for", async () => {
  await using daemon = await startOllamaDaemon({ models, rate: 8 * MB });
  await using product = await openProduct({
    ollamaUrl: daemon.url,
    settings: { retry: { baseMs: 50, maxMs: 50, jitter: 0, maxAttempts: 1000 } },
  });
  const { download } = await product.downloads.start(three);
  await product.has(download.id, MB);
  await daemon.down();
  const waiting = await product.reachesSuch(download.id, ({ error }) => error?.code === "connect");
  expect(waiting.state).toBe("queued");
  daemon.rate = 100 * MB;
  await daemon.up();
  const done = await product.reaches(download.id, "completed", "failed");
  expect(done.state).toBe("completed");
});

test("A16 commands for files pass over what another program keeps", async () => {
  await using daemon = await startOllamaDaemon({ models });
  await using product = await openProduct({ ollamaUrl: daemon.url });
  const { download } = await product.downloads.start(three);
  await product.reaches(download.id, "completed");
  const { disk } = product.downloads;
  expect((await disk.list({ limit: 10 })).items).toEqual([]);
  const [file] = await product.downloads.files(download.id);
  await expect(disk.verify(file!.id)).rejects.toMatchObject({ code: "file_not_found" });
  await expect(disk.remove(file!.id)).rejects.toMatchObject({ code: "file_not_found" });
  await product.downloads.forget(download.id, { files: true });
  expect(await product.downloads.find(download.id)).toBeUndefined();
  expect(daemon.installed.has("three:latest")).toBe(true);
});

test("A17 a product opened again goes on with the pull, and shows no less than before", async () => {
  using dir = tempDir("bring");
  await using daemon = await startOllamaDaemon({ models, rate: 4 * MB });
  const open = () => openProduct({ dir: dir.path, ollamaUrl: daemon.url });
  const first = await open();
  const { download } = await first.downloads.start(three);
  const before = await first.has(download.id, 2 * MB);
  await first.close();
  await daemon.waitFor(({ active }) => active.length === 0, "the daemon to stop");
  daemon.rate = 100 * MB;
  await using second = await open();
  const seen = watch(second);
  const done = await second.reaches(download.id, "completed", "failed");
  expect(done.state).toBe("completed");
  expectRising(seen);
  expect(shareOf(seen[0]!)).toBeGreaterThanOrEqual(shareOf(before));
});

test("A17 a tag that leads to another model by the next attempt leaves no layer of the old one in the total", async () => {
  await using daemon = await startOllamaDaemon({ models, rate: 100 * MB });
  const [old] = daemon.layers("three");
  const stale = {
    status: "pulling x",
    digest: `sha256:${"0".repeat(64)}`,
    total: 90 * MB,
    completed: 80 * MB,
  };
  daemon.on({ nth: 1 }, { kind: "lines", lines: [`${JSON.stringify(stale)}\n`] });
  await using product = await openProduct({
    ollamaUrl: daemon.url,
    settings: { retry: { baseMs: 1, maxMs: 2 } },
  });
  const seen = watch(product);
  const { download } = await product.downloads.start(three);
  const done = await product.reaches(download.id, "completed", "failed");
  expect(done).toMatchObject({ state: "completed", total: TOTAL, bytes: TOTAL, filesTotal: 3 });
  expect((await product.downloads.files(download.id)).map(({ path }) => path)).toContain(old!.digest);
  expectRising(seen.filter(({ state }) => state !== "completed"));
});

test("F9 more layers than a model can have are refused, and a rate limit that cannot hold is told", async () => {
  await using daemon = await startOllamaDaemon({ models });
  const layer = (_: unknown, i: number) =>
    `${JSON.stringify({ status: "pulling", digest: `sha256:${i}`, total: 10 })}\n`;
  daemon.on({}, { kind: "lines", lines: [Array.from({ length: 600 }, layer).join("")] });
  await using product = await openProduct({
    ollamaUrl: daemon.url,
    settings: { retry: { maxAttempts: 1 } },
  });
  const { download } = await product.downloads.start({ ...three, rateLimit: MB });
  const failed = await product.reaches(download.id, "failed", "completed");
  expect(failed.error).toMatchObject({ code: "protocol", message: expect.stringContaining("512 layers") });
  expect(failed.warnings).toContain("The rate limit does not apply: ollama fetches by itself.");
});
