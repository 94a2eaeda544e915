import { createAll } from "../names/creations.ts";
import { type Judged, judgeOne, nothingJudged } from "../names/paths.ts";
import type { Figure, Rig } from "../rig.ts";

/** F133 asks for 10 ms each; the machine may be busy. */
const SLOWEST_MS = 150;

/** F124-F134, F198, F199, G15: names that somebody else chose. */
export const names: Rig = {
  name: "names",
  title:
    "Hostile names and paths: what is accepted is that very file below the root on Linux, macOS and Windows alike, and nothing is ever written elsewhere, whatever links lie in the way.",
  async run({ seed, isLong, say }) {
    const [texts, files] = isLong ? [1_000_000, 10_000] : [12_000, 200];
    const judged = nothingJudged();
    for (let number = 0; number < texts; number++) {
      judgeOne(judged, seed, number);
      if (number % 100_000 === 99_999) say(`${number + 1} of ${texts} texts`);
    }
    const created = await createAll(seed, files, say);
    return [
      ...figuresOf(judged, texts),
      { what: "files really to be created, with links in the way", value: created.tries, atLeast: files },
      { what: "of these, stored with their content", value: created.stored, atLeast: files / 10 },
      { what: "refused", value: created.refused, atLeast: files / 10 },
      {
        what: "a directory became a link in the middle of it",
        value: created.swapped,
        atLeast: isLong ? 1 : 0,
      },
      bad("writes, removals or links outside", created.outside, created.notes.outside),
      bad("stored with another content, or elsewhere", created.wrong, created.notes.wrong),
      bad("errors that are none of ours", created.untyped, created.notes.untyped),
    ];
  },
};

function figuresOf(judged: Judged, texts: number): Figure[] {
  const { notes } = judged;
  return [
    { what: "texts", value: judged.texts, atLeast: texts },
    { what: "decisions by everything that makes names", value: judged.decisions, atLeast: texts * 10 },
    { what: "paths accepted", value: judged.accepted, atLeast: texts },
    { what: "lists of look-alikes", value: judged.lists, atLeast: texts / 2 },
    bad("accepted outside the root", judged.outside, notes.outside),
    bad("accepted although one system would take it otherwise", judged.different, notes.different),
    bad("collisions accepted", judged.collisions, notes.collisions),
    bad("ordinary names refused", judged.refusedOrdinary, notes.refusedOrdinary),
    {
      what: "slowest text through all validators",
      value: judged.slowestMs,
      unit: "ms",
      atMost: SLOWEST_MS,
      note: judged.slowest,
    },
  ];
}

const bad = (what: string, value: number, note: string | undefined): Figure => ({
  what,
  value,
  atMost: 0,
  ...(note === undefined ? {} : { note: `${note}; seen again with the same --seed` }),
});
