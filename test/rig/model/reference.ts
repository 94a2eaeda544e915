/**
 * What the queue does, said once more: a pure function of DESIGN §3 and §5, small enough to be read. Commands and their
 * answers, the order in which downloads are claimed, what an end of the process leaves behind.
 */

export type State = "queued" | "downloading" | "paused" | "completed" | "failed" | "cancelled";

export interface Item {
  /** Counts up; the order of creation. */
  n: number;
  /** Its model id. */
  name: string;
  /** Number of the file at the origin. */
  source: number;
  state: State;
  priority: number;
  /** Place among those of one priority. */
  position: number;
  /** Counts up with every claim. */
  claimed: number;
}

export interface World {
  items: readonly Item[];
  /** Downloads at once. */
  slots: number;
  /** Nothing is claimed. */
  held: boolean;
  count: number;
  claims: number;
}

export type Verb = "pause" | "resume" | "cancel" | "retry" | "forget";
export type Move = { before: string } | { after: string } | { position: number };

export type Command =
  | { do: "add"; source: number; name?: string }
  | { do: Verb; name: string }
  | { do: "priority"; name: string; value: number }
  | { do: "move"; name: string; to: Move }
  | { do: "slots"; value: number }
  | { do: "hold"; held: boolean };

/** `ok`, with the model id where there is one; or why not. */
export type Answer = string;

export interface Outcome {
  world: World;
  answer: Answer;
}

export const START: World = { items: [], slots: 2, held: false, count: 0, claims: 0 };

export const isFinished = ({ state }: Item): boolean =>
  state === "completed" || state === "failed" || state === "cancelled";

/** The unfinished one of this name, else the newest. */
export const find = ({ items }: World, name: string): Item | undefined =>
  items.find((item) => item.name === name && !isFinished(item)) ??
  items.findLast((item) => item.name === name);

/** Those that wait, the next one first. */
export const line = ({ items }: World): Item[] =>
  items
    .filter(({ state }) => state === "queued")
    .sort((a, b) => b.priority - a.priority || a.position - b.position || a.n - b.n);

const running = ({ items }: World): Item[] => items.filter(({ state }) => state === "downloading");

/** The world with one item changed. */
const withItem = (world: World, n: number, change: Partial<Item>): World => ({
  ...world,
  items: world.items.map((item) => (item.n === n ? { ...item, ...change } : item)),
});

const refused = (world: World): Outcome => ({ world, answer: "refused" });

/** What a command does and what its client is told; nothing is claimed yet. */
export function apply(world: World, command: Command): Outcome {
  switch (command.do) {
    case "add":
      return add(world, command.source, command.name);
    case "slots":
      return { world: giveBack({ ...world, slots: command.value }), answer: "ok" };
    case "hold":
      return { world: giveBack({ ...world, held: command.held }), answer: "ok" };
  }
  const item = find(world, command.name);
  if (!item) return { world, answer: "missing" };
  if (command.do === "priority") {
    if (isFinished(item)) return refused(world);
    return { world: withItem(world, item.n, { priority: command.value }), answer: "ok" };
  }
  return command.do === "move" ? move(world, item, command.to) : obey(world, item, command.do);
}

function obey(world: World, item: Item, verb: Verb): Outcome {
  const to = (state: State): Outcome => ({ world: withItem(world, item.n, { state }), answer: "ok" });
  const same: Outcome = { world, answer: "ok" };
  const isOver = isFinished(item);
  switch (verb) {
    case "pause":
      return isOver ? refused(world) : to("paused");
    case "resume":
      if (isOver) return refused(world);
      return item.state === "paused" ? to("queued") : same;
    case "cancel":
      return isOver ? refused(world) : to("cancelled");
    case "forget":
      if (!isOver) return refused(world);
      return { world: { ...world, items: world.items.filter(({ n }) => n !== item.n) }, answer: "ok" };
    case "retry":
      if (item.state === "completed") return refused(world);
      if (isOver && clash(world, item)) return { world, answer: "taken" };
      return isOver || item.state === "paused" ? to("queued") : same;
  }
}

/** Another unfinished one with this name or this file. */
const clash = ({ items }: World, { n, name, source }: Item): boolean =>
  items.some(
    (other) => other.n !== n && !isFinished(other) && (other.name === name || other.source === source),
  );

export const standardName = (source: number): string => `s${source}.bin`;

/** An equal request while one is unfinished gets that one; the same name for another file is a conflict. */
function add(world: World, source: number, wished?: string): Outcome {
  const open = world.items.filter((item) => !isFinished(item));
  const present = open.find((item) => item.source === source);
  if (present) return { world, answer: `ok ${present.name}` };
  const isTaken = (name: string): boolean => open.some((item) => item.name === name);
  if (wished !== undefined && isTaken(wished)) return { world, answer: "taken" };
  let name = wished ?? standardName(source);
  for (let n = 2; isTaken(name); n++) name = `${standardName(source)}-${n}`;
  const n = world.count + 1;
  const position = open.reduce((last, item) => Math.max(last, item.position), 0) + 1;
  const item: Item = { n, name, source, state: "queued", priority: 0, position, claimed: 0 };
  return { world: { ...world, items: [...world.items, item], count: n }, answer: `ok ${name}` };
}

/** Between its new neighbours, with a priority that lets it stand there. */
function move(world: World, item: Item, to: Move): Outcome {
  if (isFinished(item)) return refused(world);
  const other = "position" in to ? undefined : find(world, "before" in to ? to.before : to.after);
  if (!("position" in to)) {
    if (!other) return { world, answer: "missing" };
    if (other.state !== "queued") return refused(world);
  }
  if (item.state !== "queued") return refused(world);
  const rest = line(world).filter(({ n }) => n !== item.n);
  const own = line(world).findIndex(({ n }) => n === item.n);
  const index =
    "position" in to
      ? Math.min(to.position - 1, rest.length)
      : beside(rest, other!, item, "after" in to, own);
  const [prev, next] = [rest[index - 1], rest[index]];
  const priority = Math.max(Math.min(item.priority, prev?.priority ?? Infinity), next?.priority ?? -Infinity);
  const low = prev?.priority === priority ? prev.position : undefined;
  const high = next?.priority === priority ? next.position : undefined;
  return {
    world: withItem(world, item.n, { priority, position: amid(low, high, item.position) }),
    answer: "ok",
  };
}

/** Beside itself is where it is. */
function beside(rest: readonly Item[], other: Item, item: Item, isAfter: boolean, own: number): number {
  if (other.n === item.n) return own;
  return rest.findIndex(({ n }) => n === other.n) + (isAfter ? 1 : 0);
}

function amid(low: number | undefined, high: number | undefined, own: number): number {
  if (low !== undefined && high !== undefined) return (low + high) / 2;
  if (low !== undefined) return low + 1;
  return high === undefined ? own : high - 1;
}

/** With fewer slots the last claimed ones go back to the queue. */
function giveBack(world: World): World {
  const excess = running(world).length - (world.held ? 0 : world.slots);
  return running(world)
    .sort((a, b) => b.claimed - a.claimed)
    .slice(0, Math.max(0, excess))
    .reduce((rest, { n }) => withItem(rest, n, { state: "queued" }), world);
}

/** The world after each claim that follows, none first; the last one has nothing left to claim. */
export function claims(world: World): World[] {
  const all = [world];
  for (let now = world; !now.held && running(now).length < now.slots; ) {
    const [next] = line(now);
    if (!next) break;
    now = withItem({ ...now, claims: now.claims + 1 }, next.n, {
      state: "downloading",
      claimed: now.claims + 1,
    });
    all.push(now);
  }
  return all;
}

export const settle = (world: World): World => claims(world).at(-1)!;

/** The file arrives, or turns out not to be there. */
export function arrive(world: World, source: number, state: "completed" | "failed"): World {
  const item = running(world).find((each) => each.source === source);
  return item ? withItem(world, item.n, { state }) : world;
}

/** The process has ended, in whatever manner: what ran waits again. */
export const end = (world: World): World =>
  running(world).reduce((rest, { n }) => withItem(rest, n, { state: "queued" }), world);

interface Both {
  world: World;
  answers: [Answer, Answer];
}

/**
 * What no order of the two explains and yet is right: two who cancel the same are both told that it is cancelled, and
 * who retries what another one has just added anew is told that it is there.
 */
function excused(world: World, a: Command, b: Command): Both[] {
  if (a.do === "cancel" && b.do === "cancel" && a.name === b.name) {
    const { world: left, answer } = apply(world, a);
    return answer === "ok" ? [{ world: settle(left), answers: ["ok", "ok"] }] : [];
  }
  const [retry, other] = a.do === "retry" ? [a, b] : [b, a];
  if (retry.do !== "retry" || other.do !== "add") return [];
  const item = find(world, retry.name);
  const added = apply(world, other);
  if (!item || !isFinished(item) || !clash(added.world, item)) return [];
  const answers: [Answer, Answer] = retry === a ? ["taken", added.answer] : [added.answer, "taken"];
  return [{ world: settle(added.world), answers }];
}

/** All that can come of two commands given at once, with every number of claims in between. */
export function together(
  world: World,
  a: Command,
  b: Command,
): { world: World; answers: [Answer, Answer] }[] {
  const inOrder = (first: Command, second: Command) => {
    const one = apply(world, first);
    return claims(one.world).map((between) => ({ one: one.answer, two: apply(between, second) }));
  };
  return [
    ...excused(world, a, b),
    ...inOrder(a, b).map(({ one, two }) => ({
      world: settle(two.world),
      answers: [one, two.answer] as [Answer, Answer],
    })),
    ...inOrder(b, a).map(({ one, two }) => ({
      world: settle(two.world),
      answers: [two.answer, one] as [Answer, Answer],
    })),
  ];
}

export type Shown = Pick<Item, "name" | "source" | "state" | "priority">;

/** What can be seen of a world, as text: two are equal when this is. */
export function seen(
  items: readonly Shown[],
  order: readonly number[],
  { slots, held }: Pick<World, "slots" | "held">,
): string {
  const all = items.map(({ name, source, state, priority }) => `${name}=${source} ${state} ${priority}`);
  return `${all.join("; ")} | ${order.join(" ")} | ${slots} at once${held ? ", held" : ""}`;
}

/** The same of the reference's own world: places in the queue are given by the order of creation. */
export const seenOf = (world: World): string =>
  seen(
    world.items,
    line(world).map(({ n }) => world.items.findIndex((item) => item.n === n)),
    world,
  );
