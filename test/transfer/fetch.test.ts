import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { DownloadError } from "../../src/core/errors.ts";
import type { PartFile } from "../../src/core/ports.ts";
import { generated, gitSha1Of, sha256, sha256Of } from "../support/bytes.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { attempt, expectTruth, expectWhole, fetchOne, MiB, type Rig, rig, Witness } from "./rig.ts";

const SIZE = 20 * MiB + 17;
const TRUE = generated(1, SIZE);
const DIGEST = sha256(TRUE);
let origin: Origin;
let it: Rig;
beforeAll(async () => {
  origin = await startOrigin({ resources: [{ path: "/m", seed: 1, size: SIZE }] });
  it = rig();
});
beforeEach(() => {
  origin.clear();
  delete origin.limits.ratePerConnection;
});
afterAll(async () => {
  await it[Symbol.asyncDispose]();
  await origin.stop();
});
const url = () => origin.url("/m");

test("a large file over several connections, verified while it arrives", async () => {
  origin.limits.ratePerConnection = 8 * MiB;
  const { result, witness, path } = await fetchOne(it, { url: url(), digest: DIGEST });
  expect(result).toEqual<unknown>({
    size: SIZE,
    digest: { algorithm: "sha256", hex: DIGEST },
    verified: true,
  });
  expect(witness.mostConnections).toBeGreaterThan(3);
  expect([witness.bytes, witness.connectionsNow, witness.restarts]).toEqual([SIZE, 0, []]);
  expect(witness.events).toEqual(["identified", "verifying"]);
  expectWhole(path, TRUE);
});

test("every byte is fetched once", async () => {
  const before = origin.sent();
  await fetchOne(it, { url: url(), size: SIZE, digest: DIGEST });
  expect(origin.sent() - before).toBe(SIZE);
});

test("towards the end connections share the rest without getting into each other's way", async () => {
  origin.limits.ratePerConnection = MiB;
  const [requests, sent] = [origin.log.length, origin.sent()];
  const { witness, path } = await fetchOne(it, { url: url(), size: SIZE, receipts: [], validator: null });
  expect(witness.mostConnections).toBe(8);
  expect(origin.log.length - requests).toBeLessThan(60);
  expect(origin.sent() - sent).toBeLessThan(SIZE * 1.05);
  expectWhole(path, TRUE);
});

test("what was told as written is on disk at that moment", async () => {
  const witness = new Witness();
  const name = "watched.part";
  let looks = 0;
  witness.onWritten = () => {
    if (looks++ % 7 === 0) expectTruth(witness, `${it.dir}/${name}`, TRUE);
  };
  await fetchOne(it, { url: url(), witness, name });
  expect(looks).toBeGreaterThan(3);
});

describe("resume", () => {
  const validator = () => ({
    etag: `"${new Bun.CryptoHasher("md5").update(`/m 1 ${SIZE}`).digest("hex")}"`,
    lastModified: null,
    size: SIZE,
    origin: origin.base,
  });

  test("from scattered receipts: exactly the gaps are fetched", async () => {
    const receipts = [
      { start: 5 * MiB, length: 3 * MiB },
      { start: 0, length: MiB + 7 },
      { start: 7 * MiB, length: 2 * MiB },
      { start: 19 * MiB, length: MiB + 17 },
    ];
    const have = MiB + 7 + 4 * MiB + MiB + 17;
    const before = origin.sent();
    const { witness, path } = await fetchOne(it, {
      url: url(),
      size: SIZE,
      digest: DIGEST,
      validator: validator(),
      receipts,
      partial: TRUE.read(0, SIZE),
    });
    expect([witness.gained, origin.sent() - before]).toEqual([SIZE - have, SIZE - have]);
    expectWhole(path, TRUE);
  });

  test("F88 a partial file that was cut is trusted only as far as it exists", async () => {
    const { witness, path } = await fetchOne(it, {
      url: url(),
      size: SIZE,
      validator: validator(),
      receipts: [{ start: 0, length: 10 * MiB }],
      partial: TRUE.read(0, 4 * MiB),
    });
    expect(witness.gained).toBe(SIZE - 4 * MiB);
    expectWhole(path, TRUE);
  });

  test("F87 a partial file that is gone: everything is fetched", async () => {
    const { witness, path } = await fetchOne(it, {
      url: url(),
      size: SIZE,
      validator: validator(),
      receipts: [{ start: 0, length: 10 * MiB }],
    });
    expect(witness.gained).toBe(SIZE);
    expectWhole(path, TRUE);
  });

  test("F89 a partial file that somebody changed: only the digest tells, and it is fetched again", async () => {
    const partial = TRUE.read(0, 4 * MiB).slice();
    partial[MiB]! ^= 1;
    const { witness, path, result } = await fetchOne(it, {
      url: url(),
      size: SIZE,
      digest: DIGEST,
      validator: validator(),
      receipts: [{ start: 0, length: 4 * MiB }],
      partial,
    });
    expect([witness.restarts.length, result.verified]).toEqual([1, true]);
    expectWhole(path, TRUE);
  });

  test("a file that is longer than the remote one ends with its length", async () => {
    const partial = new Uint8Array(SIZE + 5000);
    const { path } = await fetchOne(it, { url: url(), size: SIZE, digest: DIGEST, partial });
    expect(readFileSync(path).length).toBe(SIZE);
    expectWhole(path, TRUE);
  });
});

describe("small files", () => {
  test("one plain question, one write, no second reading", async () => {
    origin.put({ path: "/s", seed: 5, size: 4000 });
    const before = origin.log.length;
    const writes: number[] = [];
    const wrap = (part: PartFile): PartFile => ({
      path: part.path,
      initialLength: part.initialLength,
      write: (position, chunks) => {
        writes.push(position);
        return part.write(position, chunks);
      },
      sync: () => part.sync(),
      truncate: (length) => part.truncate(length),
      close: () => part.close(),
    });
    const { result, witness, path } = await fetchOne(it, {
      url: origin.url("/s"),
      size: 4000,
      digest: sha256Of(5, 4000),
      wrap,
    });
    expect(result.verified).toBe(true);
    expect(origin.log.slice(before).map((r) => [r.method, r.range])).toEqual([["GET", undefined]]);
    expect([writes, witness.toReceipts()]).toEqual([[0], [{ start: 0, length: 4000 }]]);
    expectWhole(path, generated(5, 4000));
  });

  test("hundreds of them at once, over kept-alive connections", async () => {
    const files = Array.from({ length: 300 }, (_, i) => ({ path: `/r/${i}`, seed: i, size: 100 + i * 37 }));
    for (const file of files) origin.put(file);
    const connections = origin.stats.connections;
    const digests = files.map((f) => gitSha1Of(generated(f.seed, f.size)));
    const queue = files.map((file, i) => ({ file, hex: digests[i]! }));
    const lane = async (): Promise<void> => {
      for (let next = queue.pop(); next; next = queue.pop()) {
        const { result } = await fetchOne(it, {
          url: origin.url(next.file.path),
          size: next.file.size,
          digest: { algorithm: "git-sha1", hex: next.hex },
        });
        expect(result.verified).toBe(true);
      }
    };
    await Promise.all(Array.from({ length: 24 }, lane));
    expect(origin.stats.connections - connections).toBeLessThanOrEqual(16);
    expect(origin.requests("/r/*").length).toBe(300);
  });
});

describe("limits", () => {
  test("a rate limit holds over all connections, can be lifted while running, and is told as the cause", async () => {
    await using slow = rig();
    slow.transfer.setGlobalRate(4 * MiB);
    const witness = new Witness();
    const started = performance.now();
    let liftedAt = 0;
    let atLift = 0;
    witness.onWritten = () => {
      if (liftedAt > 0 || witness.gained < 4 * MiB) return;
      liftedAt = performance.now() - started;
      atLift = witness.gained;
      slow.transfer.setGlobalRate(0);
    };
    const { path } = await fetchOne(slow, { url: url(), witness });
    expect(liftedAt).toBeGreaterThan(850);
    expect(atLift).toBeLessThan(4.5 * MiB);
    expect(witness.bottlenecks).toContain("own_limit");
    expectWhole(path, TRUE);
  });

  test("a download's own limit leaves the others alone", async () => {
    await using both = rig();
    both.transfer.setDownloadRate("slow", 2 * MiB);
    const slow = new Witness();
    const stop = new AbortController();
    const running = attempt(both, { url: url(), downloadId: "slow", witness: slow, signal: stop.signal });
    await fetchOne(both, { url: url(), downloadId: "fast" });
    expect(slow.gained).toBeLessThan(SIZE / 2);
    both.transfer.forget("slow");
    expect((await running).end).toBe("done");
  });

  test("connections of one download are bounded, also over several files, and can be changed while running", async () => {
    await using few = rig({ connectionsPerDownload: 2 });
    origin.limits.ratePerConnection = 8 * MiB;
    const most = origin.stats.maxActive;
    const witness = new Witness();
    const running = fetchOne(few, { url: url(), witness });
    await origin.waitFor((o) => o.stats.active === 2, "two connections");
    const second = fetchOne(few, { url: url() });
    await Bun.sleep(100);
    expect(origin.stats.active).toBeLessThanOrEqual(2);
    few.transfer.setConnections(6);
    await origin.waitFor((o) => o.stats.active > 3, "more than three connections");
    await Promise.all([running, second]);
    expect(most).toBeGreaterThan(0);
    expect(witness.mostConnections).toBeLessThanOrEqual(6);
  });

  test("F233 a small download is not starved by one with many files", async () => {
    await using narrow = rig({ maxConnections: 2, connectionsPerDownload: 2 });
    origin.put({ path: "/s", seed: 5, size: 4000 });
    origin.limits.ratePerConnection = 16 * MiB;
    const ended: string[] = [];
    const big = Array.from({ length: 6 }, () =>
      fetchOne(narrow, { url: url(), downloadId: "big" }).then(() => ended.push("big")),
    );
    await origin.waitFor((o) => o.stats.active === 2, "all places taken");
    await fetchOne(narrow, { url: origin.url("/s"), downloadId: "small" });
    ended.push("small");
    await Promise.all(big);
    expect(ended.indexOf("small")).toBeLessThan(3);
  });
});

describe("the disk", () => {
  const failing =
    (after: number, error: DownloadError) =>
    (part: PartFile): PartFile => {
      let writes = 0;
      return {
        path: part.path,
        initialLength: part.initialLength,
        write: (position, chunks) =>
          ++writes > after ? Promise.reject(error) : part.write(position, chunks),
        sync: () => part.sync(),
        truncate: (length) => part.truncate(length),
        close: () => part.close(),
      };
    };

  test.each([0, 5])(
    "F79 a write that fails after %d good ones ends the transfer with the disk's own error",
    async (after) => {
      origin.limits.ratePerConnection = 16 * MiB;
      const full = new DownloadError("no_space", "The disk is full.");
      const { end, error, witness, path } = await attempt(it, { url: url(), wrap: failing(after, full) });
      expect([end, error]).toEqual(["no_space", full]);
      expect(witness.connectionsNow).toBe(0);
      expectTruth(witness, path, TRUE);
    },
  );

  test("F79 a small file as well", async () => {
    origin.put({ path: "/s", seed: 5, size: 4000 });
    const full = new DownloadError("no_space", "The disk is full.");
    expect(await attempt(it, { url: origin.url("/s"), size: 4000, wrap: failing(0, full) })).toMatchObject({
      end: "no_space",
    });
  });

  test("F229 a disk slower than the network holds the network back, and is told as the cause", async () => {
    let most = 0;
    let held = 0;
    const slow = (part: PartFile): PartFile => ({
      path: part.path,
      initialLength: part.initialLength,
      async write(position, chunks) {
        held += chunks.reduce((sum, chunk) => sum + chunk.length, 0);
        most = Math.max(most, held);
        await Bun.sleep(120);
        await part.write(position, chunks);
        held -= chunks.reduce((sum, chunk) => sum + chunk.length, 0);
      },
      sync: () => part.sync(),
      truncate: (length) => part.truncate(length),
      close: () => part.close(),
    });
    it.transfer.setConnections(1);
    const { witness, path } = await fetchOne(it, { url: url(), wrap: slow });
    it.transfer.setConnections(8);
    expect(most).toBeLessThanOrEqual(MiB);
    expect(witness.bottlenecks).toContain("disk");
    expectWhole(path, TRUE);
  });
});

test("several large files at once, verified by the same workers", async () => {
  await using many = rig({ digestWorkers: 2 });
  const files = [1, 2, 3, 4].map((seed) => ({ path: `/p${seed}`, seed, size: 5 * MiB + seed }));
  for (const file of files) origin.put(file);
  const all = await Promise.all(
    files.map((f) =>
      fetchOne(many, { url: origin.url(f.path), digest: sha256Of(f.seed, f.size), downloadId: f.path }),
    ),
  );
  expect(all.map((r) => r.result.verified)).toEqual([true, true, true, true]);
});

test("F121 pausing while the digest is computed ends at once", async () => {
  const stop = new AbortController();
  const witness = new Witness();
  witness.verifying = () => stop.abort(new Error("paused"));
  await expect(
    attempt(it, { url: url(), size: SIZE, digest: DIGEST, witness, signal: stop.signal }),
  ).rejects.toThrow("paused");
});

test("the network waits for a digest that cannot keep up", async () => {
  await using lagging = rig({ digestLagBytes: 2 * MiB });
  const { witness, result, path } = await fetchOne(lagging, { url: url(), size: SIZE, digest: DIGEST });
  expect([result.verified, witness.bytes]).toEqual([true, SIZE]);
  expectWhole(path, TRUE);
});
