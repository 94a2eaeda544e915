/** What can be done to all that are selected. */
import { type BulkResult, bulk, bulkPatch, bulkRemove } from "../../state/bulk.ts";
import { confirm, toast } from "../../state/notices.ts";
import { peek } from "../../state/store.ts";
import type { Verb } from "../../state/types.ts";

const count = (ids: readonly string[] | number): string => {
  const size = typeof ids === "number" ? ids : ids.length;
  return `${size} ${size === 1 ? "download" : "downloads"}`;
};

const PAST: Record<Verb, string> = {
  pause: "paused",
  resume: "resumed",
  cancel: "cancelled",
  retry: "queued again",
};

/** The outcome in one line, with the first reason where something failed; nothing where nothing was begun. */
function tellResult(past: string, result: BulkResult | undefined, undo?: () => void): void {
  if (result === undefined) return;
  const { done, failed } = result;
  const [first] = failed;
  const name = first && (peek(first.id)?.model_id ?? first.id);
  const rest = first === undefined ? "" : `; ${count(failed.length)} not: ${name}: ${first.reason}`;
  toast(`${count(done)} ${past}${rest}`, {
    kind: first === undefined ? "info" : "bad",
    ...(undo && done > 0 ? { action: { label: "Start again", run: undo } } : {}),
  });
}

export async function verbMany(verb: Verb, ids: readonly string[]): Promise<void> {
  if (verb === "cancel" && !(await askCancel(ids))) return;
  const result = await bulk(verb, ids);
  const failed = new Set(result?.failed.map(({ id }) => id));
  const undo = () =>
    void verbMany(
      "retry",
      ids.filter((id) => !failed.has(id)),
    );
  tellResult(PAST[verb], result, verb === "cancel" ? undo : undefined);
}

const askCancel = (ids: readonly string[]): Promise<boolean> =>
  confirm({
    title: `Cancel ${count(ids)}?`,
    text: "What has arrived of them so far is deleted.",
    yes: ids.length === 1 ? "Cancel download" : "Cancel downloads",
    no: "Keep them",
    danger: true,
  });

/** Takes finished records off the list; the files stay. */
export async function removeMany(ids: readonly string[]): Promise<void> {
  tellResult("removed from the list", await bulkRemove(ids));
}

export async function limitMany(ids: readonly string[], perSecond: number): Promise<void> {
  tellResult("changed", await bulkPatch(ids, { rate_limit_bps: perSecond }));
}

export async function prioritizeMany(ids: readonly string[], priority: number): Promise<void> {
  tellResult("changed", await bulkPatch(ids, { priority }));
}
