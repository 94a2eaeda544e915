import { type Crowd, startCrowd } from "../../rig/crowd/index.ts";
import type { Transport } from "../../rig/crowd/reader.ts";
import { cpuSeconds } from "../../rig/gauge.ts";
import { allTold, markedDownload, sendMarks } from "../../rig/marks.ts";
import { startDaemon } from "../../support/daemon.ts";
import { type Contender, compete, medianOf, residentSet, type Sample } from "../measure.ts";
import type { Goal, Outcome, Row } from "../row.ts";

const WATCHERS = 1_000;
const MARKS = 200;
const MARK_MS = 25;
const READERS = 5_000;
const EVENTS = 60;
const EVENT_MS = 250;
const KIB = 1024;

/** Rows 12 and 13: what a reader costs, and how late it is told. */
export const readers: Row = {
  titles: {
    12: `from a request to its event at ${WATCHERS} readers`,
    13: `${READERS} readers, ${1000 / EVENT_MS} events a second`,
  },
  async run(bench, wanted) {
    const outcomes = new Map<number, Outcome>();
    if (wanted.has(12)) {
      const contenders: Contender[] = [{ name: "modelhaul", run: delayed }];
      const results = await compete(contenders, bench.runs, bench.dir, bench.say);
      const p99 = medianOf(results, "modelhaul", (s) => s.more?.["p99 ms"]);
      outcomes.set(12, { results, goals: [{ text: "99th percentile", value: p99, unit: "ms", atMost: 50 }] });
    }
    if (wanted.has(13)) {
      const contenders = TRANSPORTS.map((transport) => ({
        name: NAMES[transport],
        run: (out: string) => crowded(out, transport),
      }));
      const results = await compete(contenders, bench.runs, bench.dir, bench.say);
      const of = (name: string, what: string) => medianOf(results, name, (s) => s.more?.[what]);
      outcomes.set(13, { results, goals: TRANSPORTS.flatMap((transport) => goalsOf(NAMES[transport], of)) });
    }
    return outcomes;
  },
};

const TRANSPORTS = ["sse", "ws"] as const;
const NAMES: Record<Transport, string> = { sse: "event streams", ws: "WebSockets" };

const goalsOf = (name: string, of: (name: string, what: string) => number): Goal[] => [
  { text: `${name}: events that reached their reader`, value: of(name, "% told"), unit: "%", atLeast: 100 },
  { text: `${name}: memory of one`, value: of(name, "KiB each"), unit: "KiB", atMost: 50 },
  { text: `${name}: processor`, value: of(name, "% of a core"), unit: "% of a core", atMost: 100 },
];

/** Marks are requests whose event every reader recognizes; half of them read streams, half WebSockets. */
async function delayed(out: string): Promise<Sample> {
  await using daemon = await startDaemon({ dir: out });
  const id = await markedDownload(daemon);
  await using crowd = await startCrowd(Number(new URL(daemon.base).port));
  for (const transport of TRANSPORTS) await crowd.ask("open", "all", transport, WATCHERS / 2);
  const begun = performance.now();
  const sent = await sendMarks(daemon, id, MARKS, MARK_MS);
  await allTold(daemon, crowd, "all");
  const seconds = (performance.now() - begun) / 1000;
  const { count, p50, p99, most } = await crowd.ask("delays", sent);
  if (count !== WATCHERS * MARKS) throw new Error(`${count} of ${WATCHERS * MARKS} events were seen`);
  return { seconds, more: { "p50 ms": p50, "p99 ms": p99, "max ms": most } };
}

async function crowded(out: string, transport: Transport): Promise<Sample> {
  await using daemon = await startDaemon({ dir: out });
  const id = await markedDownload(daemon);
  await using crowd = await startCrowd(Number(new URL(daemon.base).port));
  // What the first reader of all brings into memory is not the readers'.
  await crowd.ask("open", "first", transport, 20);
  const before = residentSet(daemon.pid);
  await crowd.ask("open", "all", transport, READERS);
  const each = (residentSet(daemon.pid) - before) / KIB / READERS;
  const cpu = cpuSeconds(daemon.pid);
  const begun = performance.now();
  const told = await tellAll(crowd, () => sendMarks(daemon, id, EVENTS, EVENT_MS));
  await allTold(daemon, crowd, "all");
  const seconds = (performance.now() - begun) / 1000;
  const used = cpuSeconds(daemon.pid) - cpu;
  const { count, p99 } = await crowd.ask("delays", told);
  const share = (count / ((READERS + 20) * EVENTS)) * 100;
  const more = { "% told": share, "KiB each": each, "% of a core": (used / seconds) * 100, "p99 ms": p99 };
  return { seconds, cpuSeconds: used, more };
}

async function tellAll<T>(crowd: Crowd, send: () => Promise<T>): Promise<T> {
  await crowd.ask("begin", "all");
  return send();
}
