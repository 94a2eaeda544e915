/** Commands on engines. A start answers when the engine is ready, which may take minutes: it can be stopped meanwhile. */
import { signal } from "@preact/signals";
import { loadEngines, tell } from "../../state/actions.ts";
import { request } from "../../state/api.ts";
import { confirm, toast } from "../../state/notices.ts";
import type { EngineItem } from "../../state/types.ts";

export type Command = "start" | "stop" | "remove";

/** `command id` of what has not been answered yet. */
const pending = signal<ReadonlySet<string>>(new Set());

export const isPending = (command: Command, id: string): boolean => pending.value.has(`${command} ${id}`);

/** Engines stopped while their start had not been answered: its refusal, early or late, is no failure. */
const halted = new Set<string>();

const path = (id: string): string => `/v1/engines/${encodeURIComponent(id)}`;

async function run(command: Command, id: string, work: () => Promise<unknown>): Promise<boolean> {
  const key = `${command} ${id}`;
  if (pending.peek().has(key)) return false;
  pending.value = new Set(pending.peek()).add(key);
  try {
    await work();
    return true;
  } catch (error) {
    if (!(command === "start" && halted.has(id))) tell(error);
    return false;
  } finally {
    if (command === "start") halted.delete(id);
    pending.value = new Set([...pending.peek()].filter((other) => other !== key));
    await loadEngines().catch(() => {});
  }
}

export const start = (id: string): Promise<boolean> =>
  run("start", id, async () => {
    const answer = request("POST", `${path(id)}/start`);
    // Shown as loading while it does.
    void loadEngines().catch(() => {});
    await answer;
  });

export function stop(id: string): Promise<boolean> {
  if (isPending("start", id)) halted.add(id);
  return run("stop", id, () => request("POST", `${path(id)}/stop`));
}

export async function remove({ engine_id: id, state }: EngineItem): Promise<void> {
  const isSure = await confirm({
    title: `Delete engine ${id}?`,
    text: `${state === "loaded" || state === "loading" ? "It is stopped first. " : ""}The model file stays on disk.`,
    yes: "Delete engine",
    no: "Keep it",
    danger: true,
  });
  if (isSure && (await run("remove", id, () => request("DELETE", path(id))))) toast(`Engine ${id} deleted`);
}

/** States each command means something in. */
export const ALLOWED: Record<"start" | "stop", readonly EngineItem["state"][]> = {
  start: ["created", "stopped", "failed"],
  stop: ["loading", "loaded", "failed"],
};
