import { rmSync } from "node:fs";
import { median, quantile } from "../../bench/measure.ts";
import { type Daemon, startDaemon } from "../../support/daemon.ts";
import { startOriginProcess } from "../../support/origin/process.ts";
import { oneOf, randomOf } from "../../support/random.ts";
import { tempDir } from "../../support/temp.ts";
import { type Crowd, startCrowd } from "../crowd/index.ts";
import { Connection } from "../fuzz/connection.ts";
import { grammarRequest, type OpenApiDocument, type Operation, operationsOf } from "../fuzz/grammar.ts";
import { rawRequest } from "../fuzz/raw.ts";
import type { FuzzRequest } from "../fuzz/request.ts";
import { timesOf } from "../gauge.ts";
import type { Rig } from "../rig.ts";

const MIB = 1 << 20;
const SIZES = {
  long: { bytes: 2048 * MIB, rounds: 5, readers: 500 },
  short: { bytes: 64 * MIB, rounds: 1, readers: 50 },
};
/** Requests a second beside the download, every other one made by the fuzzer. */
const REQUESTS_PER_SECOND = 100;
/** An answer to bytes that are no request may not come. */
const PATIENCE_MS = 5_000;
const KEPT_PERCENT = 80;

/** G26: what a download loses when many watch it and others ask for things. */
export const kept: Rig = {
  name: "kept",
  title: `One loopback download beside a thousand readers and ${REQUESTS_PER_SECOND} requests a second, half of them made by the fuzzer, keeps its speed.`,
  async run({ seed, isLong, say }) {
    const { bytes, rounds, readers } = isLong ? SIZES.long : SIZES.short;
    using dir = tempDir("rig-kept");
    await using origin = await startOriginProcess({ resources: [{ path: "/big.bin", seed, size: bytes }] });
    await using daemon = await startDaemon({ dir: dir.path, args: ["--linger", "0"] });
    await using crowd = await startCrowd(Number(new URL(daemon.base).port));
    const speeds = { idle: [] as number[], watched: [] as number[] };
    const asked: Asked = { count: 0, made: 0, errors: 0, times: [] };
    const operations = readingOperations((await daemon.must("GET", "/openapi.json")) as OpenApiDocument);
    let frames = 0;
    const fetched = async (round: string): Promise<number> => {
      const seconds = await fetchOnce(daemon, `${origin.url("/big.bin")}?${round}`);
      return bytes / MIB / seconds;
    };
    await fetched("warm");
    for (let round = 1; round <= rounds; round++) {
      speeds.idle.push(await fetched(`idle-${round}`));
      await gather(crowd, readers);
      const asking = ask(daemon, operations, randomOf(seed + round), asked);
      speeds.watched.push(await fetched(`watched-${round}`));
      await asking.stop();
      frames += (await crowd.ask("tell", "all")).frames;
      await crowd.ask("close", "all");
      say(`round ${round}: ${speeds.idle.at(-1)!.toFixed(0)} and ${speeds.watched.at(-1)!.toFixed(0)} MiB/s`);
    }
    const hashing = await whileHashing(daemon, `${origin.url("/big.bin")}?hashed`);
    const percent = (median(speeds.watched) / median(speeds.idle)) * 100;
    return [
      { what: "readers", value: 2 * readers, atLeast: 2 * readers },
      { what: "events they read", value: frames, atLeast: 2 * readers * rounds },
      { what: "requests meanwhile", value: asked.count, atLeast: rounds },
      { what: "of them made by the fuzzer", value: asked.made, atLeast: rounds },
      { what: "requests answered with 5xx, or not", value: asked.errors, atMost: 0 },
      { what: "answers meanwhile, p99", value: quantile(asked.times, 0.99), unit: "ms" },
      { what: "speed alone, median", value: median(speeds.idle), unit: "MiB/s" },
      { what: "speed beside them, median", value: median(speeds.watched), unit: "MiB/s" },
      { what: "kept of the speed", value: percent, unit: "%", ...(isLong ? { atLeast: KEPT_PERCENT } : {}) },
      {
        what: "GET /health while the file is hashed, asked",
        value: hashing.length,
        atLeast: isLong ? 100 : 1,
      },
      {
        what: "GET /health while the file is hashed, p99",
        value: quantile(hashing, 0.99),
        unit: "ms",
        ...(isLong ? { atMost: 50 } : {}),
      },
    ];
  },
};

/** Seconds until the file is there; then it is removed. */
async function fetchOnce(daemon: Daemon, url: string): Promise<number> {
  const begun = performance.now();
  const { id } = await daemon.begin({ url });
  const { local_path } = await daemon.until(id, "completed", 300_000);
  const seconds = (performance.now() - begun) / 1000;
  rmSync(local_path!);
  return seconds;
}

/** F230: milliseconds of answers while a whole file is verified. */
async function whileHashing(daemon: Daemon, url: string): Promise<number[]> {
  const { id } = await daemon.begin({ url });
  await daemon.until(id, "completed", 300_000);
  const { files } = await daemon.must("GET", "/v1/files");
  const times: number[] = [];
  let isOver = false;
  const verified = daemon.must("POST", `/v1/files/${files.at(-1).id}/verify`).finally(() => {
    isOver = true;
  });
  while (!isOver) {
    times.push(...(await timesOf(1, () => daemon.must("GET", "/health"))));
    await Bun.sleep(2);
  }
  await verified;
  return times;
}

async function gather(crowd: Crowd, readers: number): Promise<void> {
  await crowd.ask("open", "all", "sse", readers);
  await crowd.ask("open", "all", "ws", readers);
  await crowd.ask("begin", "all");
}

interface Asked {
  count: number;
  /** By the fuzzer. */
  made: number;
  errors: number;
  times: number[];
}

/** What clients ask for, and what they should not. */
const REQUESTS: readonly [method: string, path: string, body?: unknown][] = [
  ["GET", "/v1/downloads"],
  ["GET", "/v1/downloads?state=all&limit=20"],
  ["GET", "/health"],
  ["GET", "/v1/settings"],
  ["GET", "/metrics"],
  ["GET", "/v1/downloads/..%2f..%2fetc"],
  ["POST", "/v1/downloads", { url: "file:///etc/hostname" }],
  ["POST", "/v1/downloads", { nonsense: "x".repeat(10_000) }],
  ["PATCH", "/v1/settings", { max_concurrent: -1 }],
  ["DELETE", "/v1/nothing"],
];

/** Those of the fuzzer that read: the download that is measured is not paused by chance, nor its speed limited. */
function readingOperations(document: OpenApiDocument): Operation[] {
  const starts = /^\/(api|local)\//;
  return operationsOf(document).filter(({ method, path }) => method === "GET" && !starts.test(path));
}

/** Asks at a steady rate until it is stopped. */
function ask(
  daemon: Daemon,
  operations: readonly Operation[],
  next: () => number,
  asked: Asked,
): { stop(): Promise<void> } {
  const port = Number(new URL(daemon.base).port);
  const under = new Set<Promise<void>>();
  const plain = async (): Promise<void> => {
    const [method, path, body] = oneOf(next, REQUESTS);
    const begun = performance.now();
    const status = await daemon.api(method, path, body).then(
      (answer) => answer.status,
      () => 599,
    );
    asked.times.push(performance.now() - begun);
    if (status >= 500) asked.errors++;
  };
  const made = async (): Promise<void> => {
    asked.made++;
    const request = next() < 0.75 ? grammarRequest(operations, next) : rawRequest(next);
    const status = await statusOf(port, request);
    // The parser says 505 to a version it does not know.
    if (status >= 500 && status !== 505) asked.errors++;
  };
  const once = async (): Promise<void> => {
    await (asked.count++ % 2 === 0 ? plain() : made());
  };
  const timer = setInterval(() => {
    const one = once().finally(() => under.delete(one));
    under.add(one);
  }, 1000 / REQUESTS_PER_SECOND);
  return {
    async stop() {
      clearInterval(timer);
      await Promise.all(under);
    },
  };
}

/** Of the answer on a connection of its own; 0 when bytes that need none have none, 599 when one was due. */
async function statusOf(port: number, { bytes, isHead, isWhole }: FuzzRequest): Promise<number> {
  const connection = new Connection(port);
  try {
    await connection.open();
    connection.send(bytes, isHead);
    const outcome = await connection.next(isWhole ? PATIENCE_MS : 100);
    if (typeof outcome !== "string") return outcome.status;
    return isWhole ? 599 : 0;
  } finally {
    connection.close();
  }
}
