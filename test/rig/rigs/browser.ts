import { randomOf } from "../../support/random.ts";
import { tempDir } from "../../support/temp.ts";
import { type Cell, cells, TYPES } from "../browser/matrix.ts";
import { allowedEffects, setUp, startWorld } from "../browser/scene.ts";
import { type Target, targetsOf } from "../browser/targets.ts";
import { emptyTally, type Front, type Tally, walk } from "../browser/walk.ts";
import type { Figure, Rig, RigOptions } from "../rig.ts";

const KEY = "the-key-of-the-browser-rig";
/** Cells of one target; the long form takes all of those without a key, and so many of the others. */
const FEW = 8;
const MANY = 256;

/** F161, F178 to F183, F190, G17, G18: what web pages can make a browser send. */
export const browser: Rig = {
  name: "browser",
  title:
    "12 hosts x 8 origins x 4 Sec-Fetch-Site x 6 content types at every route, streams and WebSocket included, without a key, with one that is not sent, and with a session's cookie: no effect for and no data to a page that may not.",
  async run({ seed, isLong, say }) {
    const next = randomOf(seed);
    await using world = await startWorld();
    using dir = tempDir("rig-browser");
    const tally = emptyTally();
    let ineffective: string[];
    {
      const { daemon, prey } = await setUp(world, dir.at("open"));
      await using _ = daemon;
      const targets = await targetsOf(daemon, prey);
      await walkAll(
        { daemon, credential: "open", lines: [] },
        targets,
        tally,
        isLong ? undefined : FEW,
        next,
      );
      say(`without a key: ${targets.length} routes, ${tally.requests} requests`);
      ineffective = await allowedEffects(daemon, prey);
    }
    {
      const { daemon, prey } = await setUp(world, dir.at("keyed"), KEY);
      await using _ = daemon;
      const targets = await targetsOf(daemon, prey);
      const most = isLong ? MANY : FEW;
      for (const credential of ["none", "cookie"] as const) {
        const lines = credential === "none" ? [] : [await cookieOf(daemon)];
        const fronted = targets.filter(({ name }) => credential === "none" || !ENDS_SESSION.test(name));
        await walkAll({ daemon, credential, lines }, fronted, tally, most, next);
      }
      say(`with a key: ${tally.requests} requests in all`);
    }
    return figuresOf(tally, ineffective, { isLong, seed });
  },
};

/** It would end the session that the following requests go with. */
const ENDS_SESSION = /^DELETE \/v1\/session$/;

async function cookieOf({ base }: Front["daemon"]): Promise<string> {
  const answer = await fetch(`${base}/v1/session`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ key: KEY }),
  });
  return `Cookie: ${(answer.headers.get("set-cookie") ?? "").split(";")[0]}`;
}

async function walkAll(
  front: Front,
  targets: readonly Target[],
  tally: Tally,
  most: number | undefined,
  next: () => number,
): Promise<void> {
  for (const target of targets) await walk(front, target, chosen(front, target, most, next), tally);
}

function chosen(
  { daemon }: Front,
  target: Target,
  most: number | undefined,
  next: () => number,
): Iterable<Cell> {
  // What brings no content has no type of one.
  const types = target.changes ? TYPES : TYPES.slice(1, 2);
  const all = [...cells(Number(new URL(daemon.base).port), types)];
  if (most === undefined) return all;
  return all
    .map((cell) => ({ cell, at: next() }))
    .sort((a, b) => a.at - b.at)
    .slice(0, most)
    .map(({ cell }) => cell);
}

function figuresOf(
  tally: Tally,
  ineffective: readonly string[],
  { isLong, seed }: Pick<RigOptions, "isLong" | "seed">,
): Figure[] {
  const none = (what: string, all: readonly string[]): Figure => ({
    what,
    value: all.length,
    atMost: 0,
    ...(all[0] !== undefined && { note: `--seed ${seed}: ${all.slice(0, 3).join("; ")}` }),
  });
  return [
    { what: "requests", value: tally.requests, atLeast: isLong ? 100_000 : 2_500 },
    none("effects of requests that had to be refused", tally.effects),
    none("answers that a page could read and must not", tally.readable),
    none("requests refused although they are allowed", tally.refused),
    { what: "requests let through, as they had to be", value: tally.passed, atLeast: isLong ? 5_000 : 100 },
    { what: "streams and sockets opened, as they had to be", value: tally.opened, atLeast: isLong ? 200 : 3 },
    none("allowed commands without an effect", ineffective),
  ];
}
