import { expect, test } from "bun:test";
import { DownloadError } from "../../src/core/errors.ts";
import type { PartFile } from "../../src/core/ports.ts";
import { knownTarget } from "../../src/core/target-path.ts";
import { BatchWriter, type Written } from "../../src/transfer/writer.ts";
import { TestClock } from "../support/clock.ts";

/** A part file in memory whose writes end when the test says so. */
function slowPart() {
  const writes: { position: number; length: number; done: () => void; fail: (error: Error) => void }[] = [];
  const bytes = new Uint8Array(1000);
  const part: PartFile = {
    path: knownTarget("/p"),
    initialLength: 0,
    write(position, chunks) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const whole = Buffer.concat(chunks);
      bytes.set(whole, position);
      writes.push({ position, length: whole.length, done: resolve, fail: reject });
      return promise;
    },
    async sync() {},
    async truncate() {},
    async close() {},
  };
  return { part, writes, bytes };
}

const chunk = (length: number, value = 1) => new Uint8Array(length).fill(value);
const turn = () => new Promise((resolve) => setImmediate(resolve));

function writer(limit = 100, start = 0) {
  const clock = new TestClock();
  const { part, writes, bytes } = slowPart();
  const written: Written[] = [];
  return {
    clock,
    writes,
    bytes,
    written,
    it: new BatchWriter(part, start, limit, 15, clock, (w) => void written.push(w)),
  };
}

test("gathers up to the limit, one write in flight while the next batch fills, then holds the reader", async () => {
  const { it, writes, written } = writer();
  expect(it.push(chunk(60))).toBeUndefined();
  expect(writes.length).toBe(0);
  expect(it.push(chunk(60))).toBeUndefined();
  expect(writes.map(({ position, length }) => [position, length])).toEqual([[0, 120]]);
  expect(it.push(chunk(60))).toBeUndefined();
  const held = it.push(chunk(60))!;
  expect(writes.length).toBe(1);
  writes[0]!.done();
  await held;
  expect(writes.map(({ position, length }) => [position, length])).toEqual([
    [0, 120],
    [120, 120],
  ]);
  expect(written).toEqual([{ runStart: 0, start: 0, end: 120 }]);
  expect(it.next).toBe(240);
});

test("what waits too long is written; progress is told only after the write", async () => {
  const { it, clock, writes, written } = writer(100, 500);
  it.push(chunk(10));
  it.tick(clock.monotonic());
  expect(writes.length).toBe(0);
  await clock.advance(20);
  it.tick(clock.monotonic());
  expect([writes.length, written.length]).toEqual([1, 0]);
  it.push(chunk(5));
  await clock.advance(20);
  it.tick(clock.monotonic());
  expect(writes.length).toBe(1);
  writes[0]!.done();
  await turn();
  it.tick(clock.monotonic());
  writes[1]!.done();
  await turn();
  expect(written).toEqual([
    { runStart: 500, start: 500, end: 510 },
    { runStart: 500, start: 510, end: 515 },
  ]);
});

test("finish writes the rest and waits for it; seek begins another run", async () => {
  const { it, writes, written, bytes } = writer();
  it.push(chunk(10, 7));
  const moved = it.seek(200);
  writes[0]!.done();
  await moved;
  it.push(chunk(10, 8));
  const finished = it.finish();
  writes[1]!.done();
  await finished;
  expect(written.map((w) => [w.runStart, w.start, w.end])).toEqual([
    [0, 0, 10],
    [200, 200, 210],
  ]);
  expect([bytes[9], bytes[10], bytes[200]]).toEqual([7, 0, 8]);
});

test("F79 a write that failed is told at the next chunk and at the end, and nothing after it counts", async () => {
  const { it, writes, written } = writer();
  const full = new DownloadError("no_space", "disk full");
  it.push(chunk(100));
  it.push(chunk(60));
  const held = it.push(chunk(60))!;
  writes[0]!.fail(full);
  await expect(held).rejects.toBe(full);
  await turn();
  expect(() => it.push(chunk(1))).toThrow("disk full");
  await expect(it.finish()).rejects.toBe(full);
  await turn();
  expect([writes.length, written.length]).toEqual([1, 0]);
});

test("F79 behind a write that failed nothing is written any more: the run would seem to be without a gap", async () => {
  const { it, clock, writes, written } = writer();
  it.push(chunk(100));
  it.push(chunk(60));
  writes[0]!.fail(new DownloadError("io", "trouble"));
  await turn();
  await clock.advance(20);
  it.tick(clock.monotonic());
  writes[1]?.done();
  await turn();
  expect([writes.length, written.length]).toEqual([1, 0]);
  await expect(it.finish()).rejects.toThrow("trouble");
});

test("small chunks are gathered and large ones passed on, and every byte arrives in its place", async () => {
  const sizes = [1, 40_000, 30_000, 200_000, 5, 48 << 10, (48 << 10) + 1, 65_536, 7, 65_535, 49_000, 100];
  const total = sizes.reduce((a, b) => a + b);
  const sent = crypto.getRandomValues(new Uint8Array(65_536));
  const wanted = new Uint8Array(total).map((_, i) => sent[i % sent.length]!);
  const got = new Uint8Array(total);
  let most = 0;
  const part: PartFile = {
    ...slowPart().part,
    async write(position, chunks) {
      await turn();
      most = Math.max(most, chunks.length);
      got.set(Buffer.concat(chunks), position);
    },
  };
  const it = new BatchWriter(part, 0, 150_000, 15, new TestClock(), () => {});
  let at = 0;
  for (const size of sizes) {
    const bytes = wanted.slice(at, at + size);
    at += size;
    await it.push(bytes);
    // What the runtime gave us it may use again once it is copied.
    if (size <= 48 << 10) bytes.fill(0);
  }
  await it.finish();
  expect(Bun.hash(got)).toBe(Bun.hash(wanted));
  expect(most).toBeLessThan(6);
});
