import { between, oneOf, randomOf } from "../../support/random.ts";
import { type Call, type Order, troublesOf } from "../faulty.ts";
import type { Figure, Rig } from "../rig.ts";
import { type Play, play, startStoryOrigin } from "../scenario.ts";

/** Stories that are played side by side: most of their time they wait. */
const AT_ONCE = 12;
const SHORT_RUNS = 24;
/** Silence takes half a minute to be noticed, so not every read falls silent. */
const MOST_SILENT = 100;

type Counted = Call & { count: number };

/** G5: every call fails once, of everything that it can meet. */
export const calls: Rig = {
  name: "calls",
  title:
    "Each call that the rooms make of the disk, the database and the network fails once, in every way it can, while two files are downloaded, one of them paused and resumed, and a third one is cancelled.",
  async run({ seed, isLong, say }) {
    const next = randomOf(seed);
    const unheard: string[] = [];
    const hear = (reason: unknown) => void unheard.push(String(reason));
    process.on("unhandledRejection", hear);
    await using origin = await startStoryOrigin();
    const calm = await Promise.all([play(origin, undefined, false), play(origin, undefined, true)]);
    const seen = [...calm[1]!.fault.counts.values()];
    if (process.env.RIG_VERBOSE)
      console.error(seen.map(({ kind, name, count }) => `${count} ${kind} ${name}`).join("\n"));
    const orders = isLong ? every(seen, next) : sample(seen, next);
    say(`${orders.length} runs`);
    const count = new Count(calm);
    let at = 0;
    let isEnough = false;
    // Their order is random, so that Ctrl-C leaves a fair sample; how many there were is told.
    process.once("SIGINT", () => {
      isEnough = true;
    });
    const lane = async (): Promise<void> => {
      for (let order = orders[at++]; order && !isEnough; order = orders[at++]) {
        const isHasty = !isLong || next() < 0.5;
        const begun = performance.now();
        count.add(order, isHasty, await play(origin, order, isHasty));
        if (process.env.RIG_VERBOSE)
          console.error(`${Math.round(performance.now() - begun)} ms`, JSON.stringify(order));
        if (count.runs % 100 === 0) say(`${count.runs} of ${orders.length} runs`);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, lane));
    process.off("unhandledRejection", hear);
    return count.figures(calm[1]!.fault.total, orders.length, unheard);
  },
};

/** Every call of the story with everything it can meet, in any order. */
function every(seen: readonly Counted[], next: () => number): Order[] {
  const all = seen.flatMap(({ kind, name, count }) =>
    troublesOf({ kind, name }).flatMap((trouble) =>
      Array.from({ length: trouble === "timeout" ? Math.min(count, MOST_SILENT) : count }, (_, i) => ({
        kind,
        name,
        nth: i + 1,
        trouble,
      })),
    ),
  );
  return shuffled(all, next);
}

/** One of each kind of call first, then any. */
function sample(seen: readonly Counted[], next: () => number): Order[] {
  const kinds = shuffled(seen, next);
  return Array.from({ length: SHORT_RUNS }, (_, i) => {
    const { kind, name, count } = kinds[i % kinds.length]!;
    const troubles = troublesOf({ kind, name }).filter((trouble) => trouble !== "timeout");
    return { kind, name, nth: between(next, 1, count), trouble: oneOf(next, troubles) };
  });
}

function shuffled<T>(all: readonly T[], next: () => number): T[] {
  return all
    .map((one) => ({ one, place: next() }))
    .sort((a, b) => a.place - b.place)
    .map(({ one }) => one);
}

class Count {
  runs = 0;
  hits = 0;
  readonly broken: string[] = [];
  readonly hung: string[] = [];
  readonly failed: string[] = [];
  readonly names = new Set<string>();

  constructor(calm: readonly Play[]) {
    for (const played of calm) this.#judge("no call failed", played);
  }

  add({ kind, name, nth, trouble }: Order, isHasty: boolean, played: Play): void {
    this.runs += 1;
    if (played.fault.isMet) {
      this.hits += 1;
      this.names.add(`${kind} ${name}`);
    }
    this.#judge(`${kind}, ${name} no. ${nth} met ${trouble}${isHasty ? " (hasty)" : ""}`, played);
  }

  #judge(what: string, { broken, hung, failed }: Play): void {
    if (process.env.RIG_VERBOSE && (broken.length > 0 || hung || failed.length > 0))
      console.error(what, broken, hung, failed);
    if (broken.length > 0) this.broken.push(`${what}: ${broken[0]}`);
    if (hung !== undefined) this.hung.push(`${what}: ${hung}`);
    if (failed.length > 0) this.failed.push(`${what}: ${failed.join(", ")}`);
  }

  figures(callsOfOne: number, ordered: number, unheard: readonly string[]): Figure[] {
    const noted = (list: readonly string[]) => (list.length > 0 ? { note: list[0]! } : {});
    return [
      { what: "calls in one run without a fault", value: callsOfOne, atLeast: 100 },
      {
        what: "runs",
        value: this.runs,
        atLeast: SHORT_RUNS,
        ...(this.runs < ordered ? { note: `ended early, ${ordered} would have been all` } : {}),
      },
      // Some calls come more often in one run than in another.
      { what: "runs in which the call failed", value: this.hits, atLeast: Math.floor(this.runs / 2) },
      { what: "different calls that failed", value: this.names.size, atLeast: 15 },
      { what: "violations of I1 to I6", value: this.broken.length, atMost: 0, ...noted(this.broken) },
      { what: "hangs", value: this.hung.length, atMost: 0, ...noted(this.hung) },
      {
        what: "downloads that did not go on by themselves",
        value: this.failed.length,
        atMost: 0,
        ...noted(this.failed),
      },
      { what: "errors that nobody handled", value: unheard.length, atMost: 0, ...noted(unheard) },
    ];
  }
}
