/** Whether it is still the same file: F24-F29, F55, F70, F77. */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import type { Validator } from "../../src/core/download.ts";
import { generated, literal, sha256, sha256Of } from "../support/bytes.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { attempt, expectTruth, expectWhole, MiB, type Rig, rig } from "./rig.ts";

const SIZE = 6 * MiB + 5;
const OLD = generated(1, SIZE);
const NEW = generated(2, SIZE);
let origin: Origin;
let it: Rig;
beforeAll(async () => {
  origin = await startOrigin();
  it = rig();
});
beforeEach(() => {
  origin.clear();
  origin.put({ path: "/m", seed: 1, size: SIZE, etag: '"old"' });
});
afterAll(async () => {
  await it[Symbol.asyncDispose]();
  await origin.stop();
});

const replaced = [
  { kind: "other-content", seed: 2 },
  { kind: "validators", etag: '"new"' },
] as const;

/** A third is there from an earlier run of the old version. */
function paused(change: Partial<Validator> = {}) {
  const length = 2 * MiB;
  return {
    url: origin.url("/m"),
    size: SIZE,
    partial: OLD.read(0, length),
    receipts: [{ start: 0, length }],
    validator: { etag: '"old"', lastModified: null, size: SIZE, origin: origin.base, ...change },
  };
}

test.each([1, 8])(
  "F24 the file is replaced in flight, %d connections: begun again, never mixed",
  async (connections) => {
    it.transfer.setConnections(connections);
    // How much the second request asks for depends on the speed: it may be all the rest.
    origin.on({ nth: { from: 2 } }, ...replaced);
    const { end, witness, path } = await attempt(it, { url: origin.url("/m") });
    it.transfer.setConnections(8);
    expect([end, witness.restarts.length, witness.bytes]).toEqual(["done", 1, SIZE]);
    expect(witness.restarts[0]).toContain("another one");
    expect(expectWhole(path, OLD, NEW)).toBe(1);
    expect(witness.identities.map((i) => i.validator?.etag)).toEqual(['"old"', '"new"']);
  },
);

test("F1 F24 another version in one answer while parts of the first are still in memory: not mixed", async () => {
  origin.limits.ratePerConnection = MiB;
  const first = origin.on({ nth: { from: 4 } }, { kind: "ignore-range" }, ...replaced);
  const { end, path } = await attempt(it, { url: origin.url("/m") });
  delete origin.limits.ratePerConnection;
  expect([end, first.hits > 0]).toEqual(["done", true]);
  expectWhole(path, OLD, NEW);
});

test("F24 a file that will not keep still is taken in one answer after two restarts", async () => {
  for (let i = 1; i <= 20; i++) origin.on({ nth: i }, { kind: "validators", etag: `"v${i}"` });
  const { end, witness, path } = await attempt(it, { url: origin.url("/m") });
  expect([end, witness.restarts.length]).toEqual(["done", 3]);
  expect(origin.requests("/m").at(-1)?.range).toBeUndefined();
  expectWhole(path, OLD);
});

test("F24 when that breaks as well: remote_changed, worth another try later", async () => {
  for (let i = 1; i <= 20; i++) origin.on({ nth: i }, { kind: "validators", etag: `"v${i}"` });
  origin.on({ ranged: false }, { kind: "cut", at: MiB });
  const { end, error, witness } = await attempt(it, { url: origin.url("/m") });
  expect([end, error?.verdict, witness.bytes]).toEqual(["remote_changed", "retry", 0]);
});

test("F24 the promised digest is what counts: another content ends in checksum, not in a mixture", async () => {
  origin.on({ nth: { from: 2 } }, ...replaced);
  const { end, witness } = await attempt(it, { url: origin.url("/m"), size: SIZE, digest: sha256(OLD) });
  expect([end, witness.bytes]).toEqual(["checksum", 0]);
});

test("F25 changed during a pause: begun again", async () => {
  origin.on({}, ...replaced);
  const { end, witness, path } = await attempt(it, paused());
  expect([end, witness.restarts.length, witness.gained]).toEqual(["done", 1, SIZE]);
  expect(expectWhole(path, OLD, NEW)).toBe(1);
});

test("F25 not changed: only the rest is fetched, asked for by a plain Range", async () => {
  const before = origin.log.length;
  const { end, witness, path } = await attempt(it, paused());
  expect([end, witness.restarts, witness.gained]).toEqual(["done", [], SIZE - 2 * MiB]);
  const asked = origin.log.slice(before);
  expect(asked[0]?.range).toStartWith(`bytes=${2 * MiB}-`);
  expect(asked.some((r) => "if-range" in r.headers || "if-match" in r.headers)).toBe(false);
  expectWhole(path, OLD);
});

test.each([
  ["F26 a weak ETag", 'W/"old"'],
  ["F27 no validator", null],
])("%s proves nothing: one stream, and what was there is not continued", async (_, etag) => {
  origin.put({ path: "/m", seed: 1, size: SIZE, etag });
  const before = origin.log.length;
  const fresh = await attempt(it, { url: origin.url("/m") });
  expect([fresh.end, fresh.witness.mostConnections]).toEqual(["done", 1]);
  expect(origin.log.slice(before).filter((r) => r.range === undefined).length).toBe(1);
  const again = await attempt(it, paused({ etag: null }));
  expect([again.end, again.witness.gained, again.witness.restarts.length]).toEqual(["done", SIZE, 1]);
  expectWhole(again.path, OLD);
});

test.each([
  ["F26 a weak ETag", 'W/"old"'],
  ["F27 no validator", null],
])("%s beside a promised digest: parts and resume as ever", async (_, etag) => {
  origin.put({ path: "/m", seed: 1, size: SIZE, etag });
  const { end, witness, path, result } = await attempt(it, {
    ...paused({ etag: null }),
    digest: sha256(OLD),
  });
  expect([end, result?.verified, witness.gained]).toEqual(["done", true, SIZE - 2 * MiB]);
  expectWhole(path, OLD);
});

test("F28 the same content under another ETag on each edge: accepted on the strength of the digest", async () => {
  const replicas = Array.from({ length: 3 }, (_, i) => ({ etag: `"edge${i}"` }));
  origin.put({ path: "/m", seed: 1, size: SIZE, replicas });
  origin.limits.ratePerConnection = 8 * MiB;
  const { end, witness, path } = await attempt(it, {
    url: origin.url("/m"),
    size: SIZE,
    digest: sha256(OLD),
  });
  expect([end, witness.restarts]).toEqual(["done", []]);
  expectWhole(path, OLD);
  // Without one, at most two restarts, then everything from one edge.
  const blind = await attempt(it, { url: origin.url("/m") });
  delete origin.limits.ratePerConnection;
  expect(blind.end).toBe("done");
  expect(blind.witness.restarts.length).toBeLessThanOrEqual(3);
  expectWhole(blind.path, OLD);
});

test("F29 a date counts only when it is clearly older than the answer", async () => {
  const lastModified = "Fri, 20 Nov 2020 12:00:00 GMT";
  origin.put({ path: "/m", seed: 1, size: SIZE, etag: null, lastModified });
  const old = await attempt(it, paused({ etag: null, lastModified }));
  expect([old.end, old.witness.gained]).toEqual(["done", SIZE - 2 * MiB]);
  const now = new Date().toUTCString();
  origin.put({ path: "/m", seed: 1, size: SIZE, etag: null, lastModified: now });
  const young = await attempt(it, { url: origin.url("/m") });
  expect([
    young.end,
    young.witness.mostConnections,
    young.witness.identities[0]?.validator?.lastModified,
  ]).toEqual(["done", 1, null]);
  expectWhole(young.path, OLD);
});

test("F70 replicas behind one name serve different versions: never mixed", async () => {
  origin.put({
    path: "/m",
    seed: 1,
    size: SIZE,
    replicas: [
      { seed: 1, etag: '"a"' },
      { seed: 2, etag: '"b"' },
    ],
  });
  origin.limits.ratePerConnection = 8 * MiB;
  const { end, path, witness } = await attempt(it, { url: origin.url("/m") });
  delete origin.limits.ratePerConnection;
  if (end === "done") expectWhole(path, OLD, NEW);
  else expectTruth(witness, path, OLD, NEW);
  expect(["done", "remote_changed"]).toContain(end);
});

test("what the validator belonged to is told, once per version", async () => {
  const { witness } = await attempt(it, { url: origin.url("/m") });
  expect(witness.identities).toEqual([
    {
      size: SIZE,
      ranges: true,
      validator: { etag: '"old"', lastModified: null, size: SIZE, origin: origin.base },
    },
  ]);
});

test("F77 with no promised digest nothing is hashed, and nothing is called verified", async () => {
  const { result, witness } = await attempt(it, { url: origin.url("/m") });
  expect(result).toEqual({ size: SIZE, digest: null, verified: false });
  expect(witness.events).toEqual(["identified"]);
});

test("F55 a Git LFS pointer instead of the file", async () => {
  const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${"0".repeat(64)}\nsize 123456789\n`;
  origin.put({ path: "/p.safetensors", content: literal(pointer) });
  const at = { url: origin.url("/p.safetensors"), label: "p.safetensors" };
  expect(await attempt(it, at)).toMatchObject({ end: "lfs_pointer", error: { verdict: "final" } });
  expect(await attempt(it, { ...at, size: 123_456_789 })).toMatchObject({ end: "lfs_pointer" });
  expect(await attempt(it, { ...at, size: pointer.length })).toMatchObject({ end: "lfs_pointer" });
  expect(await attempt(it, { ...at, digest: sha256Of(1, 5) })).toMatchObject({ end: "lfs_pointer" });
  const promised = { ...at, size: pointer.length, digest: sha256(literal(pointer)) };
  expect(await attempt(it, promised)).toMatchObject({ end: "done", result: { verified: true } });
});
