/** How the page hears of what happens (A27): live as long as that works, else by asking again and again. */
import { computed, effect, type ReadonlySignal, signal, untracked } from "@preact/signals";
import { ConnectionError, type Link, type LiveEvent, ModelhaulError } from "../../src/client/index.ts";
import { locked, server } from "./api.ts";
import { loadAll, loadFinished, take } from "./catch-up.ts";
import { endSilence } from "./notices.ts";
import { prefs } from "./prefs.ts";

export type ConnectionKind = "connecting" | "live" | "sse" | "polling" | "offline" | "locked";
export interface Connection {
  kind: ConnectionKind;
  /** Epoch milliseconds; while it is offline, when it was connected last. */
  since: number;
  /** Epoch milliseconds of the next try, while it is offline. */
  nextTryAt?: number;
  /** What the server refused, while it is offline. */
  message?: string;
}

const state = signal<Connection>({ kind: "connecting", since: Date.now() });
export const connection: ReadonlySignal<Connection> = state;
/** What is shown is as it was, and not as it is: speeds and clocks stand still. */
export const isStale: ReadonlySignal<boolean> = computed(() => state.value.kind === "offline");
/** True while a refresh is under way. */
export const isRefreshing = signal(false);

const KINDS: Record<Exclude<Link, "offline">, ConnectionKind> = {
  websocket: "live",
  events: "sse",
  polling: "polling",
};
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;
/** A break that is mended within this time is not shown. */
const GRACE_MS = 1_500;

/** Number of the newest event that is known. */
let newest: number | undefined;
let running: AbortController | undefined;
let isConnected = false;
/** When the connection broke, or when there was none at first. */
let brokeAt = Date.now();
let pause = FIRST_PAUSE_MS;
let wake: () => void = () => {};
/** Will say that the connection is broken, unless it is mended by then. */
let saying: ReturnType<typeof setTimeout> | undefined;

/** Call once: connects, and again whenever the reader chooses another way or has logged in. */
export function connect(): void {
  effect(() => {
    const transports = prefs.live.value ? undefined : (["polling"] as const);
    const pollMs = prefs.interval.value * 1000;
    running?.abort();
    clearTimeout(saying);
    if (locked.value) return become({ kind: "locked", since: Date.now() });
    running = new AbortController();
    const { signal } = running;
    untracked(() => void run({ ...(transports && { transports }), pollMs }, signal));
  });
  addEventListener("online", retryNow);
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && retryNow());
}

/** Tries now instead of at `nextTryAt`. */
export function retryNow(): void {
  wake();
}

let refreshing: Promise<void> | undefined;

/** Asks for everything once more; never twice at a time (R114): who asks meanwhile hears how that ends. */
export function refresh(): Promise<void> {
  isRefreshing.value = true;
  refreshing ??= loadAll().finally(() => {
    isRefreshing.value = false;
    refreshing = undefined;
  });
  return refreshing;
}

/** Forgets what was seen: whoever logs in next may see something else. */
export function forget(): void {
  newest = undefined;
}

function become(next: Connection): void {
  state.value = next;
}

interface Way {
  transports?: readonly ["polling"];
  pollMs: number;
}

async function run(way: Way, signal: AbortSignal): Promise<void> {
  if (state.value.kind === "locked") become({ kind: "connecting", since: Date.now() });
  while (!signal.aborted) {
    try {
      const since = newest === undefined ? {} : { since: newest };
      const events = server.watch({ ...way, ...since, signal, giveUpAfterMs: 0, onLink });
      for await (const event of events) see(event);
      if (signal.aborted) return;
    } catch (error) {
      if (signal.aborted || locked.value) return;
      broke(error);
    }
    await rest(signal);
  }
}

function onLink(link: Link): void {
  if (link === "offline") return;
  clearTimeout(saying);
  if (!isConnected) endSilence();
  isConnected = true;
  pause = FIRST_PAUSE_MS;
  const kind = KINDS[link];
  if (state.value.kind !== kind) become({ kind, since: Date.now() });
}

function see(event: LiveEvent): void {
  const isFirst = newest === undefined;
  newest = event.type === "snapshot" ? event.seq : Math.max(newest ?? 0, event.seq);
  take(event);
  // What has ended long ago is in no snapshot. Who polls gets one again and again.
  if (event.type === "snapshot" && (isFirst || state.peek().kind !== "polling")) void loadFinished();
}

function broke(error: unknown): void {
  if (isConnected) brokeAt = Date.now();
  isConnected = false;
  clearTimeout(saying);
  const isRefused = error instanceof ModelhaulError;
  // A silence has lasted long enough by itself.
  const isLong = error instanceof ConnectionError && error.timedOut;
  const nextTryAt = Date.now() + pause;
  const say = (): void =>
    become({ kind: "offline", since: brokeAt, nextTryAt, ...(isRefused && { message: error.message }) });
  const grace = brokeAt + GRACE_MS - Date.now();
  if (isRefused || isLong || grace <= 0) say();
  // By the clock, and not with the next failure: a try may take a minute to fail.
  else saying = setTimeout(say, grace);
}

/** Until the next try; ends early when the reader or the browser says so. */
function rest(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, pause * (0.8 + Math.random() * 0.2));
    signal.addEventListener("abort", end);
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    wake = end;
  });
}
