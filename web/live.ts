/** Keeps the list of downloads fresh: WebSocket, else server-sent events, else polling (DESIGN §5). */
import { computed, signal } from "@preact/signals";
import { type Download, KeyNeeded, list } from "./api.ts";

export type Link = "connecting" | "live" | "polling" | "offline";

export const link = signal<Link>("connecting");
export const needsKey = signal(false);
const byId = signal<ReadonlyMap<string, Download>>(new Map());
/** Newest first. */
export const downloads = computed(() =>
  [...byId.value.values()].sort((a, b) => b.timing.start_time - a.timing.start_time),
);

const RETRY_MS = 2000;

/** A fresh list, then the best live connection there is, and all over again when that has ended. */
export async function connect(): Promise<void> {
  try {
    const fresh = (await list()).map((download) => [download.id, download] as const);
    // What was seen to complete stays in sight; the rest may be gone by now.
    const completed = [...byId.value].filter(([, { state }]) => state === "completed");
    byId.value = new Map([...completed, ...fresh]);
    needsKey.value = false;
  } catch (error) {
    needsKey.value = error instanceof KeyNeeded;
    link.value = "offline";
    if (!needsKey.value) setTimeout(connect, RETRY_MS);
    return;
  }
  if (!(await viaSocket()) && !(await viaEvents())) link.value = "polling";
  setTimeout(connect, RETRY_MS);
}

/** Resolves when the connection has ended: whether it ever worked. */
function viaSocket(): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/v1/ws`);
  let worked = false;
  socket.onmessage = ({ data }) => {
    worked = true;
    const frame = JSON.parse(data);
    if (frame.type === "hello") socket.send(JSON.stringify({ type: "subscribe" }));
    apply(frame);
  };
  socket.onclose = () => resolve(worked);
  return promise;
}

function viaEvents(): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const source = new EventSource("/v1/events");
  let worked = false;
  const take = ({ data }: MessageEvent): void => {
    worked = true;
    apply(JSON.parse(data));
  };
  for (const type of ["snapshot", "download", "removed"]) source.addEventListener(type, take);
  source.onerror = () => {
    source.close();
    resolve(worked);
  };
  return promise;
}

type Frame =
  | { type: "snapshot"; downloads: Download[] }
  | { type: "download"; download: Download }
  | { type: "removed"; id: string };

function apply(frame: Frame): void {
  link.value = "live";
  if (frame.type === "snapshot") for (const download of frame.downloads) put(download);
  else if (frame.type === "download") put(frame.download);
  else if (frame.type === "removed") byId.value = new Map([...byId.value].filter(([id]) => id !== frame.id));
}

function put(download: Download): void {
  byId.value = new Map(byId.value).set(download.id, download);
}
