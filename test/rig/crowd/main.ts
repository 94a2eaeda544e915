/** Thousands of readers in a process of their own; obeys `CrowdCalls` over IPC. Started by `startCrowd`. */
import { quantile } from "../../bench/measure.ts";
import { until } from "../../support/until.ts";
import type { CrowdCall, CrowdCalls, CrowdResult, Told } from "./calls.ts";
import { Messages } from "./ledger.ts";
import { Reader, type Surroundings } from "./reader.ts";
import { Stalled } from "./stalled.ts";

/** So many connect at once: no more than wait at the door. */
const AT_ONCE = 128;
const MOST_DIFFERING = 10;

const readers = new Map<string, Reader[]>();
const stalled = new Map<string, Stalled[]>();
/** Epoch milliseconds at which each reader saw a priority that is a mark. */
const arrivals = new Map<number, number[]>();

const around: Surroundings = {
  messages: new Messages(),
  port: 0,
  noted({ type, priority }) {
    if (type !== "download" || priority <= 0) return;
    const at = performance.timeOrigin + performance.now();
    const known = arrivals.get(priority);
    if (known) known.push(at);
    else arrivals.set(priority, [at]);
  },
};

const of = (group: string): Reader[] => readers.get(group) ?? [];

async function openAll(all: readonly Reader[]): Promise<void> {
  for (let from = 0; from < all.length; from += AT_ONCE)
    await Promise.all(all.slice(from, from + AT_ONCE).map((reader) => reader.open()));
}

function told(group: string): Told {
  const all = of(group);
  const [first] = all;
  const ledgers = all.map(({ ledger }) => ledger);
  const sum = (pick: (ledger: (typeof ledgers)[number]) => number): number =>
    ledgers.reduce((total, ledger) => total + pick(ledger), 0);
  const isOdd = ({ changes, sum }: (typeof ledgers)[number]): boolean =>
    changes !== first?.ledger.changes || sum !== first.ledger.sum;
  const unreached = all.find(({ isOpen, refusal }) => !isOpen && refusal !== "");
  return {
    readers: all.length,
    open: all.filter(({ isOpen }) => isOpen).length,
    reconnects: all.reduce((total, { connections }) => total + connections - 1, 0),
    frames: sum(({ frames }) => frames),
    heartbeats: sum(({ heartbeats }) => heartbeats),
    fewestHeartbeats: Math.min(...ledgers.map(({ heartbeats }) => heartbeats)),
    changes: sum(({ changes }) => changes),
    odd: ledgers.filter(isOdd).length,
    gaps: sum(({ gaps }) => gaps),
    seq: first?.ledger.seq ?? 0,
    trouble: ledgers.find(({ trouble }) => trouble !== "")?.trouble ?? unreached?.refusal ?? "",
  };
}

function differs({ states }: Reader["ledger"], truth: readonly [string, string][]): string | undefined {
  for (const [id, state] of truth)
    if (states.get(id) !== state) return `${id} is ${state}, the reader has ${states.get(id) ?? "nothing"}`;
  return states.size === truth.length ? undefined : `it knows ${states.size} instead of ${truth.length}`;
}

type Answers = {
  [K in keyof CrowdCalls]: (
    ...args: Parameters<CrowdCalls[K]>
  ) => ReturnType<CrowdCalls[K]> | Promise<ReturnType<CrowdCalls[K]>>;
};

const calls: Answers = {
  at(port) {
    around.port = port;
  },
  async open(group, transport, count) {
    const fresh = Array.from({ length: count }, () => new Reader(transport, around));
    readers.set(group, [...of(group), ...fresh]);
    await openAll(fresh);
  },
  stall(group, transport, count) {
    const fresh = Array.from({ length: count }, () => new Stalled(transport, around));
    stalled.set(group, [...(stalled.get(group) ?? []), ...fresh]);
  },
  returning(group, returns) {
    for (const reader of of(group)) reader.returns = returns;
  },
  begin(group) {
    for (const { ledger } of of(group)) ledger.begin();
  },
  tell: told,
  async reached(group, seq, timeoutMs) {
    const late = () => of(group).filter(({ ledger }) => ledger.seq < seq).length;
    const what = `every reader of '${group}' to have event ${seq}`;
    await until(() => late() === 0, what, { timeoutMs }).catch((error) => {
      throw new Error(`${error}; ${late()} of ${of(group).length} have not; ${told(group).trouble}`);
    });
  },
  differing(group, truth) {
    const pairs = Object.entries(truth);
    const found = of(group).flatMap(({ ledger }) => differs(ledger, pairs) ?? []);
    return found.slice(0, MOST_DIFFERING);
  },
  async wake(group) {
    const awake = (stalled.get(group) ?? []).map((each) => each.wake());
    stalled.delete(group);
    readers.set(group, awake);
    await openAll(awake);
  },
  delays(sent) {
    const all = Object.entries(sent).flatMap(([mark, at]) =>
      (arrivals.get(Number(mark)) ?? []).map((seen) => seen - at),
    );
    const most = all.reduce((longest, delay) => Math.max(longest, delay), 0);
    return { count: all.length, p50: quantile(all, 0.5), p99: quantile(all, 0.99), most };
  },
  close(group) {
    for (const reader of of(group)) reader.close();
    for (const each of stalled.get(group) ?? []) each.close();
    readers.delete(group);
    stalled.delete(group);
  },
};

async function answer({ id, name, args }: CrowdCall): Promise<CrowdResult> {
  try {
    // The table and `CrowdCall` are typed together; the pairing of one name with its arguments is lost in between.
    const call = calls[name] as (...args: unknown[]) => unknown;
    return { id, value: await call(...args) };
  } catch (error) {
    return { id, error: String(error) };
  }
}

process.on("message", async (call: CrowdCall) => process.send?.(await answer(call)));
process.on("disconnect", () => process.exit(0));
process.send?.({ id: 0 } satisfies CrowdResult);
