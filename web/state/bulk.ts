/** What is done to several downloads, or to all. */
import type { Lanes } from "../../src/client/lanes.ts";
import { attempt, busy, command, hold, may, turn } from "./actions.ts";
import { request, server } from "./api.ts";
import { background } from "./background.ts";
import { confirm, type Toast, toast } from "./notices.ts";
import { comparer } from "./order.ts";
import { drop, items, peek, pretend, put } from "./store.ts";
import type { Verb } from "./types.ts";

export interface BulkResult {
  done: number;
  failed: { id: string; reason: string }[];
}

const SELECTION = "selection";

/** Whether something is being done to several; reading it subscribes. */
export const isBulkBusy = (): boolean => busy(SELECTION);

/** Begins the work for all; undefined when other work for several is under way. */
const many = (
  ids: readonly string[],
  work: (id: string) => Promise<boolean>,
): Promise<BulkResult | undefined> =>
  attempt(SELECTION, async () => {
    const result: BulkResult = { done: 0, failed: [] };
    const one = async (id: string): Promise<void> => {
      try {
        if (await work(id)) result.done += 1;
      } catch (error) {
        result.failed.push({ id, reason: error instanceof Error ? error.message : String(error) });
      }
    };
    await Promise.all(ids.map(one));
    return result;
  });

/** The same verb for several; those whose state does not allow it are left out. */
export const bulk = (verb: Verb, ids: readonly string[]): Promise<BulkResult | undefined> =>
  verb === "pause" || verb === "cancel"
    ? stopMany(verb, ids)
    : many(ids, (id) => command(verb, id, background));

/** From the end of the queue, what runs at last: a place that becomes free would start the next one of them. */
function stopMany(verb: "pause" | "cancel", ids: readonly string[]): Promise<BulkResult | undefined> {
  const place = (id: string): number => peek(id)?.position ?? 0;
  const waiting = new Set(ids.filter((id) => place(id) > 0));
  const queue = Promise.withResolvers<void>();
  if (waiting.size === 0) queue.resolve();
  const afterQueue: Lanes = async (work) => {
    await queue.promise;
    return background(work);
  };
  return many(
    ids.toSorted((a, b) => place(b) - place(a)),
    async (id) => {
      if (!waiting.has(id)) return command(verb, id, afterQueue);
      try {
        return await command(verb, id, background);
      } finally {
        waiting.delete(id);
        if (waiting.size === 0) queue.resolve();
      }
    },
  );
}

/** Takes finished records out of the list; the files stay. */
export const bulkRemove = (ids: readonly string[]): Promise<BulkResult | undefined> =>
  many(ids, async (id) => {
    await turn(id);
    await hold(id, () => background(() => server.history.remove(id)));
    drop(id);
    return true;
  });

/** The same priority or limit for several. */
export const bulkPatch = (
  ids: readonly string[],
  change: { priority: number } | { rate_limit_bps: number },
): Promise<BulkResult | undefined> =>
  many(ids, async (id) => {
    await turn(id);
    const truth = pretend(id, change, () => true);
    try {
      put(await hold(id, () => background(() => server.downloads.change(id, change))));
    } finally {
      truth();
    }
    return true;
  });

export const pauseAll = (): Promise<boolean> => all("pause", "paused");
export const resumeAll = (): Promise<boolean> => all("resume", "resumed");
/** Asks first (R116); afterwards the toast offers to start them again, in the order of the queue. */
export async function cancelAll(): Promise<boolean> {
  const isSure = await confirm({
    title: "Cancel all downloads?",
    text: "What has arrived of them so far is deleted.",
    yes: "Cancel all",
    no: "Keep them",
    danger: true,
  });
  if (!isSure) return false;
  const open = [...items()].filter(({ state }) => may("cancel", state));
  const ids = open.sort(comparer({ sort: "queue", descending: false })).map(({ id }) => id);
  return all("cancel", "cancelled", { label: "Start again", run: () => void startAgain(ids) });
}

async function startAgain(ids: readonly string[]): Promise<void> {
  const result = await bulk("retry", ids);
  if (!result) return;
  const { done, failed } = result;
  toast(toldOf(done, failed.length, "queued again"), { kind: failed.length > 0 ? "bad" : "info" });
}

const toldOf = (done: number, failed: number, past: string): string =>
  `${done} ${done === 1 ? "download" : "downloads"} ${past}${failed > 0 ? `, ${failed} not` : ""}`;

async function all(
  verb: "pause" | "resume" | "cancel",
  past: string,
  action?: NonNullable<Toast["action"]>,
): Promise<boolean> {
  interface Answer {
    summary: Record<string, number>;
  }
  const answer = await attempt("all", () => request<Answer>("POST", `/v1/downloads/${verb}`));
  if (!answer) return false;
  const sum = (prefix: string): number =>
    Object.entries(answer.summary).find(([name]) => name.startsWith(prefix))?.[1] ?? 0;
  const [done, failed] = [sum("successful_"), sum("failed_")];
  toast(toldOf(done, failed, past), {
    kind: failed > 0 ? "bad" : "info",
    ...(action && done > 0 ? { action } : {}),
  });
  return true;
}
