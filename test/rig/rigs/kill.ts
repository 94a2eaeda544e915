import { Daemon } from "../../support/daemon.ts";
import { startOriginProcess } from "../../support/origin/process.ts";
import { between, randomOf } from "../../support/random.ts";
import { tempDir } from "../../support/temp.ts";
import { Fleet, MOVING } from "../fleet.ts";
import { fourWaits, ourFourKills, type Trial, theirFourKills } from "../four-kills.ts";
import { momentOf } from "../moments.ts";
import type { Figure, Rig, RigOptions } from "../rig.ts";

const CONNECTIONS = 4;
const RATE = 2_000_000;
const MOST_AGAIN = 5;
const TRIALS = 5;
/** Of ten kills this many come before it even listens. */
const EARLY = 0.1;
const EARLY_MS = 200;

/** F96, F97, G1, G2: killed again and again, at random and just where it would hurt. */
export const kill: Rig = {
  name: "kill",
  title:
    "kill -9 while four downloads move over four connections each and commands are given: no wrong file gets a name, what was acknowledged stays true, everything ends by itself.",
  async run(options) {
    const figures = await killLoop(options);
    return options.isLong ? [...figures, ...(await trials(options))] : figures;
  },
};

async function killLoop({
  seed,
  isLong,
  rounds: kills = isLong ? 1_000 : 5,
  say,
}: RigOptions): Promise<Figure[]> {
  const next = randomOf(seed);
  using dir = tempDir("rig-kill");
  await using origin = await startOriginProcess({ ratePerConnection: RATE });
  const args = ["--connections", String(CONNECTIONS), "--max-concurrent", String(MOVING)];
  await using daemon = new Daemon({ dir: dir.path, args: [...args, "--log-level", "warning"] });
  const fleet = new Fleet({ daemon, origin, next });
  const hits = new Map<string, number>();
  let manual = 0;
  for (let round = 1; round <= kills; round++) {
    const what =
      next() < EARLY && round > 1 ? await killEarly(daemon, next) : await killLater(daemon, fleet, next);
    hits.set(what, (hits.get(what) ?? 0) + 1);
    if (what === "did not start") {
      manual += 1;
      fleet.note ||= `round ${round}: ${daemon.story()}`;
      break;
    }
    await fleet.inspect();
    if (round % 50 === 0) say(`${round} of ${kills} kills: ${JSON.stringify(fleet.counts)}`);
  }
  if (manual === 0) {
    await daemon.start();
    await fleet.settle();
    await daemon.stop();
  }
  const { connections, maxActive } = await origin.ask("stats");
  const { added, acknowledged, completed, wrong, lost, stuck } = fleet.counts;
  return [
    {
      what: "kills",
      value: [...hits.values()].reduce((sum, n) => sum + n, 0),
      atLeast: kills,
      note: told(hits),
    },
    { what: "downloads started", value: added, atLeast: MOVING },
    { what: "downloads completed", value: completed, atLeast: 1 },
    { what: "commands acknowledged", value: acknowledged, atLeast: MOVING },
    {
      what: "connections at once, at most",
      value: maxActive,
      atLeast: MOVING,
      note: `${connections} in all`,
    },
    { what: "wrong files under a final name", value: wrong, atMost: 0, ...noteOf(fleet, wrong) },
    {
      what: "acknowledged commands that were not true any more",
      value: lost,
      atMost: 0,
      ...noteOf(fleet, lost),
    },
    { what: "downloads that did not end by themselves", value: stuck, atMost: 0, ...noteOf(fleet, stuck) },
    { what: "starts that needed a person", value: manual, atMost: 0, ...noteOf(fleet, manual) },
  ];
}

const noteOf = ({ note }: Fleet, count: number): { note?: string } => (count > 0 ? { note } : {});

const told = (hits: ReadonlyMap<string, number>): string =>
  [...hits].map(([name, count]) => `${name} ${count}`).join(", ");

/** While it starts: the database is opened, jobs are recovered. */
async function killEarly(daemon: Daemon, next: () => number): Promise<string> {
  const starting = daemon.start().catch(() => undefined);
  await Bun.sleep(between(next, 0, EARLY_MS));
  await daemon.kill();
  await starting;
  return "while starting";
}

/** While it works, with commands under way. */
async function killLater(daemon: Daemon, fleet: Fleet, next: () => number): Promise<string> {
  try {
    await daemon.start();
  } catch {
    return "did not start";
  }
  using events = await daemon.events();
  const over = new AbortController();
  const moment = momentOf(next, events);
  const driving = fleet.check().then(() => fleet.drive(over.signal));
  const isReached = await moment.reached;
  over.abort();
  await daemon.kill();
  await driving;
  return isReached ? moment.name : "marker not met in time";
}

/** Ours and, where it is installed, aria2c beside it: the same kills in turn. */
async function trials({ seed, say }: RigOptions): Promise<Figure[]> {
  const next = randomOf(seed);
  const aria2c = Bun.which("aria2c");
  const contenders: [string, (seed: number, waits: number[]) => Promise<Trial>][] = [
    ["modelhaul", ourFourKills],
  ];
  if (aria2c) {
    const saving = ["--auto-save-interval=1"];
    contenders.push(["aria2c, saving every second", (n, waits) => theirFourKills(aria2c, saving, n, waits)]);
    contenders.push(["aria2c", (n, waits) => theirFourKills(aria2c, [], n, waits)]);
  } else say("SKIPPED: aria2c beside it; install the package 'aria2'");
  const seen = new Map<string, Trial[]>(contenders.map(([name]) => [name, []]));
  for (let trial = 1; trial <= TRIALS; trial++) {
    const waits = fourWaits(next);
    for (const [name, run] of contenders) seen.get(name)!.push(await run(seed + trial, waits));
    say(`${trial} of ${TRIALS} trials of four kills`);
  }
  return [...seen].flatMap(([name, all]) => figuresOf(name, all));
}

function figuresOf(name: string, all: readonly Trial[]): Figure[] {
  const shares = all.map(({ again }) => again).sort((a, b) => a - b);
  const wrong = all.filter(({ isRight }) => !isRight).length;
  const isOurs = name === "modelhaul";
  return [
    {
      what: `${name}: fetched again after 4 kills, 64 MiB at 4 x 4 MB/s`,
      value: shares[Math.floor(shares.length / 2)]!,
      unit: "%",
      ...(isOurs ? { atMost: MOST_AGAIN } : {}),
      note: `median of ${shares.length}; ${shares.map((it) => it.toFixed(2)).join(", ")}; ${wrong} wrong files`,
    },
    ...(isOurs ? [{ what: "wrong files in these trials", value: wrong, atMost: 0 }] : []),
  ];
}
