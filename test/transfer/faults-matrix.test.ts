/**
 * FAULTS G4: every fault on every path. Each cell ends in the right bytes or in a typed error, and what its receipts
 * vouch for is true; no cell ends in a wrong file.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Validator } from "../../src/core/download.ts";
import { type Content, generated, sha256 } from "../support/bytes.ts";
import { type Fault, type Match, type Origin, startOrigin } from "../support/origin.ts";
import { attempt, expectTruth, expectWhole, MiB, type Rig, rig } from "./rig.ts";

const SIZE = 6 * MiB + 4321;
const OTHER = generated(99, SIZE);
const TRUE = generated(1, SIZE);
const DIGEST = sha256(TRUE);

interface Cell {
  name: string;
  match?: Match;
  faults: Fault[];
  /** How it may end; without a digest, with one. */
  ends: string[];
  verified: string[];
}

/** In the middle: what comes after the first request. */
const later: Match = { nth: { from: 2 } };
const once: Match = { nth: 2, times: 1 };

const CELLS: Cell[] = [
  {
    name: "F1 range ignored, always",
    faults: [{ kind: "ignore-range" }],
    ends: ["done"],
    verified: ["done"],
  },
  {
    name: "F1 range ignored later",
    match: later,
    faults: [{ kind: "ignore-range" }],
    ends: ["done"],
    verified: ["done"],
  },
  {
    name: "F1 range ignored once",
    match: once,
    faults: [{ kind: "ignore-range" }],
    ends: ["done"],
    verified: ["done"],
  },
  {
    name: "F3 wrong start, always",
    faults: [{ kind: "serve-range", startBy: 7 }],
    ends: ["bad_range"],
    verified: ["bad_range"],
  },
  {
    name: "F3 wrong start, once",
    match: once,
    faults: [{ kind: "serve-range", startBy: 7 }],
    ends: ["done"],
    verified: ["done"],
  },
  {
    name: "F3 a lie about the start",
    match: later,
    faults: [{ kind: "content-range", start: 0 }],
    ends: ["bad_range"],
    verified: ["bad_range"],
  },
  {
    name: "F4 shorter than asked",
    match: { nth: { every: 2 } },
    faults: [{ kind: "serve-range", endBy: -100_000 }],
    ends: ["done"],
    verified: ["done"],
  },
  {
    name: "F5 longer than asked",
    faults: [{ kind: "serve-range", endBy: 100_000 }],
    ends: ["done"],
    verified: ["done"],
  },
  {
    name: "F6 no Content-Range",
    match: later,
    faults: [{ kind: "content-range", raw: null }],
    ends: ["bad_range"],
    verified: ["bad_range"],
  },
  {
    name: "F7 another total",
    match: later,
    faults: [{ kind: "content-range", total: SIZE + 1 }],
    ends: ["remote_changed", "done"],
    verified: ["remote_changed"],
  },
  {
    name: "F8 total unknown",
    faults: [{ kind: "content-range", total: "*" }],
    ends: ["done"],
    verified: ["done"],
  },
  {
    name: "F9 multipart",
    match: { ranged: true },
    faults: [{ kind: "multipart" }],
    ends: ["bad_range"],
    verified: ["bad_range"],
  },
  {
    name: "F11 cut in the middle of every answer",
    faults: [{ kind: "cut", at: 700_000 }],
    ends: ["done"],
    verified: ["done"],
  },
  {
    name: "F12 surplus",
    faults: [{ kind: "surplus", bytes: 5000 }],
    ends: ["done", "network", "protocol"],
    verified: ["done", "network", "protocol"],
  },
  {
    name: "F13 chunked, no last chunk",
    match: once,
    faults: [{ kind: "chunked", last: "missing" }],
    ends: ["done"],
    verified: ["done"],
  },
  {
    name: "F14 chunked, no last line",
    faults: [{ kind: "chunked", last: "no-crlf" }],
    ends: ["done", "network"],
    verified: ["done", "network"],
  },
  { name: "F15 no length", faults: [{ kind: "close-delimited" }], ends: ["done"], verified: ["done"] },
  { name: "F16 chunked", faults: [{ kind: "chunked" }], ends: ["done"], verified: ["done"] },
  {
    name: "F17 length and chunked",
    faults: [{ kind: "chunked", contentLength: 17 }],
    ends: ["done", "protocol"],
    verified: ["done", "protocol"],
  },
  {
    name: "F18 negative length",
    match: later,
    faults: [{ kind: "content-length", values: ["-5"] }],
    ends: ["protocol", "network"],
    verified: ["protocol", "network"],
  },
  {
    name: "F18 two lengths",
    match: later,
    faults: [{ kind: "content-length", values: ["5", "6"] }],
    ends: ["protocol", "network"],
    verified: ["protocol", "network"],
  },
  { name: "F19 empty once", match: once, faults: [{ kind: "empty" }], ends: ["done"], verified: ["done"] },
  {
    name: "F24 changed in flight",
    match: later,
    faults: [
      { kind: "other-content", seed: 99 },
      { kind: "validators", etag: '"new"' },
    ],
    ends: ["done"],
    verified: ["checksum"],
  },
  { name: "F24 changes all the time", faults: [], ends: ["done", "remote_changed"], verified: ["done"] },
  {
    name: "F26 weak ETag",
    faults: [{ kind: "validators", etag: 'W/"x"' }],
    ends: ["done"],
    verified: ["done"],
  },
  {
    name: "F27 no validator",
    faults: [{ kind: "validators", etag: null }],
    ends: ["done"],
    verified: ["done"],
  },
  {
    name: "F30 gzip, always",
    faults: [{ kind: "gzip" }],
    ends: ["unexpected_content"],
    verified: ["unexpected_content"],
  },
  { name: "F30 gzip, once", match: once, faults: [{ kind: "gzip" }], ends: ["done"], verified: ["done"] },
  {
    name: "F44 500 once",
    match: once,
    faults: [{ kind: "respond", status: 500 }],
    ends: ["done"],
    verified: ["done"],
  },
  {
    name: "F44 502 always",
    match: later,
    faults: [{ kind: "respond", status: 502 }],
    ends: ["server_error"],
    verified: ["server_error"],
  },
  {
    name: "F48 451",
    match: later,
    faults: [{ kind: "respond", status: 451 }],
    ends: ["rejected"],
    verified: ["rejected"],
  },
  {
    name: "F52 304",
    match: later,
    faults: [{ kind: "respond", status: 304 }],
    ends: ["protocol"],
    verified: ["protocol"],
  },
  {
    name: "F53 204",
    match: later,
    faults: [{ kind: "respond", status: 204 }],
    ends: ["protocol"],
    verified: ["protocol"],
  },
  {
    name: "F53 many interim answers",
    faults: [{ kind: "interim", count: 20 }],
    ends: ["done"],
    verified: ["done"],
  },
  {
    name: "F54 a web page in between",
    match: later,
    faults: [
      { kind: "respond", status: 200, headers: { "Content-Type": "text/html" }, body: "<html>log in" },
    ],
    ends: ["unexpected_content"],
    verified: ["unexpected_content"],
  },
  {
    name: "F56 silent once",
    match: once,
    faults: [{ kind: "stall", at: 200_000 }],
    ends: ["done"],
    verified: ["done"],
  },
  {
    // A reset may take bytes with it that had arrived but were not read.
    name: "F60 reset in the middle of every answer",
    faults: [{ kind: "reset", at: 700_000 }],
    ends: ["done", "network"],
    verified: ["done", "network"],
  },
  {
    name: "F60 reset once",
    match: once,
    faults: [{ kind: "reset", at: 1000 }],
    ends: ["done"],
    verified: ["done"],
  },
  {
    name: "F62 reused connections are dead",
    match: { reused: true },
    faults: [{ kind: "cut", at: "start" }],
    ends: ["done"],
    verified: ["done"],
  },
  {
    name: "F68 garbage once",
    match: once,
    faults: [{ kind: "raw", text: "hello\r\n\r\n" }],
    ends: ["done"],
    verified: ["done"],
  },
  {
    name: "F68 garbage always",
    match: later,
    faults: [{ kind: "raw", text: "hello\r\n\r\n" }],
    ends: ["protocol", "network"],
    verified: ["protocol", "network"],
  },
  {
    name: "F69 endless",
    faults: [{ kind: "endless" }],
    ends: ["done", "checksum", "network", "bad_range", "remote_changed", "unexpected_content", "protocol"],
    verified: ["checksum", "network", "bad_range", "remote_changed", "unexpected_content", "protocol"],
  },
];

let origin: Origin;
let it: Rig;
beforeAll(async () => {
  origin = await startOrigin();
  it = rig({ stall: { silentMs: 400, siblingSilentMs: 150 } });
});
afterAll(async () => {
  await it[Symbol.asyncDispose]();
  await origin.stop();
});

function resource(path: string, cell: Cell) {
  const moving = cell.name === "F24 changes all the time";
  const replicas = Array.from({ length: 5 }, (_, i) => ({ etag: `"v${i}"` }));
  return { path, seed: 1, size: SIZE, ...(moving ? { replicas } : {}) };
}

/** Half of the file is there already, with a hole, and belongs to the version that is served. */
function half(path: string): {
  partial: Uint8Array;
  receipts: { start: number; length: number }[];
  validator: Validator;
} {
  const etag = `"${new Bun.CryptoHasher("md5").update(`${path} 1 ${SIZE}`).digest("hex")}"`;
  const receipts = [
    { start: 0, length: MiB },
    { start: 2 * MiB, length: MiB + 5 },
  ];
  return {
    partial: TRUE.read(0, 4 * MiB),
    receipts,
    validator: { etag, lastModified: null, size: SIZE, origin: origin.base },
  };
}

const served = (cell: Cell): Content[] =>
  cell.faults.some((fault) => fault.kind === "other-content") ? [TRUE, OTHER] : [TRUE];

describe.each(CELLS)("$name", (cell) => {
  test.each([
    ["fresh", 1],
    ["fresh", 8],
    ["resumed", 1],
    ["resumed", 8],
  ] as const)("%s, %d connections", async (state, connections) => {
    it.transfer.setConnections(connections);
    for (const digest of [null, DIGEST]) {
      const path = `/${state}-${connections}-${digest ? "d" : "n"}.bin`;
      origin.put(resource(path, cell));
      const rule = origin.on({ path, ...cell.match }, ...cell.faults);
      const known = { size: SIZE, digest };
      const outcome = await attempt(it, {
        url: origin.url(path),
        ...(state === "resumed" ? { ...half(path), ...known } : digest ? known : {}),
      });
      rule.release();
      rule.remove();
      expect(rule.hits).toBeGreaterThan(0);
      const allowed = digest ? cell.verified : cell.ends;
      expect(allowed, `${digest ? "with" : "without"} a digest: ${outcome.error?.message}`).toContain(
        outcome.end,
      );
      if (outcome.end === "done") {
        // An endless body is cut at the promised size, where only a digest tells what it was worth.
        if (cell.name !== "F69 endless") expectWhole(outcome.path, ...served(cell));
        expect(outcome.result).toMatchObject({ size: SIZE, verified: digest !== null });
      } else if (cell.name !== "F69 endless") expectTruth(outcome.witness, outcome.path, ...served(cell));
      expect(outcome.witness.bytes).toBeLessThanOrEqual(SIZE);
      expect(outcome.witness.connectionsNow).toBe(0);
    }
  });
});
