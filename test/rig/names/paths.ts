import { DownloadError } from "../../../src/core/errors.ts";
import { parseRepoPath } from "../../../src/core/paths.ts";
import { refuseCollisions } from "../../../src/storage/names.ts";
import { between, randomOf } from "../../support/random.ts";
import { hostile, ordinary, twisted } from "./hostile.ts";
import { clash, posixFault, windowsFault } from "./systems.ts";
import { pairFault, VALIDATORS } from "./validators.ts";

/** What the pure functions made of texts from outside. */
export interface Judged {
  texts: number;
  decisions: number;
  accepted: number;
  outside: number;
  different: number;
  lists: number;
  collisions: number;
  refusedOrdinary: number;
  /** Of all validators together on one text. */
  slowestMs: number;
  slowest: string;
  /** The first that went wrong, of each kind. */
  notes: Partial<Record<"outside" | "different" | "collisions" | "refusedOrdinary", string>>;
}

type Kind = keyof Judged["notes"];

export const nothingJudged = (): Judged => ({
  texts: 0,
  decisions: 0,
  accepted: 0,
  outside: 0,
  different: 0,
  lists: 0,
  collisions: 0,
  refusedOrdinary: 0,
  slowestMs: 0,
  slowest: "",
  notes: {},
});

/** One hostile text through every validator, one list of look-alikes and one good path: all of it from this number. */
export function judgeOne(judged: Judged, seed: number, number: number): void {
  const next = randomOf(Math.imul(seed, 0x9e3779b1) ^ number);
  const wrong = (kind: Kind, what: string): void => {
    judged[kind] += 1;
    judged.notes[kind] ??= `text ${number}: ${what}`;
  };
  judged.texts += 1;
  const text = hostile(next);
  const began = performance.now();
  for (const [name, validate] of Object.entries(VALIDATORS)) {
    judged.decisions += 1;
    for (const path of validate(text) ?? []) {
      judged.accepted += 1;
      const [onPosix, onWindows] = [posixFault(path), windowsFault(path)];
      if (onPosix === undefined && onWindows === undefined) continue;
      const what = `${name} ${shown(text)} -> ${shown(path)}`;
      if (isOutside(onPosix) || isOutside(onWindows)) wrong("outside", `${what}: ${onPosix ?? onWindows}`);
      else wrong("different", `${what}: POSIX ${onPosix ?? "takes it"}, Windows ${onWindows ?? "takes it"}`);
    }
  }
  const ms = performance.now() - began;
  if (ms > judged.slowestMs) noteSlow(judged, number, text, ms);
  const pair = number % 4 === 0 ? pairFault(text, hostile(next)) : undefined;
  if (pair !== undefined) wrong("collisions", `progress file of ${shown(text)}: ${pair}`);
  judgeList(judged, next, wrong);
  const good = ordinary(next);
  if (!isAccepted(good)) wrong("refusedOrdinary", shown(good));
}

/** The machine may be busy with something else: the best of a few counts. */
function noteSlow(judged: Judged, number: number, text: string, first: number): void {
  let best = first;
  for (let again = 0; again < 4 && best > judged.slowestMs; again++) {
    const began = performance.now();
    for (const validate of Object.values(VALIDATORS)) validate(text);
    best = Math.min(best, performance.now() - began);
  }
  if (best <= judged.slowestMs) return;
  judged.slowestMs = best;
  judged.slowest = `text ${number}: ${shown(text)}`;
}

const isOutside = (fault: string | undefined): boolean => fault?.startsWith("it leads to") === true;

/** Paths that look alike: when they may come together in one download, none of them is another one on any system. */
function judgeList(judged: Judged, next: () => number, wrong: (kind: Kind, what: string) => void): void {
  const first = [hostile(next), ordinary(next)].find(isAccepted);
  if (first === undefined) return;
  const paths = [first];
  for (let n = between(next, 1, 3); n > 0; n--) {
    const other = twisted(paths.at(-1) ?? first, next);
    if (isAccepted(other)) paths.push(other);
  }
  judged.lists += 1;
  if (!mayComeTogether(paths)) return;
  for (const [i, one] of paths.entries())
    for (const other of paths.slice(i + 1)) {
      const why = clash(one, other);
      if (why !== undefined) wrong("collisions", `${shown(one)} and ${shown(other)}: ${why}`);
    }
}

const isAccepted = (path: string): boolean => !isRefused(() => parseRepoPath(path));
const mayComeTogether = (paths: readonly string[]): boolean => !isRefused(() => refuseCollisions(paths));

function isRefused(judge: () => void): boolean {
  try {
    judge();
    return false;
  } catch (error) {
    if (error instanceof DownloadError) return true;
    throw error;
  }
}

/** Every character visible, short. */
export const shown = (text: string): string =>
  JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}…(${text.length})` : text).replace(
    /[^ -~]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
