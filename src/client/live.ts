import { delay } from "./delay.ts";
import { ModelhaulError } from "./errors.ts";
import { type LiveEvent, Refused, type Watched } from "./live-event.ts";
import { WatchedIds } from "./live-ids.ts";
import { byPolling } from "./live-polling.ts";
import { overSocket } from "./live-socket.ts";
import { overStream } from "./live-stream.ts";
import type { Transport } from "./transport.ts";

/** How events come at the moment: `offline` while the server does not answer. */
export type Link = "websocket" | "events" | "polling" | "offline";

export interface WatchOptions {
  /** Only these, by `model_id` or UUID; all when not given. 404 when there is no such download. */
  ids?: readonly string[];
  /** Continue after the event of this number; without it a snapshot comes first. */
  since?: number;
  /** Ends the iteration, without an error. */
  signal?: AbortSignal;
  /** In the order in which they are tried; default WebSocket, then server-sent events, then polling. */
  transports?: readonly Exclude<Link, "offline">[];
  /** Milliseconds between two polls, default 2000. */
  pollMs?: number;
  /** Milliseconds it goes on trying while the server does not answer; default without end. Then `ConnectionError`. */
  giveUpAfterMs?: number;
  /** Told whenever the way changes, to show it. */
  onLink?: (link: Link) => void;
}

const ALL = ["websocket", "events", "polling"] as const;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 10_000;
/** So long it polls before a live connection is tried again. */
const POLLING_MS = 30_000;
/** Answers that will not change by asking again. */
const FINAL = new Set([400, 401, 403, 404, 421]);

/**
 * What happens to downloads, as it happens. Reconnects by itself and goes on where it was: each number comes once
 * over live connections, and no change of state is missed as long as the server remembers it; else a new snapshot.
 * Ends with the signal, and when all of `ids` have been removed. Throws `ModelhaulError` where asking again is no use.
 */
export async function* watch(transport: Transport, options: WatchOptions = {}): AsyncGenerator<LiveEvent> {
  const { transports = ALL, giveUpAfterMs = Number.POSITIVE_INFINITY } = options;
  const never = new AbortController().signal;
  const ids = options.ids && new WatchedIds(options.ids);
  const watched: Watched = { ids: options.ids, since: options.since, signal: options.signal ?? never };
  const link = reporter(options.onLink);
  let pause = FIRST_PAUSE_MS;
  let failingSince: number | undefined;
  while (!watched.signal.aborted) {
    for (const way of transports) {
      watched.onOpen = () => {
        link(way);
        pause = FIRST_PAUSE_MS;
        failingSince = undefined;
      };
      try {
        for await (const event of over(way, transport, watched, options.pollMs)) {
          watched.onOpen();
          watched.since = event.type === "snapshot" ? event.seq : Math.max(watched.since ?? 0, event.seq);
          yield event;
          if (ids?.sees(event)) return;
          watched.ids = ids?.left;
        }
        break;
      } catch (thrown) {
        if (watched.signal.aborted) return;
        let error = thrown;
        if (ids && isUnknown(thrown)) {
          const gone = await ids.removed(transport, watched.since ?? 0, watched.signal).catch((reason) => {
            error = reason;
            return [];
          });
          for (const event of gone) {
            yield event;
            if (ids.sees(event)) return;
          }
          watched.ids = ids.left;
          if (gone.length > 0) break;
        }
        if (error instanceof ModelhaulError && FINAL.has(error.status)) throw error;
        if (error instanceof Refused && way !== transports.at(-1)) continue;
        link("offline");
        failingSince ??= Date.now();
        if (Date.now() - failingSince >= giveUpAfterMs) throw error;
        break;
      }
    }
    // Spread, so that clients do not all come back in one instant after a restart.
    await delay(pause * (0.5 + Math.random()), watched.signal);
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
  }
}

const isUnknown = (error: unknown): boolean => error instanceof ModelhaulError && error.status === 404;

function over(
  way: Exclude<Link, "offline">,
  transport: Transport,
  watched: Watched,
  intervalMs = 2000,
): AsyncGenerator<LiveEvent> {
  if (way === "websocket") return overSocket(transport, watched);
  if (way === "events") return overStream(transport, watched);
  return byPolling(transport, watched, { intervalMs, forMs: POLLING_MS });
}

function reporter(tell: WatchOptions["onLink"]): (link: Link) => void {
  let last: Link | undefined;
  return (link) => {
    if (link === last) return;
    last = link;
    tell?.(link);
  };
}
