/** Connections that fall silent, crawl or die: F56, F57, F60-F62, F68; and what it costs to be interrupted. */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { systemClock } from "../../src/core/clock.ts";
import { generated, sha256 } from "../support/bytes.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { attempt, expectTruth, expectWhole, MiB, type Rig, rig, Witness } from "./rig.ts";

const SIZE = 16 * MiB + 5;
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
  seen = origin.log.length;
  origin.limits.ratePerConnection = 8 * MiB;
});
afterAll(async () => {
  await it[Symbol.asyncDispose]();
  await origin.stop();
});
const url = () => origin.url("/m");
let seen = 0;
const requests = () => origin.log.slice(seen);
const sent = () => requests().reduce((sum, r) => sum + r.sent, 0);

test("F56 one of several falls silent: cut while its siblings move, its rest is fetched by others", async () => {
  const rule = origin.on({ nth: 3 }, { kind: "stall", at: 100_000 });
  const { end, witness, path } = await attempt(it, { url: url(), size: SIZE, digest: DIGEST });
  expect([end, rule.hits, witness.restarts]).toEqual(["done", 1, []]);
  expect(requests().find((r) => r.outcome === "stalled" || r.outcome === "gone")).toBeDefined();
  expect(witness.gained).toBe(SIZE);
  expectWhole(path, TRUE);
});

test("F56 F61 the only one falls silent: cut after its time, and continued where it was", async () => {
  it.transfer.setConnections(1);
  const rule = origin.on({ nth: 2, times: 1 }, { kind: "stall", at: 500_000 });
  const { end, witness, path } = await attempt(it, { url: url() });
  it.transfer.setConnections(8);
  expect([end, rule.hits, witness.restarts, witness.gained]).toEqual(["done", 1, [], SIZE]);
  expect(sent()).toBeLessThan(SIZE + 600_000);
  expectWhole(path, TRUE);
});

test("F56 a server that is silent every time: timeout, and what came stays", async () => {
  await using hasty = rig({ stall: { silentMs: 150 }, patience: { tries: 1 } });
  origin.on({ nth: { from: 2 } }, { kind: "stall", at: 0 });
  const { end, error, witness, path } = await attempt(hasty, { url: url() });
  expect([end, error?.verdict]).toEqual(["timeout", "retry"]);
  expect(witness.gained).toBe(MiB);
  expectTruth(witness, path, TRUE);
});

test("F56 a silent stream that cannot be continued begins again", async () => {
  origin.put({ path: "/s", seed: 1, size: SIZE, ranges: false, etag: null });
  const rule = origin.on({ path: "/s", times: 1 }, { kind: "stall", at: 100_000 });
  const { end, witness, path } = await attempt(it, { url: origin.url("/s") });
  expect([end, rule.hits, witness.restarts.length]).toEqual(["done", 1, 1]);
  expectWhole(path, TRUE);
});

test("F112 after the machine has slept, connections that say nothing are not waited for", async () => {
  let slept = 0;
  const clock = { ...systemClock, now: () => Date.now() + slept };
  await using lid = rig({ clock, stall: { silentMs: 60_000, siblingSilentMs: 60_000 } });
  const rule = origin.on({ nth: 2, times: 1 }, { kind: "stall", at: 100_000 });
  lid.transfer.setConnections(1);
  const running = attempt(lid, { url: url() });
  await origin.waitFor((o) => o.log.slice(seen).some((r) => r.outcome === "stalled"), "a stalled request");
  slept = 3_600_000;
  const { end, witness, path } = await running;
  expect([end, rule.hits, witness.restarts, witness.gained]).toEqual(["done", 1, [], SIZE]);
  expectWhole(path, TRUE);
});

test("F57 one crawls beside fast ones: replaced, and nobody waits for it", async () => {
  origin.limits.ratePerConnection = 8 * MiB;
  const rule = origin.on({ nth: 2 }, { kind: "rate", bytesPerSecond: 20_000 });
  const { end, witness, path } = await attempt(it, { url: url() });
  expect([end, rule.hits, witness.gained]).toEqual(["done", 1, SIZE]);
  const slow = requests()[1]!;
  expect(slow.outcome).not.toBe("complete");
  expect(slow.sent).toBeLessThan(MiB);
  expectWhole(path, TRUE);
});

test("F57 slow but steady is the only path: used to the end, in one go", async () => {
  origin.put({ path: "/slow", seed: 4, size: 30_000 });
  origin.limits.ratePerConnection = 20_000;
  await using patient = rig({ stall: { slowBytesPerSecond: 1024, slowMs: 300, silentMs: 900 } });
  const { end, path } = await attempt(patient, { url: origin.url("/slow") });
  expect([end, requests().length]).toEqual(["done", 1]);
  expectWhole(path, generated(4, 30_000));
});

test("F57 below the low-speed rule a connection is asked again, which is never fatal", async () => {
  origin.on({ nth: 2, times: 1 }, { kind: "rate", bytesPerSecond: 5_000, after: 50_000 });
  it.transfer.setConnections(1);
  await using strict = rig({
    connectionsPerDownload: 1,
    stall: { slowBytesPerSecond: 20_000, slowMs: 300, silentMs: 5_000 },
  });
  const { end, witness, path } = await attempt(strict, { url: url() });
  it.transfer.setConnections(8);
  expect([end, witness.restarts, witness.gained]).toEqual(["done", [], SIZE]);
  expectWhole(path, TRUE);
});

test("F60 resets again and again: the bytes before them count", async () => {
  origin.on({ nth: { every: 2 } }, { kind: "reset", at: 400_000 });
  const { end, witness, path } = await attempt(it, { url: url(), size: SIZE, digest: DIGEST });
  expect([end, witness.restarts, witness.gained]).toEqual(["done", [], SIZE]);
  expect(sent()).toBeLessThan(SIZE * 1.25);
  expectWhole(path, TRUE);
});

test("F62 kept-alive connections that have died cost no try", async () => {
  origin.on({ reused: true }, { kind: "cut", at: "start" });
  await using strict = rig({ patience: { tries: 0 } });
  const { end, path } = await attempt(strict, { url: url() });
  expect(end).toBe("done");
  expectWhole(path, TRUE);
});

test("F68 garbage instead of an answer: three tries, then protocol", async () => {
  origin.on({}, { kind: "raw", text: "ICY 200 OK\r\n\r\n" });
  const { end, error } = await attempt(it, { url: url() });
  expect(["protocol", "network"]).toContain(end);
  expect(error?.message).not.toContain("ICY");
  expect(requests().length).toBeLessThanOrEqual(12);
});

test("what is left at the end is shared: the last one is not waited for", async () => {
  origin.limits.ratePerConnection = 4 * MiB;
  origin.on({ covers: SIZE - 1, times: 1 }, { kind: "rate", bytesPerSecond: 100_000 });
  const { end, witness, path } = await attempt(it, { url: url(), size: SIZE, digest: DIGEST });
  expect([end, witness.gained]).toEqual(["done", SIZE]);
  expectWhole(path, TRUE);
});

test("R a pause ends everything at once, keeps every byte that was told, and costs almost nothing", async () => {
  const stop = new AbortController();
  const witness = new Witness();
  const name = "paused.part";
  let pausedAt = 0;
  witness.onWritten = () => {
    if (witness.gained < 5 * MiB || stop.signal.aborted) return;
    pausedAt = performance.now();
    stop.abort(new Error("paused"));
  };
  await expect(
    attempt(it, { url: url(), size: SIZE, digest: DIGEST, witness, signal: stop.signal, name }),
  ).rejects.toThrow("paused");
  expect(performance.now() - pausedAt).toBeLessThan(1_000);
  expect(witness.connectionsNow).toBe(0);
  expectTruth(witness, `${it.dir}/${name}`, TRUE);
  const first = witness.gained;
  const again = await attempt(it, {
    url: url(),
    size: SIZE,
    digest: DIGEST,
    name,
    receipts: witness.toReceipts(),
    validator: witness.identities[0]!.validator,
  });
  expect([again.end, again.witness.gained]).toEqual(["done", SIZE - first]);
  expectWhole(again.path, TRUE);
});

test("a job that was over before it began asks nobody", async () => {
  const stop = new AbortController();
  stop.abort(new Error("cancelled"));
  await expect(attempt(it, { url: url(), signal: stop.signal })).rejects.toThrow("cancelled");
  expect(requests().length).toBe(0);
});

test("F96 G2 four kills: what was told at most 15 ms ago is all that is lost", async () => {
  origin.limits.ratePerConnection = 4 * MiB;
  it.transfer.setConnections(4);
  const name = "killed.part";
  let receipts: { start: number; length: number }[] = [];
  let validator = null as Witness["identities"][number]["validator"];
  for (let kill = 1; kill <= 5; kill++) {
    const stop = new AbortController();
    const witness = new Witness();
    let known: typeof receipts = receipts;
    witness.onWritten = () => {
      // What a journal that is written now and then would hold.
      if (kill < 5 && witness.gained > 2.5 * MiB) stop.abort(new Error("killed"));
      if (!stop.signal.aborted) known = [...receipts, ...witness.toReceipts()];
    };
    const end = await attempt(it, {
      url: url(),
      size: SIZE,
      digest: DIGEST,
      name,
      receipts,
      validator,
      witness,
      signal: stop.signal,
    }).catch(() => undefined);
    receipts = known;
    validator = witness.identities[0]?.validator ?? validator;
    if (end) expectWhole(end.path, TRUE);
  }
  it.transfer.setConnections(8);
  expect(sent() / SIZE).toBeLessThan(1.1);
});
