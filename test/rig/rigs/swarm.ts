import { quantile } from "../../bench/measure.ts";
import { freePort } from "../../bench/servers.ts";
import { type Daemon, startDaemon } from "../../support/daemon.ts";
import { libc } from "../../support/origin/libc.ts";
import { startOriginProcess } from "../../support/origin/process.ts";
import { tempDir } from "../../support/temp.ts";
import { until } from "../../support/until.ts";
import { type Crowd, startCrowd } from "../crowd/index.ts";
import { cpuSeconds, descriptors, mostDescriptors, newestSeq, Peak, residentMib, timesOf } from "../gauge.ts";
import { allTold, markedDownload } from "../marks.ts";
import type { Figure, Rig, RigOptions } from "../rig.ts";
import { slowHeads } from "../slow-heads.ts";

/** Of each transport. */
const SIZES = {
  long: { idle: 5_000, watchers: 500, downloads: 240, everyMs: 250, quietMs: 20_000 },
  short: { idle: 150, watchers: 40, downloads: 30, everyMs: 100, quietMs: 0 },
};
type Size = (typeof SIZES)["long"];

const IDLE_MIB = 200;
const STORM_MIB = 128;
/** What the memory of a garbage collected process differs by, whatever is asked of it. */
const NOISE_MIB = 32;
const BYTES = 192 << 10;
const SLOW = 2_000;
const TRANSPORTS = ["sse", "ws"] as const;
/** Descriptors that come and go with requests and downloads. */
const SPARE = 32;

/** G22, G23, G24; F211 to F218. */
export const swarm: Rig = {
  name: "swarm",
  title:
    "Thousands of idle readers cost little; a stalled one is cut and costs the others nothing; after a restart all come back and know what is so.",
  hindrance() {
    const needed = 2 * SIZES.long.idle + 500;
    if (libc() === undefined) return "it needs Linux with glibc";
    return mostDescriptors() < needed ? `it needs ${needed} descriptors; raise ulimit -n` : undefined;
  },
  async run(options) {
    const size = options.isLong ? SIZES.long : SIZES.short;
    const rude = options.isLong ? await slow(options) : [];
    return [...(await idle(options, size)), ...(await storm(options, size)), ...rude];
  },
};

/** F227, G27: two thousand begin a request and never finish its head. */
async function slow({ say }: RigOptions): Promise<Figure[]> {
  using dir = tempDir("rig-swarm");
  await using daemon = await startDaemon({ dir: dir.path });
  const heads = await slowHeads(Number(new URL(daemon.base).port), SLOW);
  const answers = await timesOf(500, () => daemon.must("GET", "/v1/downloads"));
  const late = Bun.sleep(60_000).then(() => 60_000);
  const ended = await Promise.race([heads.ended, late]);
  heads.close();
  say(`${SLOW} slow heads closed after ${(ended / 1000).toFixed(1)} s`);
  return [
    { what: "connections with a head that does not end", value: SLOW, atLeast: SLOW },
    { what: "until the server has closed them all", value: ended / 1000, unit: "s", atMost: 15 },
    { what: "GET /v1/downloads meanwhile, p99", value: quantile(answers, 0.99), unit: "ms", atMost: 100 },
  ];
}

/** Readers that have nothing to read but signs of life; then the server is killed, and they come back. */
async function idle({ isLong, say }: RigOptions, size: Size): Promise<Figure[]> {
  using dir = tempDir("rig-swarm");
  await using daemon = await startDaemon({ dir: dir.path, port: await freePort() });
  const port = Number(new URL(daemon.base).port);
  const marked = await markedDownload(daemon);
  await using crowd = await startCrowd(port);
  // What the first readers of all bring into memory is not theirs.
  for (const transport of TRANSPORTS) await crowd.ask("open", "first", transport, 20);
  await crowd.ask("close", "first");
  const before = residentMib(daemon.pid);
  await crowd.ask("open", "all", "sse", size.idle);
  const withStreams = residentMib(daemon.pid);
  await crowd.ask("open", "all", "ws", size.idle);
  const after = residentMib(daemon.pid);
  say(`${2 * size.idle} idle readers: ${(after - before).toFixed(0)} MiB`);
  const cost = isLong ? await quiet(daemon, crowd, size) : [];
  const share = size.idle / SIZES.long.idle;
  return [
    { what: "idle event streams", value: size.idle, atLeast: size.idle },
    { what: "idle WebSockets", value: size.idle, atLeast: size.idle },
    { what: "server memory for the streams", value: withStreams - before, unit: "MiB" },
    {
      what: "server memory for both",
      value: after - before,
      unit: "MiB",
      atMost: isLong ? IDLE_MIB : Math.ceil(IDLE_MIB * share) + NOISE_MIB,
    },
    ...cost,
    ...(await comeBack(daemon, crowd, { id: marked, readers: 2 * size.idle, isLong, say })),
  ];
}

async function quiet(daemon: Daemon, crowd: Crowd, { quietMs, idle: half }: Size): Promise<Figure[]> {
  await crowd.ask("begin", "all");
  const cpu = cpuSeconds(daemon.pid);
  const begun = performance.now();
  await Bun.sleep(quietMs);
  const seconds = (performance.now() - begun) / 1000;
  const used = (cpuSeconds(daemon.pid) - cpu) / seconds;
  const { heartbeats, fewestHeartbeats } = await crowd.ask("tell", "all");
  const answers = await timesOf(200, () => daemon.must("GET", "/v1/downloads"));
  return [
    { what: "server CPU while all are idle, heartbeats included", value: used * 100, unit: "% of a core" },
    { what: "signs of life", value: heartbeats, atLeast: 2 * half * Math.floor(seconds / 5 - 1) },
    {
      what: "fewest signs of life of one reader",
      value: fewestHeartbeats,
      atLeast: Math.floor(seconds / 5 - 1),
    },
    { what: "GET /v1/downloads meanwhile, p99", value: quantile(answers, 0.99), unit: "ms" },
  ];
}

interface Return {
  id: string;
  readers: number;
  isLong: boolean;
  say(line: string): void;
}

/** kill -9 and a new start; every reader comes back by itself and gets the next event. */
async function comeBack(
  daemon: Daemon,
  crowd: Crowd,
  { id, readers, isLong, say }: Return,
): Promise<Figure[]> {
  await crowd.ask("returning", "all", true);
  await daemon.kill();
  await daemon.start();
  const begun = performance.now();
  const answers: number[] = [];
  const isBack = async (): Promise<boolean> => {
    answers.push(...(await timesOf(5, () => daemon.must("GET", "/v1/downloads"))));
    return (await crowd.ask("tell", "all")).open === readers;
  };
  await until(isBack, "all readers to come back", { timeoutMs: 60_000 });
  const seconds = (performance.now() - begun) / 1000;
  await daemon.must("PATCH", `/v1/downloads/${id}`, { priority: 1 });
  await allTold(daemon, crowd, "all");
  const { trouble, reconnects } = await crowd.ask("tell", "all");
  say(`${readers} readers back ${seconds.toFixed(1)} s after the start`);
  return [
    { what: "readers back after a kill -9, each with the next event", value: reconnects, atLeast: readers },
    { what: "until all were back", value: seconds, unit: "s", ...(isLong ? { atMost: 10 } : {}) },
    {
      what: "GET /v1/downloads meanwhile, p99",
      value: quantile(answers, 0.99),
      unit: "ms",
      ...(isLong ? { atMost: 250 } : {}),
    },
    {
      what: "readers with events out of order",
      value: trouble === "" ? 0 : 1,
      atMost: 0,
      ...(trouble === "" ? {} : { note: trouble }),
    },
  ];
}

/** Many small downloads while half of the readers take nothing. */
async function storm(options: RigOptions, size: Size): Promise<Figure[]> {
  using dir = tempDir("rig-swarm");
  const resources = [{ path: "/small.bin", seed: options.seed, size: BYTES }];
  await using origin = await startOriginProcess({ resources, ratePerConnection: BYTES / 2 });
  const args = ["--max-concurrent", "20", "--connections", "1", "--linger", "600s"];
  await using daemon = await startDaemon({ dir: dir.path, args });
  await using crowd = await startCrowd(Number(new URL(daemon.base).port));
  const marked = await markedDownload(daemon);
  for (const transport of TRANSPORTS) await crowd.ask("open", "healthy", transport, size.watchers);
  const open = descriptors(daemon.pid);
  for (const transport of TRANSPORTS) await crowd.ask("stall", "stalled", transport, size.watchers);
  await crowd.ask("begin", "healthy");
  const first = await newestSeq(daemon);
  const before = residentMib(daemon.pid);
  using peak = new Peak(() => residentMib(daemon.pid));
  const begun = performance.now();
  const sent = await bustle(daemon, origin.url("/small.bin"), marked, size);
  const seconds = (performance.now() - begun) / 1000;
  const last = await newestSeq(daemon);
  await crowd.ask("reached", "healthy", last, 30_000);
  const truth = await states(daemon);
  const { cut, left } = await cutOff(daemon, 2 * size.watchers, open, options.isLong);
  options.say(`${size.downloads} downloads in ${seconds.toFixed(0)} s; ${cut} stalled readers cut`);
  const healthy = await verdictOnHealthy(crowd, truth, size, sent);
  await crowd.ask("wake", "stalled");
  await crowd.ask("reached", "stalled", last, 30_000);
  const caughtUp = await crowd.ask("differing", "stalled", truth);
  return [
    { what: "healthy and as many stalled readers", value: 2 * size.watchers, atLeast: 2 * size.watchers },
    { what: "downloads that moved", value: size.downloads, atLeast: size.downloads },
    { what: "numbers given to events and rows a second", value: (last - first) / seconds },
    ...healthy,
    {
      what: "server memory, most of it",
      value: peak.most - before,
      unit: "MiB",
      atMost: options.isLong ? STORM_MIB : STORM_MIB / 2,
    },
    // The short form sends less than the buffers of the kernel hold.
    {
      what: "stalled readers cut",
      value: cut,
      ...(options.isLong ? { atLeast: 2 * size.watchers } : {}),
    },
    {
      what: "descriptors more than before the stalled ones came",
      value: left,
      ...(options.isLong ? { atMost: SPARE } : {}),
    },
    differing("stalled readers that know less after one reconnect", caughtUp),
  ];
}

/** Downloads one after the other, with marks in between; when each mark was sent, epoch milliseconds. */
async function bustle(
  daemon: Daemon,
  url: string,
  marked: string,
  { downloads, everyMs }: Size,
): Promise<Record<number, number>> {
  const sent: Record<number, number> = {};
  for (let i = 1; i <= downloads; i++) {
    await daemon.begin({ url: `${url}?${i}`, model_id: `small-${i}` });
    sent[i] = performance.timeOrigin + performance.now();
    await daemon.must("PATCH", `/v1/downloads/${marked}`, { priority: i });
    await Bun.sleep(everyMs);
  }
  const isDone = async (): Promise<boolean> => {
    const { active_downloads: all } = await daemon.must("GET", "/v1/downloads?state=completed&limit=1000");
    return all.length === downloads;
  };
  await until(isDone, "all downloads to complete", { timeoutMs: 120_000, everyMs: 200 });
  return sent;
}

async function states(daemon: Daemon): Promise<Record<string, string>> {
  const { active_downloads: all } = await daemon.must("GET", "/v1/downloads?state=all&limit=1000");
  return Object.fromEntries(all.map(({ id, state }: { id: string; state: string }) => [id, state]));
}

/**
 * Stalled readers that were cut, and descriptors they still hold; once there are none, or none goes any more. Asked of
 * the server, for the end of a connection waits behind what its reader does not take.
 */
async function cutOff(
  daemon: Daemon,
  healthy: number,
  before: number,
  isLong: boolean,
): Promise<{ cut: number; left: number }> {
  const look = async () => {
    const live = Number(/^modelhaul_live_connections (\d+)/m.exec(await metricsOf(daemon))?.[1]);
    return { cut: 2 * healthy - live, left: descriptors(daemon.pid) - before };
  };
  const isOver = async () => {
    const { cut, left } = await look();
    return cut >= healthy && left <= SPARE;
  };
  if (isLong)
    await until(isOver, "all stalled readers to be cut", { timeoutMs: 45_000, everyMs: 250 }).catch(() => {});
  return look();
}

const metricsOf = async ({ base }: Daemon): Promise<string> => (await fetch(`${base}/metrics`)).text();

async function verdictOnHealthy(
  crowd: Crowd,
  truth: Record<string, string>,
  size: Size,
  sent: Record<number, number>,
): Promise<Figure[]> {
  const { frames, changes, odd, gaps, trouble } = await crowd.ask("tell", "healthy");
  const delays = await crowd.ask("delays", sent);
  const readers = 2 * size.watchers;
  return [
    { what: "events read by healthy readers", value: frames },
    // Each download is at least queued or downloading, and completed.
    { what: "changes of state they were told", value: changes, atLeast: readers * 2 * size.downloads },
    {
      what: "healthy readers that missed a change of state",
      value: odd + gaps,
      atMost: 0,
      note: trouble || undefined,
    },
    differing(
      "healthy readers that know something else than the server",
      await crowd.ask("differing", "healthy", truth),
    ),
    { what: "marks seen", value: delays.count, atLeast: readers * size.downloads },
    { what: "from a request to the event at a reader, p50", value: delays.p50, unit: "ms" },
    {
      what: "from a request to the event at a reader, p99",
      value: delays.p99,
      unit: "ms",
      ...(size === SIZES.long ? { atMost: 500 } : {}),
    },
  ].map(withoutEmpty);
}

const differing = (what: string, found: readonly string[]): Figure => ({
  what,
  value: found.length,
  atMost: 0,
  ...(found.length > 0 ? { note: found[0]! } : {}),
});

/** A note that there is not, left out. */
function withoutEmpty({ note, ...figure }: Omit<Figure, "note"> & { note?: string | undefined }): Figure {
  return note === undefined ? figure : { ...figure, note };
}
