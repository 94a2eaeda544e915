import { quantile } from "../../bench/measure.ts";
import { type Daemon, startDaemon } from "../../support/daemon.ts";
import { startOrigin } from "../../support/origin.ts";
import { tempDir } from "../../support/temp.ts";
import { until } from "../../support/until.ts";
import { startCrowd } from "../crowd/index.ts";
import { descriptors, Peak, residentMib, timesOf } from "../gauge.ts";
import { AT_ONCE, claimTimes, fill, inLanes, listTimes } from "../queued.ts";
import type { Figure, Rig, RigOptions } from "../rig.ts";

const SIZES = {
  long: { queued: 100_000, asked: 500, claims: 100, equal: 1_000, churn: 20_000 },
  short: { queued: 1_000, asked: 50, claims: 10, equal: 200, churn: 300 },
};
type Size = (typeof SIZES)["long"];

const EQUAL_BYTES = 4 << 20;
/** On a slow machine the queue is as long as it has become by then. */
const FILL_MS = 4 * 60_000;
/** Of each transport. */
const READERS = 20;

/** G25; F224, F153. */
export const queue: Rig = {
  name: "queue",
  title:
    "A hundred thousand queued downloads: the start, adding one more, a page of the list and the next claim take no longer for it; equal requests are one transfer.",
  async run(options) {
    const size = options.isLong ? SIZES.long : SIZES.short;
    return [
      ...(await filled(options, size)),
      ...(await equal(options, size)),
      ...(await churned(options, size)),
    ];
  },
};

async function filled({ isLong, say }: RigOptions, size: Size): Promise<Figure[]> {
  using dir = tempDir("rig-queue");
  // It takes the connection and says nothing: what is claimed stays as it is.
  await using origin = await startOrigin({ resources: [{ path: "/waits.bin", seed: 1, size: 1 << 20 }] });
  origin.on({}, { kind: "stall", at: "start" });
  await using daemon = await startDaemon({ dir: dir.path, args: ["--max-concurrent", "1"] });
  await daemon.must("PATCH", "/v1/settings", { paused: true });
  const { added, perSecond } = await fill(daemon, origin.url("/waits.bin"), size.queued, FILL_MS);
  say(`${added} queued`);
  const add = (index: number) => daemon.begin({ url: `${origin.url("/waits.bin")}?more=${index}` });
  const adds = await timesOf(size.asked, add);
  await daemon.kill();
  const { startMs, firstMs } = await timeStart(daemon);
  const memory = residentMib(daemon.pid);
  const lists = await listTimes(daemon, size.asked);
  const read = await readByMany(daemon);
  const claims = await claimTimes(daemon, size.claims);
  const limits = (limit: number, bound: { atMost: number }): Partial<Figure> =>
    isLong || limit > 1000 ? bound : {};
  return [
    { what: "queued downloads", value: added + size.asked, atLeast: size.queued + size.asked },
    { what: `added a second, ${AT_ONCE} requests at once`, value: perSecond },
    { what: "adding one more, p50", value: quantile(adds, 0.5), unit: "ms" },
    { what: "adding one more, p99", value: quantile(adds, 0.99), unit: "ms", ...limits(0, { atMost: 10 }) },
    { what: "start after kill -9, until it listens", value: startMs, unit: "ms", atMost: 3_000 },
    { what: "until the first page of the list", value: firstMs, unit: "ms" },
    { what: "memory after that", value: memory, unit: "MiB", atMost: 300 },
    ...lists.map(({ what, times }) => {
      const bound = limits(0, { atMost: 20 });
      return { what: `${what}, p99`, value: quantile(times, 0.99), unit: "ms", ...bound };
    }),
    ...read,
    { what: "claims watched", value: claims.length, atLeast: size.claims },
    { what: "from the end of one to the claim of the next, p50", value: quantile(claims, 0.5), unit: "ms" },
    { what: "from the end of one to the claim of the next, p99", value: quantile(claims, 0.99), unit: "ms" },
    { what: "memory at the end", value: residentMib(daemon.pid), unit: "MiB" },
  ];
}

/** F211: a snapshot of the whole queue, for many at once, is there once and goes out in parts. */
async function readByMany(daemon: Daemon): Promise<Figure[]> {
  await using crowd = await startCrowd(Number(new URL(daemon.base).port));
  const before = residentMib(daemon.pid);
  using peak = new Peak(() => residentMib(daemon.pid), 20);
  let isReading = true;
  const opening = Promise.all([
    crowd.ask("open", "streams", "sse", READERS),
    crowd.ask("open", "sockets", "ws", READERS),
  ]).finally(() => {
    isReading = false;
  });
  const answers: number[] = [];
  const begun = performance.now();
  while (isReading) answers.push(...(await timesOf(1, () => daemon.must("GET", "/v1/downloads?limit=1"))));
  await opening;
  const seconds = (performance.now() - begun) / 1000;
  return [
    { what: "event streams and WebSockets opened at once, a snapshot of all for each", value: 2 * READERS },
    { what: "until all had read it", value: seconds, unit: "s" },
    { what: "memory more for all of them, at most", value: peak.most - before, unit: "MiB", atMost: 700 },
    { what: "a page of the list meanwhile, slowest", value: Math.max(...answers), unit: "ms" },
  ];
}

async function timeStart(daemon: Daemon): Promise<{ startMs: number; firstMs: number }> {
  const begun = performance.now();
  await daemon.start();
  const startMs = performance.now() - begun;
  await daemon.must("GET", "/v1/downloads?limit=100");
  return { startMs, firstMs: performance.now() - begun };
}

/** F153: the same request many times at once is one download and one transfer. */
async function equal({ seed }: RigOptions, size: Size): Promise<Figure[]> {
  using dir = tempDir("rig-queue");
  const resources = [{ path: "/wanted.bin", seed, size: EQUAL_BYTES }];
  await using origin = await startOrigin({ resources, ratePerConnection: 2 * EQUAL_BYTES });
  await using daemon = await startDaemon({ dir: dir.path });
  const posts = Array.from({ length: size.equal }, () => daemon.begin({ url: origin.url("/wanted.bin") }));
  const ids = new Set((await Promise.all(posts)).map(({ id }) => id));
  const [id = ""] = ids;
  await daemon.until(id, "completed");
  const { active_downloads: all } = await daemon.must("GET", "/v1/downloads?state=all");
  await until(() => origin.stats.active === 0, "the origin to be left alone");
  return [
    { what: "equal requests at once", value: size.equal, atLeast: size.equal },
    { what: "downloads of them", value: Math.max(all.length, ids.size), atLeast: 1, atMost: 1 },
    {
      what: "bytes fetched of each byte of the file",
      value: origin.sent("/wanted.bin") / EQUAL_BYTES,
      atLeast: 1,
      atMost: 1.05,
    },
  ];
}

/** F226: added and cancelled at once, again and again. */
async function churned({ isLong }: RigOptions, { churn }: Size): Promise<Figure[]> {
  using dir = tempDir("rig-queue");
  await using origin = await startOrigin({ resources: [{ path: "/m.bin", seed: 1, size: 8 << 20 }] });
  origin.on({}, { kind: "rate", bytesPerSecond: 64 << 10 });
  await using daemon = await startDaemon({ dir: dir.path, args: ["--max-concurrent", "8"] });
  const round = async (name: string, count: number): Promise<void> => {
    await inLanes(count, async (index) => {
      const { id } = await daemon.begin({ url: `${origin.url("/m.bin")}?${name}-${index}` });
      await daemon.must("POST", `/v1/downloads/${id}/cancel`);
    });
    await daemon.must("DELETE", "/v1/history");
  };
  // As many as it takes until the heap has found its size.
  await round("warm", Math.ceil(churn / 2));
  const [memory, open] = [residentMib(daemon.pid), descriptors(daemon.pid)];
  const begun = performance.now();
  await round("count", churn);
  const perMinute = churn / ((performance.now() - begun) / 60_000);
  await until(() => descriptors(daemon.pid) <= open + 5, "the descriptors to be given back").catch(() => {});
  return [
    { what: "downloads added and cancelled", value: churn, atLeast: churn },
    { what: "of these a minute", value: perMinute, ...(isLong ? { atLeast: 10_000 } : {}) },
    { what: "descriptors more than before", value: descriptors(daemon.pid) - open, atMost: 5 },
    {
      what: "memory more than before",
      value: residentMib(daemon.pid) - memory,
      unit: "MiB",
      // The short form has hardly warmed up.
      atMost: isLong ? 32 : 64,
    },
  ];
}
