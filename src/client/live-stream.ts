import { ConnectionError, ModelhaulError } from "./errors.ts";
import {
  isLiveFrame,
  type LiveEvent,
  type LiveFrame,
  Refused,
  SnapshotParts,
  type Watched,
} from "./live-event.ts";
import { messages } from "./sse.ts";
import { pathOf, type Transport } from "./transport.ts";

/** A proxy that holds the stream back shows nothing of it; a server sends its first event at once. */
const FIRST_MS = 10_000;
/** A server sends a comment every 5 s: after two that are lost the stream is taken for dead. */
const SILENCE_MS = 12_500;

/**
 * Live events over server-sent events, until the stream ends or breaks (`ConnectionError`). Throws `Refused` when
 * none can be had, and `ModelhaulError` 401, 403 and 404.
 */
export async function* overStream(transport: Transport, watched: Watched): AsyncGenerator<LiveEvent> {
  const { ids, since } = watched;
  const [only] = ids?.length === 1 ? ids : [];
  const path = only === undefined ? "/v1/events" : pathOf`/v1/downloads/${only}/events`;
  const wanted = only === undefined && ids ? await uuids(transport, ids, watched.signal) : undefined;
  const abort = new AbortController();
  const release = (): void => abort.abort();
  watched.signal.addEventListener("abort", release);
  let isStarted = false;
  const late = setTimeout(() => {
    if (!isStarted) release();
  }, FIRST_MS);
  try {
    const answer = await openStream(transport, path, since, abort.signal);
    const started = (): void => {
      if (!isStarted) watched.onOpen?.();
      isStarted = true;
    };
    const parts = new SnapshotParts();
    for await (const { event, data } of messages(answer, release, started, SILENCE_MS)) {
      const frame = read(event, data);
      const told = frame && parts.whole(frame);
      if (told) yield* only === undefined && wanted ? narrowed(told, wanted) : [told];
    }
  } catch (error) {
    if (watched.signal.aborted) return;
    if (isStarted || error instanceof ModelhaulError) throw error;
    throw new Refused("The event stream tells nothing", { cause: error });
  } finally {
    clearTimeout(late);
    watched.signal.removeEventListener("abort", release);
    release();
  }
}

async function openStream(
  transport: Transport,
  path: string,
  since: number | undefined,
  signal: AbortSignal,
): Promise<Response> {
  try {
    const answer = await transport.open("GET", path, { query: { since }, signal });
    if (answer.headers.get("content-type")?.startsWith("text/event-stream")) return answer;
    throw new Refused("That is no event stream");
  } catch (error) {
    const isFinal = error instanceof ModelhaulError && [401, 403, 404].includes(error.status);
    if (error instanceof ModelhaulError && !isFinal) throw new Refused(error.message);
    throw error;
  }
}

function read(event: string, data: string): LiveFrame | undefined {
  try {
    const frame = { ...(JSON.parse(data) as object), type: event };
    return isLiveFrame(frame) ? frame : undefined;
  } catch (cause) {
    throw new ConnectionError("The event stream does not speak JSON", { cause });
  }
}

async function uuids(
  transport: Transport,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const all = ids.map((id) => transport.json<{ id: string }>("GET", pathOf`/v1/downloads/${id}`, { signal }));
  return new Set((await Promise.all(all)).map(({ id }) => id));
}

function narrowed(told: LiveEvent, wanted: ReadonlySet<string>): LiveEvent[] {
  if (told.type === "snapshot")
    return [{ ...told, downloads: told.downloads.filter(({ id }) => wanted.has(id)) }];
  return wanted.has(told.type === "removed" ? told.id : told.download.id) ? [told] : [];
}
