import { readFileSync } from "node:fs";
import { cleanEnv, Daemon, spawnExecutable } from "../../support/daemon.ts";
import { type OriginProcess, startOriginProcess } from "../../support/origin/process.ts";
import { between, randomOf } from "../../support/random.ts";
import { tempDir } from "../../support/temp.ts";
import { until } from "../../support/until.ts";
import { lengthOf, overlap, receiptsOf, type Span, servedBy } from "../acknowledged.ts";
import { Fleet, MOVING } from "../fleet.ts";
import { momentOf } from "../moments.ts";
import type { Figure, Rig } from "../rig.ts";

const CONNECTIONS = 4;
const RATE = 2_000_000;
const STOP_MS = 5_000;
/** For the second signal, in the long form: the short one runs on machines that are busy with something else. */
const AT_ONCE_MS = 1_000;
/** Of ten stops this many are hurried by a second signal. */
const HURRIED = 0.1;
const INTERRUPTED = 130;
/** Of ten starts this many are told to stop before they have come far. */
const EARLY = 0.3;
/** A start takes some 100 ms until it listens. */
const LATEST_EARLY_MS = 120;

/** F116, G12: ended in an orderly way, in every phase, again and again. */
export const stop: Rig = {
  name: "stop",
  title:
    "SIGTERM in every phase of the start and of four moving downloads: exit code 0 within 5 s, nothing that was acknowledged is lost or fetched again, a second signal ends it at once.",
  async run({ seed, isLong, rounds: stops = isLong ? 500 : 5, say }) {
    const next = randomOf(seed);
    using dir = tempDir("rig-stop");
    await using origin = await startOriginProcess({ ratePerConnection: RATE });
    const args = ["--connections", String(CONNECTIONS), "--max-concurrent", String(MOVING)];
    await using daemon = new Daemon({ dir: dir.path, args: [...args, "--log-level", "warning"] });
    const fleet = new Fleet({ daemon, origin, next });
    const waste = new Waste(origin, fleet);
    const seen = new Stops();
    for (let round = 1; round <= stops; round++) {
      if (next() < EARLY || round === 1) await seen.early(daemon, between(next, 0, LATEST_EARLY_MS));
      await daemon.start();
      using events = await daemon.events();
      const over = new AbortController();
      const driving = fleet.check().then(() => fleet.drive(over.signal));
      const moment = momentOf(next, events);
      await moment.reached;
      // The first and the last stop are of the ordinary kind, whatever the seed.
      const isHurried = round > 1 && round < stops && (next() < HURRIED || round === 2);
      const ended = isHurried ? seen.hurry(daemon, between(next, 0, 20)) : seen.stop(daemon);
      over.abort();
      await ended;
      await driving;
      await fleet.inspect();
      await waste.count(daemon.dataDir);
      if (round % 50 === 0) say(`${round} of ${stops} stops: ${JSON.stringify(fleet.counts)}`);
    }
    await daemon.start();
    await fleet.settle();
    await daemon.stop();
    return figuresOf(seen, fleet, waste, isLong ? AT_ONCE_MS : STOP_MS);
  },
};

/** How the process ended. */
class Stops {
  orderly = 0;
  /** Stopped in the course of its start. */
  earlyOnes = 0;
  hurried = 0;
  bad = 0;
  slowest = 0;
  slowestHurried = 0;
  note = "";

  async stop(daemon: Daemon): Promise<void> {
    const begun = performance.now();
    process.kill(daemon.pid, "SIGTERM");
    const code = await gone(daemon, 2 * STOP_MS);
    this.slowest = Math.max(this.slowest, performance.now() - begun);
    this.orderly += 1;
    if (code !== 0) this.blame(`exit code ${code}\n${daemon.story()}`);
  }

  /** A start that is told to stop so long after it began to listen for signals. */
  async early(daemon: Daemon, afterMs: number): Promise<void> {
    const folders = ["--data-dir", daemon.dataDir, "--models-dir", daemon.modelsDir];
    const { args = [], dir } = daemon.options;
    const { child, err } = await spawnExecutable(
      ["serve", "--listen", "127.0.0.1:0", ...folders, ...args],
      cleanEnv(dir),
    );
    await until(() => catchesSigterm(child.pid), "it to listen for signals", { everyMs: 1 });
    await Bun.sleep(afterMs);
    const begun = performance.now();
    child.kill("SIGTERM");
    const code = await child.exited;
    this.slowest = Math.max(this.slowest, performance.now() - begun);
    this.earlyOnes += 1;
    if (code !== 0) this.blame(`${afterMs} ms into its start: exit code ${code}\n${err.all.join("\n")}`);
  }

  /** A second signal, while it is stopping or when it has just ended. */
  async hurry(daemon: Daemon, afterMs: number): Promise<void> {
    const { pid } = daemon;
    process.kill(pid, "SIGTERM");
    await Bun.sleep(afterMs);
    const begun = performance.now();
    try {
      process.kill(pid, "SIGTERM");
    } catch {
      // It has ended already.
    }
    const code = await gone(daemon, 2 * STOP_MS);
    this.slowestHurried = Math.max(this.slowestHurried, performance.now() - begun);
    this.hurried += 1;
    if (code !== 0 && code !== INTERRUPTED && code !== SIGTERM)
      this.blame(`a second signal: exit code ${code}\n${daemon.story()}`);
  }

  private blame(what: string): void {
    this.bad += 1;
    this.note ||= what;
  }
}

/** What a shell shows for a process that had taken its handlers off and was ended by the signal itself. */
const SIGTERM = 143;

/** Whether a process has a handler of its own for it (proc(5), `SigCgt`). */
function catchesSigterm(pid: number): boolean {
  const mask = /^SigCgt:\s*([0-9a-f]+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "0";
  return (BigInt(`0x${mask}`) & (1n << 14n)) !== 0n;
}

async function gone(daemon: Daemon, limitMs: number): Promise<number | undefined> {
  const timer = setTimeout(() => void daemon.kill(), limitMs);
  const code = await daemon.gone();
  clearTimeout(timer);
  return code;
}

/** Bytes that the origin sent in vain, told apart by what the daemon had written down when it ended. */
class Waste {
  acknowledged = 0;
  /** Sent by the origin, and still on its way when the daemon ended. */
  inFlight = 0;
  received = 0;
  note = "";
  readonly #origin: OriginProcess;
  readonly #fleet: Fleet;
  #known = new Map<string, Span[]>();
  #seen = 0;

  constructor(origin: OriginProcess, fleet: Fleet) {
    this.#origin = origin;
    this.#fleet = fleet;
  }

  /** Compares what was asked for since the last stop with what was there then. */
  async count(dataDir: string): Promise<void> {
    const requests = (await this.#origin.ask("requests")).filter(({ number }) => number > this.#seen);
    this.#seen = Math.max(this.#seen, ...requests.map(({ number }) => number));
    const known = receiptsOf(dataDir);
    for (const job of this.#fleet.jobs.values()) {
      const { name } = job;
      const before = this.#known.get(name) ?? [];
      const spans = requests.filter(({ path }) => path === `/${name}`).map(servedBy);
      const again = job.isRestarted ? 0 : spans.reduce((sum, span) => sum + overlap(span, before), 0);
      job.isRestarted = false;
      this.acknowledged += again;
      if (again > 0) this.note ||= `${name}: ${JSON.stringify({ before, spans })}`;
      const now = known.get(name);
      if (now === undefined) continue;
      const sent = lengthOf(spans);
      this.received += lengthOf(now) - lengthOf(before);
      this.inFlight += Math.max(0, sent - (lengthOf(now) - lengthOf(before)));
    }
    this.#known = known;
  }
}

function figuresOf(seen: Stops, fleet: Fleet, waste: Waste, atOnceMs: number): Figure[] {
  const { added, acknowledged, completed, wrong, lost, stuck } = fleet.counts;
  const stops = seen.orderly + seen.hurried;
  const noteOf = (count: number, note: string): { note?: string } => (count > 0 ? { note } : {});
  return [
    { what: "stops before it listened, or just then", value: seen.earlyOnes, atLeast: 1 },
    { what: "stops", value: stops, atLeast: 1, note: `${seen.hurried} of them with a second signal` },
    { what: "downloads started", value: added, atLeast: MOVING },
    { what: "downloads completed", value: completed, atLeast: 1 },
    { what: "commands acknowledged", value: acknowledged, atLeast: MOVING },
    {
      what: "stops with another exit code than 0",
      value: seen.bad,
      atMost: 0,
      ...noteOf(seen.bad, seen.note),
    },
    { what: "slowest stop", value: seen.slowest, unit: "ms", atMost: STOP_MS },
    { what: "slowest end after a second signal", value: seen.slowestHurried, unit: "ms", atMost: atOnceMs },
    {
      what: "acknowledged bytes fetched again",
      value: waste.acknowledged,
      unit: "bytes",
      atMost: 0,
      ...noteOf(waste.acknowledged, waste.note),
    },
    { what: "bytes received between the stops", value: waste.received / 2 ** 20, unit: "MiB", atLeast: 0.1 },
    {
      what: "sent by the origin, on its way when the daemon ended",
      value: waste.inFlight / stops / 2 ** 10,
      unit: "KiB per stop",
    },
    { what: "wrong files under a final name", value: wrong, atMost: 0, ...noteOf(wrong, fleet.note) },
    {
      what: "acknowledged commands that were not true any more",
      value: lost,
      atMost: 0,
      ...noteOf(lost, fleet.note),
    },
    {
      what: "downloads that did not end by themselves",
      value: stuck,
      atMost: 0,
      ...noteOf(stuck, fleet.note),
    },
  ];
}
