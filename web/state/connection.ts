/** How the page hears of what happens: WebSocket, else server-sent events, else polling. */
import { type ReadonlySignal, signal } from "@preact/signals";
import { locked, request } from "./api.ts";
import { drop, put, replaceAll } from "./store.ts";
import type { DownloadItem } from "./types.ts";

export type ConnectionKind = "connecting" | "live" | "sse" | "polling" | "offline" | "locked";
export interface Connection {
  kind: ConnectionKind;
  /** Epoch milliseconds. */
  since: number;
  /** Epoch milliseconds of the next try, while it is offline. */
  nextTryAt?: number;
}

const state = signal<Connection>({ kind: "connecting", since: Date.now() });
export const connection: ReadonlySignal<Connection> = state;
/** True while a refresh is under way. */
export const isRefreshing = signal(false);

const RETRY_MS = 2000;

export function connect(): void {
  void loop();
}

/** Tries now instead of at `nextTryAt`. */
export function retryNow(): void {
  void refresh();
}

/** Asks for everything once more; never twice at a time (R114). */
export async function refresh(): Promise<void> {
  if (isRefreshing.value) return;
  isRefreshing.value = true;
  try {
    const { active_downloads } = await request<{ active_downloads: DownloadItem[] }>(
      "GET",
      "/v1/downloads?state=all&limit=1000",
    );
    replaceAll(active_downloads);
  } finally {
    isRefreshing.value = false;
  }
}

function become(kind: ConnectionKind, nextTryAt?: number): void {
  if (state.value.kind === kind && nextTryAt === undefined) return;
  state.value = { kind, since: Date.now(), ...(nextTryAt === undefined ? {} : { nextTryAt }) };
}

async function loop(): Promise<void> {
  try {
    await refresh();
  } catch {
    if (locked.value) return become("locked");
    become("offline", Date.now() + RETRY_MS);
    setTimeout(loop, RETRY_MS);
    return;
  }
  if (!(await viaSocket()) && !(await viaEvents())) become("polling");
  setTimeout(loop, RETRY_MS);
}

function viaSocket(): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/v1/ws`);
  let worked = false;
  socket.onmessage = ({ data }) => {
    worked = true;
    const frame = JSON.parse(data);
    if (frame.type === "hello") socket.send(JSON.stringify({ type: "subscribe" }));
    become("live");
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
    become("sse");
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
  | { type: "snapshot"; downloads: DownloadItem[] }
  | { type: "download"; download: DownloadItem }
  | { type: "removed"; id: string };

function apply(frame: Frame): void {
  if (frame.type === "snapshot") for (const download of frame.downloads) put(download);
  else if (frame.type === "download") put(frame.download);
  else if (frame.type === "removed") drop(frame.id);
}
