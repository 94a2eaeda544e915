/** A long queue: filling it, asking for it, and how soon the next one is claimed. */
import type { Daemon } from "../support/daemon.ts";
import type { LiveSocket } from "../support/live.ts";
import { timesOf } from "./gauge.ts";

/** Adds on their way at once while the queue is filled. */
export const AT_ONCE = 16;

/** Does it for every index, `AT_ONCE` at a time, or until time is up; how many were done. */
export async function inLanes(
  count: number,
  work: (index: number) => Promise<void>,
  withinMs = Number.POSITIVE_INFINITY,
): Promise<number> {
  const deadline = performance.now() + withinMs;
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count && performance.now() < deadline) await work(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  return next;
}

/** Adds that many, or as many as fit into the time; how many, and how many a second. */
export async function fill(
  daemon: Daemon,
  url: string,
  count: number,
  withinMs?: number,
): Promise<{ added: number; perSecond: number }> {
  const begun = performance.now();
  const add = async (index: number): Promise<void> => {
    await daemon.begin({ url: `${url}?${index}`, model_id: `queued/${index}` });
  };
  const added = await inLanes(count, add, withinMs);
  return { added, perSecond: added / ((performance.now() - begun) / 1000) };
}

/** Pages as clients ask for them: the first, one from the middle, by state, by text. */
export async function listTimes(daemon: Daemon, count: number): Promise<{ what: string; times: number[] }[]> {
  let page = await daemon.must("GET", "/v1/downloads?limit=1000");
  for (let i = 0; i < 20 && page.next_cursor !== undefined; i++)
    page = await daemon.must("GET", `/v1/downloads?limit=1000&cursor=${page.next_cursor}`);
  const middle = page.next_cursor === undefined ? "" : `&cursor=${page.next_cursor}`;
  const asked = {
    "the first page of the list": "/v1/downloads?limit=100",
    "a page from the middle": `/v1/downloads?limit=100${middle}`,
    "a page of one state": "/v1/downloads?state=queued&limit=100",
    "one download": "/v1/downloads/queued%2F500",
  };
  const measured: { what: string; times: number[] }[] = [];
  for (const [what, path] of Object.entries(asked)) {
    measured.push({ what, times: await timesOf(count, () => daemon.must("GET", path)) });
  }
  return measured;
}

/** Cancels what runs, again and again: milliseconds between the event of its end and that of the next one's claim. */
export async function claimTimes(daemon: Daemon, count: number): Promise<number[]> {
  const { active_downloads: first } = await daemon.must("GET", `/v1/downloads?limit=${count + 1}`);
  const ids = first.map(({ id }: { id: string }) => id) as string[];
  using socket = await daemon.ws();
  socket.send({ type: "subscribe", ref: 1, ids });
  await socket.next(({ type }) => type === "snapshot");
  const seen = timesSeen(socket);
  await daemon.must("PATCH", "/v1/settings", { paused: false });
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    await socket.next(({ download }) => download?.id === ids[i] && download.state === "downloading");
    await daemon.must("POST", `/v1/downloads/${ids[i]}/cancel`);
    await socket.next(({ download }) => download?.id === ids[i + 1] && download.state === "downloading");
    times.push(seen(ids[i + 1]!, "downloading") - seen(ids[i]!, "cancelled"));
  }
  await daemon.must("PATCH", "/v1/settings", { paused: true });
  return times;
}

/** When each state of a download was first told. */
function timesSeen(socket: LiveSocket): (id: string, state: string) => number {
  const at = new Map<string, number>();
  socket.onTaken = ({ download }) => {
    const key = download && `${download.id} ${download.state}`;
    if (key && !at.has(key)) at.set(key, performance.now());
  };
  return (id, state) => at.get(`${id} ${state}`) ?? Number.NaN;
}
