import type { Daemon } from "../support/daemon.ts";
import type { Crowd } from "./crowd/index.ts";
import { newestSeq } from "./gauge.ts";

/** A download that waits and whose changes are events: each change of its priority is one that readers can recognize. */
export async function markedDownload(daemon: Daemon): Promise<string> {
  const { id } = await daemon.begin({ url: "http://127.0.0.1:9/marked.bin", model_id: "marked" });
  await daemon.must("POST", `/v1/downloads/${id}/pause`);
  return id;
}

/** Marks the download so often, one mark every `everyMs`; when each was sent, epoch milliseconds, by its number from 1. */
export async function sendMarks(
  daemon: Daemon,
  id: string,
  count: number,
  everyMs: number,
): Promise<Record<number, number>> {
  const sent: Record<number, number> = {};
  const begun = performance.now();
  for (let mark = 1; mark <= count; mark++) {
    sent[mark] = performance.timeOrigin + performance.now();
    await daemon.must("PATCH", `/v1/downloads/${id}`, { priority: mark });
    await Bun.sleep(Math.max(0, begun + mark * everyMs - performance.now()));
  }
  return sent;
}

/** Resolves when every reader of the group has all that has happened so far. */
export const allTold = async (daemon: Daemon, crowd: Crowd, group: string): Promise<void> =>
  crowd.ask("reached", group, await newestSeq(daemon), 30_000);
